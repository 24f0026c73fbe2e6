"""Loading into a real engine: by id, once, without changing the user's tags."""

from __future__ import annotations

import gzip
import io
import json
import secrets
import shutil
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace

from localrun.bundle.images.archive import inspect
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.load import select_image
from localrun.bundle.images.retag import local_name, retag
from localrun.bundle.images.source import ArchivedImage, ImageArchive
from localrun.engines.base import Engine, EngineImage, EngineInfo
from localrun.engines.dockerd import DockerEngine
from localrun.engines.fake import FakeEngine
from localrun.engines.fake.engine import INFO as INFO_OF_FAKE
from localrun.errors import Cause, EngineError, ImageError, TaskKilled
from tests.support.archives import (
    LAYER,
    attestation,
    manifest_json,
    nested,
    oci_image,
    oci_layout,
    old_save,
    write_and_inspect,
)
from tests.support.images import LABEL_NAME, image_archive, image_id, tar_of

INFO = EngineInfo("test", "1", "linux", "amd64", 1, 1, "/")


@dataclass
class Shelf:
    """An engine that only stores images and counts calls."""

    info_: EngineInfo = INFO
    kept: dict[str, EngineImage] = field(default_factory=dict)
    loaded: list[dict[str, bytes]] = field(default_factory=list)
    gives_own_ids: bool = False

    def info(self) -> EngineInfo:
        return self.info_

    def find_image(self, reference: str) -> EngineImage | None:
        return self.kept.get(reference)

    def load_image(self, archive: Iterable[bytes]) -> str:
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as opened:
            members = {item.name: cast(io.BufferedReader, opened.extractfile(item)).read() for item in opened}
        self.loaded.append(members)
        config = str(json.loads(members["manifest.json"])[0]["Config"])
        name = "sha256:" + ("f" * 64 if self.gives_own_ids else config.removesuffix(".json"))
        self.kept[name] = EngineImage(name, "linux", "amd64", 1)
        return name


def ensure(
    archive: ImageArchive, engine: object, cache: Path, *, check: Callable[[], None] = lambda: None
) -> EngineImage:
    return ensure_image(archive, cast(Engine, engine), cache=cache, check_cancelled=check)


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return tmp_path / "lab-1.tar"


# -- selected image, and the archive for the engine


def test_the_engine_sees_one_image_under_our_name_and_nothing_else(tar: Path, tmp_path: Path) -> None:
    shelf = Shelf()
    archive = write_and_inspect(tar, old_save(["victim:latest"]))
    ensure(archive, shelf, tmp_path)
    manifest = json.loads(shelf.loaded[0]["manifest.json"])
    assert [entry["RepoTags"] for entry in manifest] == [[local_name(archive.images[0])]]
    assert set(shelf.loaded[0]) == {"manifest.json", manifest[0]["Config"], *manifest[0]["Layers"]}
    assert "victim" not in str(shelf.loaded)


def test_an_image_that_is_there_is_not_loaded_again(tar: Path, tmp_path: Path) -> None:
    shelf = Shelf()
    archive = write_and_inspect(tar, old_save())
    first = ensure(archive, shelf, tmp_path)
    assert ensure(archive, shelf, tmp_path) == first
    assert len(shelf.loaded) == 1


def test_an_engine_with_ids_of_its_own_loads_once_too(tar: Path, tmp_path: Path) -> None:
    shelf = Shelf(gives_own_ids=True)
    archive = write_and_inspect(tar, old_save())
    assert ensure(archive, shelf, tmp_path).id == "sha256:" + "f" * 64
    ensure(archive, shelf, tmp_path)
    assert len(shelf.loaded) == 1


def test_an_image_that_went_meanwhile_is_loaded_again(tar: Path, tmp_path: Path) -> None:
    shelf = Shelf(gives_own_ids=True)
    archive = write_and_inspect(tar, old_save())
    ensure(archive, shelf, tmp_path)
    shelf.kept.clear()
    ensure(archive, shelf, tmp_path)
    assert len(shelf.loaded) == 2


