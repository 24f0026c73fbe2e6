"""Names of images, as Docker shows them and as Podman stores them."""

from __future__ import annotations

# what Podman puts before a name: of Docker's registry, and of an image that was built or loaded
_PREFIXES = ("docker.io/library/", "docker.io/", "localhost/")


def familiar_name(stored: str) -> str:
    """Return the name without the prefix that Podman added: `localhost/count:1` is `count:1`."""
    prefix = next((prefix for prefix in _PREFIXES if stored.startswith(prefix)), "")
    return stored.removeprefix(prefix)
