"""What a test session leaves behind: containers, images, threads and temporary folders.

Every process of a session has a temporary folder and a reservation file of its own, so parallel processes and
other sessions of the machine do not disturb each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from localrun.engines.base import EngineImage
from localrun.engines.dockerd import DockerEngine
from localrun.engines.dockerd.api import label_filter
from localrun.engines.labels import LABEL_HOME, LABEL_TASK
from localrun.errors import EngineError, EngineUnreachable
from tests.support.images import LABEL_SESSION, SESSION_VARIABLE

# variables of the sessions that tests start: a search for plugins takes longer than most of those sessions
INNER_SESSIONS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "localrun.pytest_plugin.plugin,xdist.plugin,pytest_timeout",
}
_POOLS = ("Dask-Offload", "Dask-Callback")
_IMAGES = "images"  # the file with the names of images to remove
OWN_IMAGE_PREFIXES = ("localrun/", "localrun-test/")  # names of images that localrun and its tests create


def create_session_folder() -> Path:
    """Create the temporary folder of the session, inherited by its worker processes."""
    # pytest's own folders stay where they are: the path of a socket has at most 107 bytes
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    root = Path(tempfile.mkdtemp(prefix="lrt-"))
    root.chmod(0o711)  # other users enter it
    os.environ[SESSION_VARIABLE] = str(root)
    return root


def use_own_folder(worker: str) -> None:
    """Give this process a temporary folder and a reservation file of its own."""
    own = Path(os.environ[SESSION_VARIABLE], worker)
    own.mkdir()
    own.chmod(0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(own)
    os.environ["LOCALRUN_LEDGER"] = str(own / "ledger" / "l.json")


def inherited_environment() -> dict[str, str]:
    """Return the environment without localrun's settings, but with the reservation file of this process."""
    kept = {"LOCALRUN_LEDGER", SESSION_VARIABLE}
    return {
        name: value for name, value in os.environ.items() if name in kept or not name.startswith("LOCALRUN_")
    }


def remove_at_end(*images: str) -> None:
    """Remove images at the end of the session: tests with the same content share the image built from it."""
    with Path(os.environ[SESSION_VARIABLE], _IMAGES).open("a") as stream:
        stream.writelines(f"{image}\n" for image in images)


def threads() -> set[str]:
    """Return the threads of this process, without those of pools that Dask keeps until its end."""
    found = threading.enumerate()
    return {f"{thread.name} ({thread.ident})" for thread in found if not thread.name.startswith(_POOLS)}


class LeakCheck:
    """Finds what is left at the end of a session.

    Containers and images are found by the label of the session, containers of tasks also by their home, and
    temporary folders by their place. Images without the label, e.g. of samples, are found if they were added
    since the start and no other session used the engine.
    """

    def __init__(self) -> None:
        self.root = create_session_folder()
        lock = Path(os.environ["PYTEST_DEBUG_TEMPROOT"], ".localrun-tests.lock")  # also in nested sessions
        self.lock = lock.open("ab")
        fcntl.flock(self.lock, fcntl.LOCK_SH)
        self.label = {LABEL_SESSION: str(self.root)}
        self.images = _images()
        self.threads: set[str] = set()
        self.found: list[str] = []

    def finish(self, *folders: Path) -> None:
        """Look for leftovers; the tests have run in these folders."""
        self._remove_images()
        own = {str(path) for path in self.root.glob("*/localrun-*")}
        found = {"containers": _containers(*folders, self.root), "threads": self.threads, "folders": own}
        found["containers"] |= _labelled_containers(self.label)
        found["images"] = _images(self.label) | (_images() - self.images if self._is_alone() else set())
        self.lock.close()
        self.found = [f"{kind}: {', '.join(sorted(names))}" for kind, names in found.items() if names]
        shutil.rmtree(self.root, ignore_errors=True)

    def _remove_images(self) -> None:
        file = self.root / _IMAGES
        names = set(file.read_text().splitlines()) - self.images if file.exists() else set()

        def remove(engine: DockerEngine) -> set[str]:
            for name in names:
                with contextlib.suppress(EngineError):  # in use: reported as a leftover
                    engine.remove_image(name)
            return names

        _ask(remove)

    def _is_alone(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def _containers(*folders: Path) -> set[str]:
    """Return the containers of tasks whose home is below one of these folders."""
    return _ask(
        lambda engine: {
            found.handle
            for found in engine.find({LABEL_TASK: ""})
            if any(Path(found.labels.get(LABEL_HOME, "/")).is_relative_to(folder) for folder in folders)
        }
    )


def _labelled_containers(label: Mapping[str, str]) -> set[str]:
    """Return the containers of images with this label, whatever their names are."""
    query = {"all": 1, **label_filter(label)}
    path = "/containers/json"
    return _ask(lambda engine: {each["Id"] for each in engine.api.json("GET", path, query, action="list")})


def _images(labels: Mapping[str, str] | None = None) -> set[str]:
    """Return the images with names of localrun, and those without a name."""
    return _ask(lambda engine: {name for image in engine.images(labels or {}) for name in _names(image)})


def _names(image: EngineImage) -> Iterator[str]:
    yield from (tag for tag in image.tags if tag.startswith(OWN_IMAGE_PREFIXES))
    if not image.tags or image.tags == ("<none>:<none>",):
        yield f"{image.id} (without a name)"


def _ask(question: Callable[[DockerEngine], set[str]]) -> set[str]:
    """Return the engine's answer; without an engine, there is nothing."""
    try:
        engine = DockerEngine(os.environ.get("DOCKER_HOST"))
    except EngineUnreachable:
        return set()
    try:
        return question(engine)
    except EngineUnreachable:
        return set()
    finally:
        engine.close()