def test_the_image_of_the_engines_platform_is_taken(tar: Path) -> None:
    both = write_and_inspect(
        tar, oci_layout(nested(oci_image(), oci_image(architecture="arm64"), attestation()))
    )
    assert select_image(both, INFO).architecture == "amd64"
    other = EngineInfo("test", "1", "linux", "aarch64", 1, 1, "/")
    assert select_image(both, other).architecture == "arm64"


def test_an_image_for_other_platforms_only_is_refused_with_their_names(tar: Path, tmp_path: Path) -> None:
    archive = write_and_inspect(
        tar, oci_layout(oci_image(architecture="arm64"), oci_image(architecture="s390x"))
    )
    with pytest.raises(
        ImageError, match=r"is for linux/arm64, linux/s390x; the engine runs linux/amd64"
    ) as caught:
        ensure(archive, Shelf(), tmp_path)
    assert caught.value.cause is Cause.IMAGE_PLATFORM


def test_progress_counts_every_byte_up_to_the_total(tar: Path) -> None:
    archive = write_and_inspect(tar, old_save(layer=bytes(3_000_000)))
    seen: list[tuple[int, int | None]] = []
    for _ in retag(archive, archive.images[0], lambda _what, done, total: seen.append((done, total))):
        pass
    assert seen[0] == (0, archive.images[0].size)
    assert seen[-1] == (archive.images[0].size, archive.images[0].size)
    assert len(seen) > 3


def test_an_archive_that_was_exchanged_after_it_was_looked_into_is_refused(tar: Path, tmp_path: Path) -> None:
    archive = write_and_inspect(tar, old_save())
    members = old_save()
    name = archive.images[0].config
    tar.write_bytes(tar_of({**members, name: members[name].replace(b"/hello", b"/hullo")}))
    with pytest.raises(ImageError, match="its configuration has changed"):
        ensure(archive, Shelf(), tmp_path)


def test_an_archive_that_lost_a_layer_after_it_was_looked_into_is_refused(tar: Path, tmp_path: Path) -> None:
    archive = write_and_inspect(tar, old_save())
    tar.write_bytes(tar_of({"other": b""}))
    with pytest.raises(ImageError, match="is missing"):
        ensure(archive, Shelf(), tmp_path)


# -- engines whose ids are not those of archives


CONTAINERD = replace(INFO_OF_FAKE, image_ids="manifest", verifies_layers=False)


def load_count(engine: FakeEngine, archive: ImageArchive, cache: Path, platform: str = "") -> int:
    """Return how often the archive is loaded to have its image for a platform."""
    loads: list[str] = []
    ensure_image(
        archive, engine, cache=cache, platform=platform, progress=lambda what, *_: loads.append(what)
    )
    return len(set(loads))


def test_an_image_is_not_loaded_again_by_a_process_with_another_cache(tar: Path, tmp_path: Path) -> None:
    engine = FakeEngine(info=CONTAINERD)
    archive = write_and_inspect(tar, old_save())
    assert load_count(engine, archive, tmp_path / "one") == 1
    assert load_count(engine, archive, tmp_path / "two") == 0
    assert engine.find_image(archive.images[0].id) is None  # the engine does not know this id


def test_an_image_that_docker_has_loaded_under_another_name_is_not_loaded_again(
    tar: Path, tmp_path: Path
) -> None:
    engine = FakeEngine(info=CONTAINERD)
    engine.load_image([tar_of(old_save(["theirs:1"]))])
    assert load_count(engine, write_and_inspect(tar, old_save(["other:2"])), tmp_path) == 0


