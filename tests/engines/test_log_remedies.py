"""A log that shows what an image lacks gets a remedy that names it."""

from __future__ import annotations

import pytest

from localrun.engines.log_remedies import build_remedy, program_remedy

TRACEBACK = 'Traceback (most recent call last):\n  File "run.py", line 1, in <module>\n'
RESOLVE = "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"


@pytest.mark.parametrize(
    ("log", "parts"),
    [
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'numpy'\n", ["`RUN pip install numpy`"]),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'numpy'\n", ["`pip download -d wheels numpy`"]),
        (f"{TRACEBACK}ModuleNotFoundError: No module named 'cv2'\n", ["pip install opencv-python-headless"]),
        (
            f"{TRACEBACK}ModuleNotFoundError: No module named 'skimage.measure'\n",
            ["pip install scikit-image"],
        ),
        ("ImportError: No module named yaml\n", ["pip install pyyaml"]),
        (
            f"{TRACEBACK}ModuleNotFoundError: No module named 'helpers'\n",
            ["'helpers' is a file of yours, COPY it"],
        ),
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            ["apt-get install -y libgl1`", "`samples/base/make.sh libgl1`"],
        ),
        (
            "libopenslide.so.0: cannot open shared object file: No such file",
            ["apt-get install -y libopenslide0`"],
        ),
        ("libgthread-2.0.so.0: cannot open shared object file", ["libglib2.0-0"]),
        ("libstdc++.so.6: cannot open shared object file", ["libstdc++6"]),
        ("libcuda.so.1: cannot open shared object file", ["`--gpus 1`"]),
        (
            "Error loading shared library libstdc++.so.6: No such file or directory (needed by /x.so)",
            ["`RUN apk add libstdc++`"],
        ),
        ("/bin/sh: 1: convert: not found\n", ["install 'convert' in the image"]),
        ("bash: line 3: gcc: command not found\n", ["install 'gcc' in the image"]),
        ('exec: "uv": executable file not found in $PATH', ["COPY --from=ghcr.io/astral-sh/uv"]),
    ],
)
def test_what_a_program_lacks_is_named_with_the_line_for_the_dockerfile(log: str, parts: list[str]) -> None:
    remedy = program_remedy(log)
    assert all(part in remedy for part in parts), remedy


@pytest.mark.parametrize(
    "log", ["", "ValueError: not found\n", "the file x.tif was not found\n", "error: object not found: 3\n"]
)
def test_another_failure_gets_no_such_remedy(log: str) -> None:
    assert program_remedy(log) == ""
    assert build_remedy("RUN python3 train.py", log) == ""


@pytest.mark.parametrize("tool", ["pip", "pip3"])
def test_a_base_image_without_pip_is_named_as_the_reason(tool: str) -> None:
    assert "base image with pip" in build_remedy(f"RUN {tool} install numpy", f"/bin/sh: {tool}: not found\n")


@pytest.mark.parametrize("tool", ["apt-get", "apt"])
def test_a_base_image_without_apt_points_to_the_script_for_debian_packages(tool: str) -> None:
    remedy = build_remedy(f"RUN {tool} update", f"/bin/sh: 1: {tool}: not found\n")
    assert "`samples/base/make.sh PACKAGE...`" in remedy


def test_a_base_image_without_apk_is_not_alpine() -> None:
    assert "Alpine" in build_remedy("RUN apk add gcc", "/bin/sh: apk: not found\n")


