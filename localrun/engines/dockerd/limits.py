"""Which resource limits an engine does not enforce, by what it says and by what a container got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from localrun.engines.base import LIMITS

# limit -> the engine's flag that says whether the kernel enforces it
_FLAGS = {"memory": "MemoryLimit", "swap": "SwapLimit", "pids": "PidsLimit", "cpu": "CpuCfsQuota"}
_CONTROLLERS = {"memory": "memory", "swap": "memory", "pids": "pids", "cpu": "cpu"}


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Return whether the engine runs as an ordinary user. Podman 4 says so with a key of its own."""
    return info.get("Rootless") is True or any(
        "name=rootless" in option for option in info.get("SecurityOptions") or []
    )


def unenforced(info: Mapping[str, Any], controllers: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the limits that an engine does not enforce.

    `info` is its description, `controllers` the control groups that it may use; None: not known. A rootless
    engine gets no control groups of version 1, although it may say that limits are supported.
    """
    if info.get("CgroupDriver") == "none" or (is_rootless(info) and str(info.get("CgroupVersion")) == "1"):
        return LIMITS
    missing = {limit for limit, flag in _FLAGS.items() if info.get(flag) is False}
    if controllers is not None:
        missing |= {limit for limit, name in _CONTROLLERS.items() if name not in set(controllers)}
    return in_order(missing)


def discarded(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the limits that an engine has discarded, from the `HostConfig` of a container of localrun."""
    has = {
        "memory": _is_set(host, "Memory"),
        "swap": _is_set(host, "MemorySwap"),
        "pids": _is_set(host, "PidsLimit"),
        "cpu": _is_set(host, "NanoCpus") or _is_set(host, "CpuQuota"),
    }
    return in_order(limit for limit, is_set in has.items() if not is_set)


def _is_set(host: Mapping[str, Any], name: str) -> bool:
    """Return whether a limit is positive; an engine that does not show it at all proves nothing."""
    return name not in host or int(host[name] or 0) > 0


def in_order(limits: Iterable[str]) -> tuple[str, ...]:
    """Return limits in the order of `LIMITS`."""
    found = set(limits)
    return tuple(limit for limit in LIMITS if limit in found)
