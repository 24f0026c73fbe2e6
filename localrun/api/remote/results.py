"""Download the outputs of a run into a folder with App Engine's layout."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from localrun import fs
from localrun.api.remote.client import AppEngineClient, Refusal, describe
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, Image

_MOST_ENTRIES = 100_000


def download_outputs(client: AppEngineClient, run: str, descriptor: Descriptor, folder: Path) -> list[str]:
    """Download every output into `folder`, which is created. Return what could not be downloaded."""
    problems = []
    folder.mkdir(parents=True)
    for name, parameter in descriptor.outputs.items():
        target = folder / name
        with fs.temp_file(target) as draft:
            answer = client.download_output(run, name, draft)
            if not answer.is_ok:
                problems.append(f"{name}: {describe(answer)}")
            elif isinstance(parameter.type, Array) or (
                isinstance(parameter.type, Image) and _is_slide(draft, name)
            ):
                _unpack(draft, name, folder)
            else:
                draft.replace(target)
    return problems


def _is_slide(path: Path, name: str) -> bool:
    """Whether a file is a zip of a folder with this name, which is how the server sends a folder."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.startswith(f"{name}/") for entry in archive.namelist())


def _unpack(path: Path, name: str, folder: Path) -> None:
    """Unpack a zip whose entries must lie below `name`. Raises `Refusal` for another one."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > _MOST_ENTRIES or not all(_is_inside(entry.filename, name) for entry in entries):
                raise Refusal(f"the server sent an invalid zip of the output {name!r}", remedy="report it")
            (folder / name).mkdir()
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as stream:
                    shutil.copyfileobj(source, stream)
    except (zipfile.BadZipFile, NotImplementedError, FileExistsError) as error:
        message = f"the server sent an invalid zip of the output {name!r}: {error}"
        raise Refusal(message, remedy="report it") from error


def _is_inside(entry: str, name: str) -> bool:
    parts = PurePosixPath(entry).parts
    return len(parts) > 1 and parts[0] == name and ".." not in parts and "\0" not in entry