@pytest.mark.parametrize(
    ("instruction", "log", "parts"),
    [
        (
            "RUN pip install --no-cache-dir numpy 'pillow>=10' && rm -rf /tmp/*",
            RESOLVE,
            ["cannot reach the network", "`pip download -d wheels numpy 'pillow>=10'`"],
        ),
        (
            "RUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt",
            RESOLVE,
            [
                "`pip download -d wheels -r requirements.txt`",
                "--no-index --find-links /wheels -r requirements.txt",
            ],
        ),
        ("RUN pip3 install -c lock.txt torch", RESOLVE, ["`pip download -d wheels torch`"]),
        (
            "RUN uv sync --locked",
            "error: Failed to fetch: `https://pypi.org/simple/numpy/`\n Caused by: dns error",
            ["cannot reach the network", "pip download -d wheels -r requirements.txt"],
        ),
        (
            "RUN apt-get update && apt-get install -y --no-install-recommends ffmpeg libsm6 && rm -r /var",
            "W: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'",
            ["`samples/base/make.sh ffmpeg libsm6`"],
        ),
        (
            "RUN apk add --no-cache openslide",
            "WARNING: fetching https://dl-cdn.alpinelinux.org/x: temporary error (try again later)",
            ["`apk fetch -R openslide`", "--no-network"],
        ),
        ("RUN npm ci", "npm error code EAI_AGAIN\nnpm error syscall getaddrinfo", ["COPY node_modules"]),
        ("RUN conda install numpy", "CondaHTTPError: Could not resolve host", ["conda-pack"]),
        (
            "RUN wget https://example.org/weights.h5",
            "wget: bad address 'example.org'",
            ["cannot reach the network", "download the files before the build and COPY them"],
        ),
        ("RUN git clone https://x/y", "fatal: unable to access: Could not resolve host: x", ["COPY them"]),
        (
            "RUN pip install numpy",
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate",
            ["certificate of your proxy", "`pip download -d wheels numpy`"],
        ),
        ("RUN pip install numpy", "error: externally-managed-environment", ["`--break-system-packages`"]),
        ("RUN apt-get install -y ffmpeg", "E: Unable to locate package ffmpeg", ["apt-get update", "ffmpeg"]),
        (
            "RUN pip install --no-index --find-links /wheels scipy",
            "ERROR: No matching distribution found for scipy",
            ["wheel of scipy for the Python version of the image"],
        ),
        (
            "RUN pip install nunpy",
            "ERROR: Could not find a version\nERROR: No matching distribution found for nunpy",
            ["correct the name or version of 'nunpy'", "`pip download -d wheels nunpy`"],
        ),
        (
            "RUN python3 -c 'import numpy'",
            "ModuleNotFoundError: No module named 'numpy'",
            ["pip install numpy"],
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_run_that_fails_gets_the_way_that_works_here(instruction: str, log: str, parts: list[str]) -> None:
    remedy = build_remedy(instruction, log)
    assert all(part in remedy for part in parts), remedy


@pytest.mark.parametrize(
    ("instruction", "log"),
    [
        (
            "COPY --from=ghcr.io/astral-sh/uv:0.4 /uv /bin/",
            'invalid from flag value: Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host',
        ),
        (
            "COPY --link --from=ghcr.io/astral-sh/uv:0.4 /uv /bin/",
            "ERROR: failed to resolve source metadata for ghcr.io/astral-sh/uv:0.4: not found",
        ),
        (
            "RUN --mount=from=ghcr.io/astral-sh/uv:0.4,source=/uv,target=/bin/uv uv sync",
            "failed to resolve source metadata for ghcr.io/astral-sh/uv:0.4: dial tcp: i/o timeout",
        ),
    ],
)
def test_an_image_to_copy_from_that_cannot_be_pulled_may_be_replaced_or_imported(
    instruction: str, log: str
) -> None:
    remedy = build_remedy(instruction, log)
    assert "image 'ghcr.io/astral-sh/uv:0.4' is missing and cannot be pulled" in remedy
    assert "`docker load -i FILE`" in remedy
    assert "`--build-context ghcr.io/astral-sh/uv:0.4=docker-image://NAME`" in remedy


def test_an_image_to_copy_from_may_also_be_a_misspelled_stage() -> None:
    remedy = build_remedy("COPY --from=biulder /x /y", "pull access denied for biulder")
    assert remedy.startswith("correct the name of the stage 'biulder'; or the image")


def test_a_file_that_a_stage_lacks_is_not_taken_for_a_missing_image() -> None:
    reason = 'failed to compute cache key: failed to calculate checksum: "/weights.h5": not found'
    assert "cannot be pulled" not in build_remedy("COPY --from=builder /weights.h5 /", reason)


@pytest.mark.parametrize(
    ("instruction", "log"),
    [
        ("COPY model.h5 /", '"/model.h5" not found: not found'),
        ("COPY model.h5 /", 'failed to calculate checksum of ref x: "/model.h5": not found'),
        (
            "ADD model.h5 /",
            "ADD failed: file not found in build context or excluded by .dockerignore: stat model.h5:"
            " file does not exist",
        ),
        ("RUN --mount=type=bind,source=model.h5,target=/m cat /m", '"/model.h5": not found'),
    ],
)
def test_a_file_that_the_context_lacks_is_named(instruction: str, log: str) -> None:
    assert "add 'model.h5' to the context of the build" in build_remedy(instruction, log)


def test_a_folder_of_wheels_that_is_missing_is_downloaded() -> None:
    remedy = build_remedy(
        "RUN --mount=type=bind,source=wheels,target=/w pip install x", '"/wheels": not found'
    )
    assert remedy == "download the wheels: `pip download -d wheels -r requirements.txt`"
