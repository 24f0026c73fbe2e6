"""A shell in the container of a task, in place of its program."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Literal, NamedTuple, Protocol

from msgspec.structs import replace

from localrun.bundle.images.source import ImageSource
from localrun.bundle.validation.container_files import open_container_files
from localrun.descriptor import Descriptor
from localrun.engines.base import ContainerSpec, Engine, EngineImage, Mount
from localrun.engines.session import ContainerSession
from localrun.runner.busybox import PLACE, find_busybox
from localrun.runner.runner import Runner, TaskRun
from localrun.task.active import ActiveTask
from localrun.task.outcome import Outcome
from localrun.task.states import StepName, TaskState

_SHELLS = ("/bin/bash", "/bin/sh")


class Shell(NamedTuple):
    """A shell of an image: its command, and this machine's program to mount, if the image has none."""

    command: tuple[str, ...]
    mount: Mount | None = None


class Terminal(Protocol):
    """The user's side of a session."""

    kind: Literal["pipe", "terminal"]

    def open(self, task: ActiveTask, image: EngineImage, shell: Shell) -> None:
        """Say what is opened, before the shell starts."""

    def connect(self, session: ContainerSession, resize: Callable[[int, int], None]) -> None:
        """Pass input and output on until the session ends. `resize` takes rows and columns."""


def open_shell(
    runner: Runner,
    task: ActiveTask,
    descriptor: Descriptor,
    source: ImageSource,
    terminal: Terminal,
) -> None:
    """Open a shell in the setup of a provisioned task, and end the task with it.

    An error ends the task, as in `Runner.execute`.
    """
    run = _ShellRun(runner, task, descriptor, terminal)
    runner.run(task, lambda: run.run(source), run.clean_up)


def find_shell(engine: Engine, image: EngineImage) -> Shell:
    """Return the shell of an image, or this machine's busybox. Raises `UsageError` without one."""
    with open_container_files(engine, image.id) as files:
        for path in _SHELLS:
            found = files.find(path)
            if found is not None and found.kind == "file" and found.is_executable:
                return Shell((path,))
    program = find_busybox(image.architecture)
    return Shell((PLACE, "sh"), Mount(program, PLACE))


class _ShellRun(TaskRun):
    """The run of a task whose program is a shell. Its outputs are not collected."""

    def __init__(self, runner: Runner, task: ActiveTask, descriptor: Descriptor, terminal: Terminal) -> None:
        super().__init__(runner, task, descriptor)
        self._terminal = terminal
        self._shell = Shell(())

    def run(self, source: ImageSource) -> Outcome:
        self._admit()
        self.task.transition(TaskState.PENDING)
        image = self.ensure_image(source)
        self._shell = find_shell(self.engine, image)
        self._permissions()
        self._create()
        return self._converse(image)

    def _with_environment(self, spec: ContainerSpec) -> ContainerSpec:
        spec = super()._with_environment(spec)
        more = () if self._shell.mount is None else (self._shell.mount,)
        return replace(
            spec,
            entrypoint=self._shell.command,
            command=(),
            mounts=(*spec.mounts, *more),
            interactive=self._terminal.kind,
        )

    def _converse(self, image: EngineImage) -> Outcome:
        assert self.handle is not None
        handle = self.handle
        self.task.start_step(StepName.TASK, "container")
        with closing(self.engine.connect(handle)) as session:
            self._terminal.open(self.task, image, self._shell)
            self.engine.start(handle)
            self.task.transition(TaskState.RUNNING)
            self.task.check_cancelled()
            self._terminal.connect(session, lambda rows, columns: self.engine.resize(handle, rows, columns))
        self.task.check_cancelled()
        return Outcome(TaskState.FINISHED, {"exit_code": self.engine.wait(handle).code})
