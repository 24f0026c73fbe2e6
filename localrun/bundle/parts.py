"""Which of a bundle's files is what: the descriptor, the image archive, or noise."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

import msgspec

from localrun.errors import Problem

_OTHER_PACKING = (".tar.bz2", ".tar.xz", ".tar.zst", ".tar.lz4", ".tbz", ".tbz2", ".txz")
_GZIPPED = (".tar.gz", ".tgz")
_SHOWN = 8


def is_descriptor(name: str) -> bool:
    """App Engine: `descriptor.yml` or `descriptor.yaml`, in any case of letters, at the root."""
    return name.removeprefix("./").lower() in ("descriptor.yml", "descriptor.yaml")


def is_system_file(name: str) -> bool:
    """Whether an operating system put it there by itself."""
    base = posixpath.basename(name.rstrip("/"))
    return name.startswith("__MACOSX/") or base.startswith("._") or base in (".DS_Store", "Thumbs.db")


class Parts(msgspec.Struct):
    """The chosen names; what is wrong with the choice; what works here and may not elsewhere."""

    descriptor: str = ""
    image: str = ""
    problems: list[Problem] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)


def is_archive(name: str) -> bool:
    """Whether a file is an image archive, by its name."""
    return name.endswith((".tar", *_GZIPPED))


def select_parts(names: Iterable[str], *, descriptor: str = "", with_image: bool = True) -> Parts:
    """Choose among the names of a bundle's files (relative, with `/`).

    `descriptor`: the one that the user has chosen already. `with_image`: false when the image comes from
    elsewhere.
    """
    parts = Parts(descriptor)
    wanted = [name for name in names if not is_system_file(name)]
    if not descriptor:
        _choose_descriptor(wanted, parts)
    if with_image:
        _choose_image(wanted, parts)
    return parts


def _choose_descriptor(names: list[str], parts: Parts) -> None:
    found = [name for name in names if is_descriptor(name)]
    if len(found) == 1:
        parts.descriptor = found[0]
        if found[0].startswith("./"):
            parts.warnings.append(f"App Engine would not find {found[0]}: its name must have no ./ before it")
        return
    if found:
        parts.problems.append(Problem(", ".join(found), f"{len(found)} descriptors", "leave one"))
        return
    deeper = [name for name in names if is_descriptor(posixpath.basename(name))]
    if deeper:
        folder = posixpath.dirname(deeper[0])
        message = "the descriptor is in a folder, and must be at the root"
        parts.problems.append(
            Problem(repr(deeper[0]), message, f"pack the content of {folder!r}, not the folder")
        )
        return
    message = f"there is no descriptor.yml; there is {format_names(names)}"
    remedy = "add it at the root"
    if "Dockerfile" in names:
        remedy += "; or is it an iExec app, which has none? run it with `--profile iexec`"
    parts.problems.append(Problem("", message, remedy))


def _choose_image(names: list[str], parts: Parts) -> None:
    tars = [name for name in names if name.endswith(".tar")]
    tars = [name for name in tars if "/" not in name.removeprefix("./")] or tars
    tars = tars or [name for name in names if name.endswith(_GZIPPED)]
    if len(tars) == 1:
        parts.image = tars[0]
        _warn_of_name(tars[0], parts)
    elif tars:
        message = f"{len(tars)} image archives: {format_names(tars)}"
        parts.problems.append(Problem("", message, "leave one"))
    else:
        _no_image(names, parts)


def _warn_of_name(name: str, parts: Parts) -> None:
    base = posixpath.basename(name)
    if posixpath.dirname(name) not in ("", "."):
        parts.warnings.append(f"the image archive {name!r} is in a folder; its documented place is the root")
    if not base.endswith(".tar"):
        parts.warnings.append(f"App Engine would not find {base!r}: it looks for a name that ends in .tar")
    elif "-" not in base:
        parts.warnings.append(
            f"App Engine would refuse the name {base!r}: it must be NAMESPACE-VERSION.tar, with a '-'"
        )


def _no_image(names: list[str], parts: Parts) -> None:
    other = [name for name in names if name.lower().endswith(_OTHER_PACKING)]
    if other:
        parts.problems.append(
            Problem(repr(other[0]), "an image archive must be a plain .tar", "unpack it first")
        )
        return
    message = f"there is no image archive (.tar); there is {format_names(names)}"
    parts.problems.append(Problem("", message, "add the image: docker save -o NAMESPACE-VERSION.tar IMAGE"))


def format_names(names: list[str]) -> str:
    """The first few names, for a message."""
    if not names:
        return "nothing"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
