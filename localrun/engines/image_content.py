"""The digest of what an image contains: the same in an archive and in any engine.

The id of an image depends on the engine: the digest of its configuration, or of a manifest, which an engine
with containerd's image store may write again when it loads the image.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from localrun.engines.architectures import Platform

_FIELDS = ("Entrypoint", "Cmd", "Env", "User", "WorkingDir", "Labels")


def image_content(platform: Platform, config: Mapping[str, Any], layers: Sequence[str]) -> str:
    """Return the SHA-256 of an image's platform, configuration and uncompressed layers.

    `config` has the fields of Docker's configuration of containers, `layers` are the digests (`diff_ids`).
    Times and the history are not part of it, because they do not change what a container does.
    """
    fields = [config.get(name) or None for name in _FIELDS]
    return hashlib.sha256(
        json.dumps([str(platform), fields, list(layers)], sort_keys=True).encode()
    ).hexdigest()