def test_an_image_is_found_by_the_digest_of_its_manifest_or_index(
    tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = nested(oci_image(), oci_image(architecture="arm64"))
    archive = write_and_inspect(tar, oci_layout(both))
    index = both.descriptor["digest"]
    assert all(index in image.manifests for image in archive.images)
    assert len({image.manifests for image in archive.images}) == 2
    chosen = archive.images[0]
    engine = FakeEngine(info=CONTAINERD)
    found = EngineImage(index, "linux", "amd64", 1, content=chosen.content)
    asked: list[str] = []

    def find_image(name: str, platform: str = "") -> EngineImage | None:
        asked.append(platform)
        return found if name == index else None

    monkeypatch.setattr(engine, "find_image", find_image)
    assert ensure(archive, engine, tmp_path).id == index
    assert set(asked) == {"linux/amd64"}  # the index has more than one


def test_another_image_with_the_name_of_a_loaded_one_is_not_used(tar: Path, tmp_path: Path) -> None:
    engine = FakeEngine(info=CONTAINERD)
    archive = write_and_inspect(tar, old_save())
    other = engine.add_image("someone/else:1")
    engine.tag_image(other.id, local_name(archive.images[0]))
    assert load_count(engine, archive, tmp_path) == 1


DAMAGED: dict[str, Callable[[], dict[str, bytes]]] = {
    "another layer": lambda: {**old_save(), "abc/layer.tar": tar_of({"hello": b"other"})},
    "no layer": lambda: {**old_save(), "abc/layer.tar": b"x" * 10240},
    "another layer with gzip": lambda: with_layer(gzip.compress(tar_of({"hello": b"other"}))),
    "a changed bit": lambda: with_layer(flipped(gzip.compress(LAYER, mtime=0))),
    "half a layer": lambda: with_layer(gzip.compress(LAYER, mtime=0)[:-40]),
}


def with_layer(layer: bytes) -> dict[str, bytes]:
    """Return an OCI layout whose layer was replaced after its digest was computed."""
    members = oci_layout(oci_image())
    (name,) = (name for name, data in members.items() if data.startswith(b"\x1f\x8b"))
    return {**members, name: layer}


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_layer_is_found_although_the_engine_does_not_check_it(
    what: str, tar: Path, tmp_path: Path
) -> None:
    engine = FakeEngine(info=CONTAINERD)
    archive = write_and_inspect(tar, DAMAGED[what]())
    with pytest.raises(ImageError, match=r"lab-1\.tar: the layer '.*' is damaged") as caught:
        ensure(archive, engine, tmp_path)
    assert caught.value.cause is Cause.IMAGE_INVALID
    assert engine.images({}) == []


@pytest.mark.parametrize("packed", [True, False])
def test_an_undamaged_layer_passes_the_check(packed: bool, tar: Path, tmp_path: Path) -> None:
    engine = FakeEngine(info=CONTAINERD)
    assert ensure(write_and_inspect(tar, oci_layout(oci_image(packed=packed))), engine, tmp_path).content


# -- platforms


def test_the_image_of_the_requested_platform_is_taken(tar: Path, tmp_path: Path) -> None:
    archive = write_and_inspect(
        tar,
        oci_layout(oci_image(), oci_image(architecture="arm", variant="v6"), oci_image(architecture="arm64")),
    )
    chosen = {name: select_image(archive, INFO, name).platform for name in ("linux/arm64", "linux/arm/v7")}
    assert chosen == {"linux/arm64": "linux/arm64", "linux/arm/v7": "linux/arm/v6"}
    assert select_image(archive, INFO).architecture == "amd64"
    with pytest.raises(ImageError, match="not for linux/s390x") as caught:
        select_image(archive, INFO, "linux/s390x")
    assert caught.value.cause is Cause.IMAGE_PLATFORM


def test_an_archive_for_another_platform_is_loaded_on_request(tar: Path, tmp_path: Path) -> None:
    engine = FakeEngine()
    archive = write_and_inspect(tar, oci_layout(oci_image(architecture="arm64")))
    with pytest.raises(ImageError, match=r"--platform linux/arm64"):
        ensure(archive, engine, tmp_path)
    assert load_count(engine, archive, tmp_path, "linux/arm64") == 1
    assert load_count(engine, archive, tmp_path) == 0


def test_an_archive_that_newer_versions_of_docker_save_has_each_name_once(tar: Path) -> None:
    named = oci_image().renamed(annotations={"io.containerd.image.name": "docker.io/lab/count:2"})
    layout = oci_layout(named)
    (text,) = (name for name, data in layout.items() if b"rootfs" in data)
    (layer,) = (name for name, data in layout.items() if data.startswith(b"\x1f\x8b"))
    layout["manifest.json"] = manifest_json(text, [layer], ["lab/count:2"])
    (image,) = write_and_inspect(tar, layout).images
    assert image.tags == ("lab/count:2",)


# -- on a real engine


@pytest.fixture
def engine(docker_engine: DockerEngine) -> DockerEngine:
    return docker_engine


@dataclass
class Marked:
    """A unique layer, and the images made from it, for the cleanup."""

    text: str = field(default_factory=lambda: secrets.token_hex(8))
    names: list[str] = field(default_factory=list)

    @property
    def layer(self) -> bytes:
        return tar_of({"mark": self.text.encode()})

    def name(self, repository: str) -> str:
        self.names.append(f"localrun-test/{repository}:{self.text}")
        return self.names[-1]

    def look(self, tar: Path, members: dict[str, bytes] | bytes) -> ImageArchive:
        return self.noted(write_and_inspect(tar, members))

    def noted(self, archive: ImageArchive) -> ImageArchive:
        self.names += [local_name(image) for image in archive.images]
        return archive


def is_the_same(made: EngineImage, archived: ArchivedImage, engine: Engine) -> bool:
    """Return whether an image of the engine is the one of the archive, by content and by id."""
    return made.content == archived.content and (
        engine.info().image_ids == "manifest" or made.id == archived.id
    )


@pytest.fixture
def mark(engine: DockerEngine) -> Iterator[Marked]:
    made = Marked()
    yield made
    for name in made.names:
        engine.remove_image(name)


FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "old docker save": lambda layer: tar_of(old_save(layer=layer)),
    "oci": lambda layer: tar_of(oci_layout(oci_image(layer, packed=False))),
    "oci with gzip layers": lambda layer: tar_of(oci_layout(oci_image(layer))),
    "oci with attestations and platforms": lambda layer: tar_of(
        oci_layout(nested(attestation(), oci_image(layer, architecture="arm64"), oci_image(layer)))
    ),
}


