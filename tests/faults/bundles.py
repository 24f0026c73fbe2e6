"""Faults of a request: the bundle, its descriptor, its image, and the input values."""

from __future__ import annotations

from localrun.errors import Cause
from tests.faults.harness import ARM64, SCRIPT, FaultHarness, Row, descriptor
from tests.support import bundles
from tests.support.archives import manifest_json
from tests.support.images import busybox_layer, image_archive, tar_of

_SAVE = "docker save -o"
_AB = """\
inputs:
  a: {type: {id: integer, geq: 3}, description: d, display_name: A}
  b: {type: integer, description: d, display_name: B}
"""


def _zip(bench: FaultHarness, **members: bytes) -> list[object]:
    bundles.zip_of(bench.folder / "bundle.zip", members)
    return ["bundle.zip"]


def _valued(*values: object) -> list[object]:
    return [part for value in values for part in ("-i", value)]


BUNDLES = [
    Row(
        Cause.BUNDLE_INVALID,
        "a missing bundle",
        ("no such file or folder: nothing.zip",),
        "check the name",
        arrange=lambda _: ["nothing.zip"],
    ),
    Row(
        Cause.BUNDLE_INVALID,
        "an unsupported archive",
        ("bundle.zip is not a zip: it is a 7z archive",),
        "zip -0",
        arrange=lambda bench: [bench.write("bundle.zip", b"7z\xbc\xaf\x27\x1c" + bytes(99))],
    ),
    Row(
        Cause.BUNDLE_INVALID,
        "a path out of the archive",
        ("not safe to read", "'../evil'"),
        "zip -0",
        arrange=lambda bench: _zip(bench, **{"../evil": b"x"}),
    ),
    Row(
        Cause.BUNDLE_INVALID,
        "an empty folder",
        ("missing descriptor.yml", "there is no image archive"),
        "add it at the root",
        arrange=lambda bench: [bench.write("empty/README", "hello").parent],
    ),
    Row(
        Cause.DESCRIPTOR_INVALID,
        "a type that does not exist",
        ("outputs.sum.type: unknown type 'integr'",),
        "did you mean 'integer'?",
        arrange=lambda bench: bench.program("true", descriptor("sum: {type: integr}")),
    ),
    Row(
        Cause.DESCRIPTOR_INVALID,
        "a folder of the kernel",
        ("'/proc/task' is in a kernel file system",),
        "such as /inputs",
        arrange=lambda bench: bench.program(
            "true", descriptor().replace("input_folder: /inputs", "input_folder: /proc/task")
        ),
    ),
    Row(
        Cause.INPUTS_INVALID,
        "a value over its limit and a missing value",
        ("inputs.a: 2 is less than 3", "inputs.b: missing required input"),
        "at least 3",
        arrange=lambda bench: [*bench.program("true", descriptor(inputs=_AB))[:-2], *_valued("a=2")],
    ),
    Row(
        Cause.INPUTS_INVALID,
        "a missing file",
        ("inputs.script", "No such file or directory"),
        "check the path",
        arrange=lambda bench: [*bench.program("true")[:-2], *_valued("script=@nothing")],
    ),
    Row(
        Cause.INPUTS_INVALID,
        "an unknown input",
        ("scirpt",),
        "did you mean 'script'?",
        arrange=lambda bench: [*bench.program("true"), *_valued("scirpt=@script")],
    ),
]
IMAGES = [
    Row(
        Cause.IMAGE_INVALID,
        "a truncated archive",
        ("it is truncated",),
        _SAVE,
        arrange=lambda bench: bench.zipped(bundles.image()[:1500]),
    ),
    Row(
        Cause.IMAGE_INVALID,
        "an archive with only its manifest",
        ("the configuration 'x.json' is missing", "'l.tar', is missing"),
        _SAVE,
        arrange=lambda bench: bench.zipped(
            tar_of({"manifest.json": manifest_json("x.json", ["l.tar"], None)})
        ),
    ),
    Row(
        Cause.IMAGE_INVALID,
        "not an archive",
        ("it is not a tar",),
        _SAVE,
        arrange=lambda bench: bench.zipped(b"hello" * 500),
    ),
    Row(
        Cause.IMAGE_MISSING,
        "an image that the engine does not have",
        ("no image localrun-test/nothing:1", "--pull never"),
        "build it",
        script="true",
        more=("--image", "localrun-test/nothing:1"),
    ),
    Row(
        Cause.IMAGE_PULL_FAILED,
        "a registry that does not answer",
        ("cannot pull localhost:1/nothing:1: cannot reach the registry", "connection refused"),
        "check the network",
        script="true",
        more=("--image", "localhost:1/nothing:1", "--pull", "always"),
    ),
    Row(
        Cause.IMAGE_BUILD_FAILED,
        "an instruction that fails",
        ("RUN echo compiling", "non-zero code: 7", "no such header"),
        "/project/Dockerfile",
        arrange=lambda bench: bench.built("FROM IMAGE\nRUN echo compiling; echo no such header; exit 7\n"),
    ),
    Row(
        Cause.IMAGE_BUILD_FAILED,
        "a base image that cannot be pulled",
        ("`FROM localhost:1/nothing:1`",),
        "go online, use a local image",
        arrange=lambda bench: bench.built("FROM localhost:1/nothing:1\n"),
    ),
    Row(
        Cause.IMAGE_BUILD_FAILED,
        "an instruction that does not exist",
        ("Dockerfile:2", "unknown instruction: RUNN"),
        "/project/Dockerfile",
        arrange=lambda bench: bench.built("FROM IMAGE\nRUNN true\n"),
    ),
    Row(
        Cause.IMAGE_PLATFORM,
        "an archive for another platform",
        ("com.example.add-1.0.0.tar is for linux/arm64; the engine runs linux/amd64",),
        "--platform linux/amd64",
        arrange=lambda bench: bench.zipped(
            image_archive(busybox_layer({}), architecture="arm64", Cmd=["sh"])
        ),
    ),
    Row(
        Cause.IMAGE_PLATFORM,
        "an image of the engine for another platform",
        ("built for arm64, but this engine runs amd64", "'/go'"),
        "--platform",
        arrange=lambda bench: bench.loaded(
            tar_of({"go": ARM64, "bin/sh": ARM64}, mode=0o755), architecture="arm64", Cmd=["/go"]
        ),
    ),
]
ROWS = [*BUNDLES, *IMAGES]

__all__ = ["ROWS", "SCRIPT"]
