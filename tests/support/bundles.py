"""Complete bundles for tests: a descriptor and an image, as a zip or a folder."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.environment import DESCRIPTOR
from tests.support.images import image_archive, member, tar_of

NAME = "com.example.add-1.0.0.tar"
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(300)  # an amd64 header
PROGRAM = {"bin/run": ELF}


def layer_of(files: Mapping[str, bytes], *, mode: int = 0o755) -> bytes:
    """Return a layer with executable files."""
    return tar_of(files, mode=mode)


def image(files: Mapping[str, bytes] | None = None, **config: Any) -> bytes:
    """Return an archive of `docker save`; by default with an existing entrypoint /bin/run."""
    given = {"Entrypoint": ["/bin/run"], **config}
    return image_archive(layer_of(PROGRAM if files is None else files), "com/example/add:1.0.0", **given)


def zip_of(path: Path, members: Mapping[str, bytes]) -> Path:
    """Write an uncompressed zip with these members in this order."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def bundle(
    folder: Path, archive: bytes | None = None, descriptor: str = DESCRIPTOR, *, name: str = NAME
) -> Path:
    """Write a zip that App Engine accepts, except for the given parts."""
    members = {"descriptor.yml": descriptor.encode(), name: image() if archive is None else archive}
    return zip_of(folder / "bundle.zip", members)


__all__ = ["DESCRIPTOR", "ELF", "NAME", "PROGRAM", "bundle", "image", "layer_of", "member", "zip_of"]