@pytest.mark.docker
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_loads_under_the_id_found_inside(
    form: str, engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    archive = mark.look(tar, FORMATS[form](mark.layer))
    chosen = select_image(archive, engine.info())
    made = ensure(archive, engine, tmp_path)
    assert is_the_same(made, chosen, engine)
    assert made.tags == (local_name(chosen),)


@pytest.mark.docker
def test_what_docker_save_writes_loads_again(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    name = mark.name("saved")
    packed = image_archive(mark.layer, name, Cmd=["/x"])
    engine.load_image([packed])
    subprocess.run(["docker", "save", "-o", str(tar), name], check=True)
    engine.remove_image(name)
    archive = mark.noted(inspect(FileSpan(tar, 0, tar.stat().st_size), tar.name))
    assert [tag.removeprefix("localhost/") for tag in archive.images[0].tags] == [name]  # so Podman calls it
    assert archive.images[0].id == image_id(packed)
    assert is_the_same(ensure(archive, engine, tmp_path), archive.images[0], engine)
    assert engine.find_image(name) is None


@pytest.mark.docker
def test_a_tag_of_the_users_is_neither_created_moved_nor_removed(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    name = mark.name("shared")
    theirs = engine.load_image([image_archive(Marked().layer, name)])
    ours = image_archive(mark.layer, name)
    archive = mark.look(tar, ours)
    made = ensure(archive, engine, tmp_path)
    found = engine.find_image(name)
    assert is_the_same(made, archive.images[0], engine)
    assert made.id != theirs
    assert found is not None
    assert found.id == theirs


@pytest.mark.docker
def test_an_image_that_the_user_has_under_another_name_is_not_loaded(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    name = mark.name("mine")
    same = {LABEL_NAME: "the same image"}
    engine.load_image([image_archive(mark.layer, name, Labels=same)])
    made = ensure(mark.look(tar, image_archive(mark.layer, "other/name:2", Labels=same)), engine, tmp_path)
    assert made.tags == (name,)


@pytest.mark.docker
def test_an_archive_inside_a_zip_is_loaded_from_there(
    engine: DockerEngine, mark: Marked, tmp_path: Path
) -> None:
    from localrun.bundle.zip import open_zip

    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("i-1.tar", tar_of(oci_layout(oci_image(mark.layer))))
    with open_zip(path) as packed:
        found = mark.noted(inspect(packed.span("i-1.tar"), "i-1.tar"))
    assert is_the_same(ensure(found, engine, tmp_path / "cache"), found.images[0], engine)


@pytest.mark.docker
def test_a_layer_that_does_not_fit_is_refused_and_nothing_stays(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    broken = {**old_save(layer=mark.layer), "abc/layer.tar": Marked().layer}
    archive = mark.look(tar, broken)
    with pytest.raises(ImageError, match=r"(?s)lab-1\.tar: .*(layer|Digest did not match)"):
        ensure(archive, engine, tmp_path)
    assert [engine.find_image(name) for name in (archive.images[0].id, *mark.names)] == [None, None]


@pytest.mark.docker
def test_a_cancelled_load_leaves_nothing_and_the_next_one_succeeds(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    archive = mark.look(tar, old_save(layer=tar_of({mark.text: bytes(8_000_000)})))
    calls = iter(range(100))

    def check() -> None:
        if next(calls) >= 4:
            raise TaskKilled("enough")

    with pytest.raises(TaskKilled):
        ensure(archive, engine, tmp_path, check=check)
    assert [engine.find_image(name) for name in (archive.images[0].id, *mark.names)] == [None, None]
    assert is_the_same(ensure(archive, engine, tmp_path), archive.images[0], engine)


PROGRAM = """
    import os
    import sys
    from pathlib import Path
    from localrun.bundle.images.ensure import ensure_image
    from localrun.engines.dockerd import DockerEngine
    from localrun.bundle.images.archive import inspect
    from localrun.bundle.images.compressed import FileSpan

    tar, cache = map(Path, sys.argv[1:])
    archive = inspect(FileSpan(tar, 0, tar.stat().st_size), tar.name)
    loaded = []
    engine = DockerEngine(os.environ.get("DOCKER_HOST"))
    print("ready", flush=True)
    sys.stdin.readline()
    made = ensure_image(archive, engine, cache=cache, progress=lambda *step: loaded.append(step))
    print(made.content, bool(loaded))
    engine.close()
"""


@pytest.mark.docker
def test_two_processes_load_an_image_once(
    engine: DockerEngine, mark: Marked, tar: Path, tmp_path: Path
) -> None:
    archive = mark.look(tar, old_save(layer=tar_of({mark.text: bytes(30_000_000)})))
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tar), str(tmp_path / "cache")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, text=True, **pipes) as one,  # type: ignore[call-overload]
        subprocess.Popen(command, text=True, **pipes) as two,  # type: ignore[call-overload]
    ):
        both = (one, two)
        assert [process.stdout.readline() for process in both] == ["ready\n"] * 2
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        said = sorted(process.stdout.read().split() for process in both)
    assert said == [[archive.images[0].content, "False"], [archive.images[0].content, "True"]]


def test_an_engine_that_forgets_at_once_is_an_error_of_the_engine(tar: Path, tmp_path: Path) -> None:
    shelf = Shelf()
    shelf.find_image = lambda reference: None  # type: ignore[method-assign]
    with pytest.raises(EngineError, match="but the image is gone"):
        ensure(write_and_inspect(tar, old_save()), shelf, tmp_path)


def test_an_image_is_not_loaded_if_it_does_not_fit_on_the_disk_of_the_engine(
    tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_and_inspect(tar, old_save())
    usage = shutil.disk_usage(tmp_path)._replace(free=archive.images[0].size - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    shelf = Shelf()
    with pytest.raises(ImageError, match="not enough space on the engine's disk at / to load") as caught:
        ensure(archive, shelf, tmp_path)
    assert (caught.value.cause, shelf.loaded) == (Cause.DISK_FULL, [])


def test_the_disk_of_a_remote_engine_is_not_checked(
    tar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_and_inspect(tar, old_save())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: pytest.fail("there is no such folder here"))
    shelf = Shelf(replace(INFO, root="/not/on/this/machine"))
    ensure(archive, shelf, tmp_path)
    assert len(shelf.loaded) == 1
