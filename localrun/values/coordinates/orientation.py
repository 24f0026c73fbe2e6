"""Decide whether outlines fit an image as they are, or only after flipping their y.

The outlines are drawn and correlated with the image, at every cyclic shift: the correlation without a shift
must stand out from the others, which show how much of it is chance. So empty and uniform images, symmetric
arrangements and outlines of something else give no answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from localrun.values.coordinates.pictures import Band

Verdict = Literal["flipped", "upright", "unknown"]

# Measured on generated images: outlines that do not fit reach a score of 4.
_CLEAR_SCORE = 5.5
_CLEAR_FIT = 0.5
_EXACT_FIT = 0.9
_WEAK_SCORE = 4.0
_LARGEST = 1 / 8  # of the side of the image: larger structures, such as the illumination, are ignored


class Fit(NamedTuple):
    """How well outlines fit: the correlation, and its distance from chance in standard deviations.

    Each for the outlines as they are, and for the flipped ones.
    """

    upright: float
    upright_score: float
    flipped: float
    flipped_score: float

    @property
    def verdict(self) -> Verdict:
        score, other_score = abs(self.upright_score), abs(self.flipped_score)
        if score >= _WEAK_SCORE and score > other_score:
            return "upright"
        is_clear = other_score >= _CLEAR_SCORE or abs(self.flipped) >= _CLEAR_FIT
        is_only = abs(self.upright) <= 0.4 * abs(self.flipped) and score <= 0.5 * other_score
        is_exact = abs(self.flipped) >= _EXACT_FIT and abs(self.upright) <= 0.65 * abs(self.flipped)
        return "flipped" if (is_clear and is_only) or is_exact else "unknown"


def measure(drawn: Band, bands: Iterable[Band]) -> Fit | None:
    """Return the fit to the color band that the outlines fit best; None without any contrast."""
    fits = [fit for band in bands if (fit := _fit(drawn, band)) is not None]
    return max(fits, key=lambda fit: max(abs(fit.upright_score), abs(fit.flipped_score)), default=None)


def _fit(drawn: Band, band: Band) -> Fit | None:
    import numpy as np

    mask = drawn - drawn.mean()
    if drawn.shape != band.shape or not mask.any() or np.ptp(band) == 0:
        return None
    spectrum = np.conj(np.fft.rfft2(mask))
    smooth = _without_large_structures(band)
    score, other_score = (_score(spectrum, one) for one in (smooth, smooth[::-1]))
    fit, other = (_correlation(mask, one) for one in (band, band[::-1]))
    return Fit(fit, score, other, other_score)


def _without_large_structures(band: Band) -> Band:
    import numpy as np

    height, width = band.shape
    down = np.fft.fftfreq(height)[:, None] * height
    across = np.fft.rfftfreq(width)[None, :] * width
    kept = 1 - np.exp(-(down**2 + across**2) / 2 * (3 * _LARGEST) ** 2)
    return np.fft.irfft2(np.fft.rfft2(band) * kept, s=band.shape)


def _score(spectrum: np.ndarray[Any, Any], band: Band) -> float:
    """Return by how many standard deviations the correlation without a shift stands out."""
    import numpy as np

    shifted = np.fft.irfft2(np.fft.rfft2(band) * spectrum, s=band.shape)
    near = shifted[np.ix_([-1, 0, 1], [-1, 0, 1])].ravel()  # outlines may be off by a pixel
    deviation = shifted.std()
    if deviation == 0:
        return 0.0
    return float((near[np.abs(near).argmax()] - shifted.mean()) / deviation)


def _correlation(mask: Band, band: Band) -> float:
    import numpy as np

    other = band - band.mean()
    return float((mask * other).sum() / np.sqrt((mask * mask).sum() * (other * other).sum()))


def shares_on_objects(drawn: Band, mask: Band) -> tuple[float, float]:
    """Return the shares of the drawn area on the objects of a mask: as it is, and after flipping."""
    objects = mask > (mask.min() + mask.max()) / 2
    inside = drawn > 0
    if _share(inside[::-1], objects) < 0.5:  # dark objects on white
        objects = ~objects
    return _share(inside, objects), _share(inside[::-1], objects)


def _share(inside: Any, objects: Any) -> float:
    return float((inside & objects).sum() / max(1, inside.sum()))
