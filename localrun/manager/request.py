"""The request for a task: a bundle, its inputs, limits and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from localrun.bundle.images.build_options import FolderBuild
from localrun.descriptor import Descriptor
from localrun.engines.base import BuildSecret, EngineImage
from localrun.errors import UsageError
from localrun.settings.model import NO_DEFAULTS, Defaults
from localrun.task.options import RunOptions
from localrun.task.record import BatchRow, Resources

if TYPE_CHECKING:
    from localrun.bundle.reader import Bundle
    from localrun.platforms.iexec import IexecInputs


class ReadBundle(msgspec.Struct, frozen=True):
    """A bundle that was read, and its image, which the engine has."""

    bundle: Bundle
    image: EngineImage


class Request(RunOptions, frozen=True):
    """The request for a task.

    `bundle` is read from disk. Alternatively, `image` and the text of a `descriptor` describe the task; a
    `bundle` with a `descriptor` provides only its image. `assignments` are `name=VALUE` strings, parsed by
    the input's type; they override `values`, which override the files in `inputs_folder`, and these the
    inputs of the settings in `default_inputs`. `find_file` returns the path of a file named in `values`, or
    refuses it, for clients that may not read every file of this user. `downloads` maps inputs to their URL
    and SHA-256 (or an empty string). With `wait_for_inputs`, a task with missing inputs waits for them. A
    `held` task gets its inputs later, and starts on request. `secrets` are environment variables whose values
    are masked everywhere. `build_secrets` are for the build of the image. `metadata` are JSON values by key
    for the user's own use. `submitted` is the JSON object that the request was read from. `batch` is the row
    that the task runs. `read` is the bundle if it was read before, for many tasks of one bundle.
    """

    bundle: Path
    descriptor: bytes | None = None
    values: Mapping[str, Any] = msgspec.field(default_factory=dict)
    inputs_folder: Path | None = None
    assignments: Sequence[str] = ()
    default_inputs: Defaults = NO_DEFAULTS
    wait_for_inputs: bool = False
    held: bool = False
    find_file: Callable[[str], Path] | None = None
    secrets: Mapping[str, str] = msgspec.field(default_factory=dict)
    build_secrets: Sequence[BuildSecret] = ()
    downloads: Mapping[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    warnings: Sequence[str] = ()
    assigned_by: str = ""
    rerun_of: str = ""
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    submitted: Mapping[str, Any] | None = None
    batch: BatchRow | None = None
    read: ReadBundle | None = None

    def resources(self, descriptor: Descriptor) -> Resources:
        """Return what the task requests: the resources of the descriptor, unless the request has others."""
        default = descriptor.resources
        return Resources(
            cpus=default.cpus if self.cpus is None else self.cpus,
            memory=default.memory if self.memory is None else self.memory,
            gpus=default.gpus if self.gpus is None else self.gpus,
        )

    @property
    def build(self) -> FolderBuild:
        """The options of the build."""
        present = {secret.id for secret in self.build_secrets}
        return FolderBuild(
            dockerfile=self.dockerfile,
            context=self.context,
            target=self.target,
            build_args=self.build_args,
            secrets=tuple(self.build_secrets),
            contexts=self.build_contexts,
            platform=self.platform,
            mounted=tuple(mount.source for mount in self.bind_mounts),
            lost_secrets=tuple(name for name in self.build_secret_ids if name not in present),
        )


def to_iexec_request(request: Request, inputs: IexecInputs, app: str = "") -> Request:
    """Return the request as a task of iExec's worker, with the app's inputs.

    The bundle of the request is a folder to build, an image archive, or an image name. `app` is the app as
    the user wrote it, which a `Path` does not preserve.
    Raises `UsageError` for named inputs, which an app does not have, and `InputsError` with all problems.
    """
    if request.values or request.assignments or request.inputs_folder:
        remedy = "pass arguments, input files and datasets instead"
        raise UsageError("an iExec app has no named inputs", remedy=remedy)
    from localrun.platforms import iexec

    app = app or str(request.bundle)
    source: dict[str, Any] = {}
    if not request.image:
        is_path = app.startswith((".", "/", "~")) or app.endswith((".zip", ".tar")) or Path(app).exists()
        source = {"bundle": Path(app)} if is_path else {"bundle": Path(), "image": app}
    prepared = iexec.prepare(request.image or app, inputs, request.find_file)
    return request.replace(
        **source,
        profile="iexec",
        callback=inputs.callback,
        descriptor=prepared.descriptor,
        values=prepared.files,
        downloads=prepared.downloads,
        command=prepared.command,
        environment={**request.environment, **prepared.environment},
        secrets=prepared.secrets,
        warnings=prepared.warnings,
        writable_inputs=True,
        default_inputs=NO_DEFAULTS,  # these are among the inputs of the app
    )
