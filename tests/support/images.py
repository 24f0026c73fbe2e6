"""Generated images: archives of `docker save` with one layer."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localrun.engines.architectures import platform_of
from localrun.engines.image_content import image_content

# inherited by the images that are built from one, and by their containers
LABEL_SESSION = "localrun-test.session"
LABEL_NAME = "localrun-test.name"
SESSION_VARIABLE = "LOCALRUN_TESTS_FOLDER"  # the folder of the test session
BUSYBOX = Path("/bin/busybox")
APPLETS = (
    *("sh", "ls", "cat", "sleep", "id", "touch", "chmod", "chown", "mkdir", "echo", "nslookup", "ping"),
    *("dd", "tail", "head", "true", "false", "wc", "grep", "stat", "rm", "cp", "mv", "ln", "find", "env"),
    *("kill", "ip", "mount", "hostname", "tr", "cut", "sed", "seq", "test", "nc", "ps", "dirname"),
)


def member(
    name: str, data: bytes = b"", *, mode: int = 0o644, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    """Return the tar header of a file or folder."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.type = len(data), mode, kind
    return info


def tar_of(files: Mapping[str, bytes], *, mode: int = 0o644) -> bytes:
    """Return a tar of these files; a name that ends in / is a world-writable folder."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in files.items():
            if name.endswith("/"):
                archive.addfile(member(name, mode=0o777, kind=tarfile.DIRTYPE))
            else:
                archive.addfile(member(name, data, mode=mode), io.BytesIO(data))
    return packed.getvalue()


def busybox_layer(extra: Mapping[str, bytes]) -> bytes:
    """Return a root file system with busybox, its applets, /tmp, and extra executable files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in ("bin", "tmp", "etc"):
            archive.addfile(member(folder, mode=0o1777 if folder == "tmp" else 0o755, kind=tarfile.DIRTYPE))
        data = BUSYBOX.read_bytes()
        archive.addfile(member("bin/busybox", data, mode=0o755), io.BytesIO(data))
        for applet in APPLETS:
            link = member(f"bin/{applet}", kind=tarfile.SYMTYPE)
            link.linkname = "busybox"
            archive.addfile(link)
        for name, data in extra.items():
            archive.addfile(member(name, data, mode=0o755), io.BytesIO(data))
    return packed.getvalue()


def image_archive(
    layer: bytes, name: str | None = None, *, architecture: str = "amd64", **config: Any
) -> bytes:
    """Return an archive of one image. `config`: Entrypoint, Cmd, User, WorkingDir, Labels, ..."""
    # an image of its own for each name, so that loading one never meets the removal of another
    own = {LABEL_SESSION: os.environ.get(SESSION_VARIABLE, ""), LABEL_NAME: name or ""}
    config["Labels"] = own | config.get("Labels", {})
    described = {
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "a test"}],
    }
    text = json.dumps(described).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [name] if name else None, "Layers": ["layer.tar"]}]
    return tar_of({"manifest.json": json.dumps(manifest).encode(), config_name: text, "layer.tar": layer})


def image_id(archive: bytes) -> str:
    """Return the digest of the configuration in an archive: the image's id, except in containerd's store."""
    return f"sha256:{hashlib.sha256(_config_of(archive)).hexdigest()}"


def image_content_of(archive: bytes) -> str:
    """Return the digest of the content of the image in an archive, as `EngineImage.content`."""
    described = json.loads(_config_of(archive))
    platform = platform_of(described["os"], described["architecture"], described.get("variant", ""))
    return image_content(platform, described["config"], described["rootfs"]["diff_ids"])


def _config_of(archive: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest is not None
        config = opened.extractfile(str(json.load(manifest)[0]["Config"]))
        assert config is not None
        return config.read()
