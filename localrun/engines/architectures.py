"""Platforms of images and engines: operating system, CPU architecture and variant, e.g. `linux/arm/v7`."""

from __future__ import annotations

import re

import msgspec

from localrun.suggestions import did_you_mean

_ALIASES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm/v7",
    "armel": "arm/v6",
    "armv6l": "arm/v6",
    "armv7l": "arm/v7",
    "i386": "386",
    "i686": "386",
}
# the names of the Go language, which OCI images use
_KNOWN = (
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"),
    *("riscv64", "s390x"),
)
_USUAL_VARIANTS = {"amd64": "v1", "arm64": "v8"}  # as if there was none
ALSO_RUNS = {"amd64": "386", "arm64": "arm"}  # the second architecture that a machine runs natively
_VARIANT = re.compile(r"v?(\d)(?:\.\d)?")


class Platform(msgspec.Struct, frozen=True):
    """A platform. Parts that are not known are empty."""

    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        """Return the known parts, e.g. `linux/arm64`."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def accepts(self, other: Platform) -> bool:
        """Return whether an image for `other` is one for this platform. Unknown parts match anything.

        An ARM machine also runs programs for its earlier variants.
        """
        if other.os not in ("", self.os) or other.architecture not in ("", self.architecture):
            return False
        if self.architecture == "arm" and self.variant and other.variant:
            return other.variant <= self.variant
        return not self.variant or other.variant == self.variant

    def runs(self, other: Platform) -> bool:
        """Return whether a machine of this platform runs programs for `other` without emulation."""
        second = ALSO_RUNS.get(self.architecture)
        return other.os in ("", self.os) and other.architecture in ("", self.architecture, second)


def platform_of(system: str, architecture: str, variant: str = "") -> Platform:
    """Return the platform with the usual names of its parts: `aarch64` is `arm64`, `arm64/v8` too."""
    name, _, implied = _ALIASES.get(architecture.lower(), architecture).partition("/")
    found = _VARIANT.fullmatch(variant)
    variant = f"v{found[1]}" if found else variant
    return Platform(system, name, "" if variant == _USUAL_VARIANTS.get(name) else variant or implied)


def parse_platform(text: str) -> Platform:
    """Parse `linux/ARCHITECTURE[/VARIANT]` or `ARCHITECTURE`, as docker does. Raises `ValueError`."""
    parts = text.lower().split("/")
    if len(parts) == 1:
        parts = ["linux", *parts]
    if len(parts) > 3 or not all(parts) or "," in text:
        raise ValueError(f"invalid platform {text!r}; expected one, e.g. linux/arm64")
    if parts[0] != "linux":
        raise ValueError(f"invalid platform {text!r}: tasks run on linux, e.g. linux/arm64")
    found = platform_of(*parts)
    if found.architecture not in _KNOWN:
        hint = did_you_mean(found.architecture, _KNOWN) or f"expected one of: {', '.join(_KNOWN)}"
        raise ValueError(f"unknown architecture {parts[1]!r} in the platform {text!r}; {hint}")
    return found
