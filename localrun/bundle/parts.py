"""Select the descriptor and the image archive among the files of a bundle."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from localrun.bundle.images.dockerfile_choice import DOCKERFILES
from localrun.errors import Problem

_OTHER_COMPRESSION = (".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4", ".tbz", ".tbz2", ".txz")
_GZIPPED = (".tar.gz", ".tgz")
_MAX_NAMES = 8


def is_descriptor(name: str) -> bool:
    """Return whether App Engine treats a file as the descriptor: at the root, in any letter case."""
    return name.removeprefix("./").lower() in ("descriptor.yml", "descriptor.yaml")


def is_system_file(name: str) -> bool:
    """Return whether an operating system added the file, e.g. `.DS_Store`."""
    base = posixpath.basename(name.rstrip("/"))
    return name.startswith("__MACOSX/") or base.startswith("._") or base in (".DS_Store", "Thumbs.db")


class Parts(msgspec.Struct):
    """The selected names, with problems and with warnings about other platforms."""

    descriptor: str = ""
    image: str = ""
    problems: list[Problem] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


def is_archive(name: str) -> bool:
    return name.endswith((".tar", *_GZIPPED))


def select_parts(names: Iterable[str], *, descriptor: str = "", with_image: bool = True) -> Parts:
    """Select among the file names of a bundle (relative, with `/`).

    `descriptor` is the one that the user has selected, if any. `with_image` is false if the image comes from
    elsewhere.
    """
    parts = Parts(descriptor)
    candidates = [name for name in names if not is_system_file(name)]
    if not descriptor:
        _select_descriptor(candidates, parts)
    if with_image:
        _select_image(candidates, parts)
    return parts


def _select_descriptor(names: list[str], parts: Parts) -> None:
    found = [name for name in names if is_descriptor(name)]
    if len(found) == 1:
        parts.descriptor = found[0]
        if found[0].startswith("./"):
            parts.warnings.append(f"App Engine would not find {found[0]}: its name must have no ./ before it")
        return
    if found:
        parts.problems.append(Problem(", ".join(found), f"found {len(found)} descriptors", "keep one"))
        return
    deeper = [name for name in names if is_descriptor(posixpath.basename(name))]
    if deeper:
        message = "the descriptor must be at the root, not in a folder"
        remedy = f"pack the contents of {posixpath.dirname(deeper[0])!r}, not the folder"
        parts.problems.append(Problem(repr(deeper[0]), message, remedy))
        return
    message = f"missing descriptor.yml; found {format_names(names)}"
    remedy = "add it at the root"
    if any(name in names for name in DOCKERFILES):
        remedy += "; an iExec app has no descriptor: run it with `localrun run --profile iexec`"
    parts.problems.append(Problem("", message, remedy))


def _select_image(names: list[str], parts: Parts) -> None:
    tars = [name for name in names if name.endswith(".tar")]
    tars = [name for name in tars if "/" not in name.removeprefix("./")] or tars
    tars = tars or [name for name in names if name.endswith(_GZIPPED)]
    if len(tars) == 1:
        parts.image = tars[0]
        _check_image_name(tars[0], parts)
    elif tars:
        message = f"found {len(tars)} image archives: {format_names(tars)}"
        parts.problems.append(Problem("", message, "keep one"))
    else:
        _report_no_image(names, parts)


def _check_image_name(name: str, parts: Parts) -> None:
    base = posixpath.basename(name)
    if posixpath.dirname(name) not in ("", "."):
        parts.warnings.append(f"the image archive {name!r} is in a folder; its documented place is the root")
    if not base.endswith(".tar"):
        parts.warnings.append(f"App Engine would not find {base!r}: it looks for a name that ends in .tar")
    elif "-" not in base:
        rule = "it must be NAMESPACE-VERSION.tar, with a '-'"
        parts.warnings.append(f"App Engine would refuse the name {base!r}: {rule}")


def _report_no_image(names: list[str], parts: Parts) -> None:
    other = [name for name in names if name.lower().endswith(_OTHER_COMPRESSION)]
    if other:
        message, remedy = "an image archive must be a plain .tar", "decompress it first"
    else:
        message = f"there is no image archive (.tar); found {format_names(names)}"
        remedy = "add the image: docker save -o NAMESPACE-VERSION.tar IMAGE"
    parts.problems.append(Problem(repr(other[0]) if other else "", message, remedy))


def format_names(names: list[str]) -> str:
    """Return the first few names for a message."""
    if not names:
        return "nothing"
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(repr(name) for name in names[:_MAX_NAMES]) + more
