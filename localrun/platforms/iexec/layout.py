"""The arguments, file names and environment of an app, like iExec's worker."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localrun.descriptor import synthetic
from localrun.descriptor.synthetic import parameter
from localrun.platforms.iexec.digest import keccak_256

IN, OUT = "/iexec_in", "/iexec_out"
NO_ADDRESS = f"0x{'0' * 40}"
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
MEMORY = "6Gi"  # as in `iapp test`; the worker sets no limit


def split_args(args: str) -> list[str]:
    """Split a command line like the worker.

    Only spaces separate words, both kinds of quotes group them, and a backslash has no special meaning. Empty
    words are dropped. Raises `ValueError` if a quote is not closed.
    """
    words, word, quote = [], "", ""
    for character in args:
        if quote:
            quote, word = ("", word) if character == quote else (quote, word + character)
        elif character in "'\"":
            quote = character
        elif character != " ":
            word += character
        elif word:
            words.append(word)
            word = ""
    if quote:
        raise ValueError(f"unclosed quote {quote}")
    return [*words, word] if word else words


def input_name(url: str) -> str:
    """Return the name below /iexec_in of an input file: the SHA-256 of its URL."""
    return f"0x{hashlib.sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()}"


def dataset_address(text: str) -> str:
    """Return the address of a dataset, which is its file name: its own, or one derived from `text`."""
    if ADDRESS.fullmatch(text):
        return text.lower()
    return f"0x{keccak_256(text.encode('utf-8', 'surrogateescape'))[-20:].hex()}"


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of an app's files below /iexec_in, in order."""

    inputs: Sequence[str] = ()
    datasets: Sequence[str] = ()


def environment(app: str, args: str, names: FileNames, *, callback: bool) -> dict[str, str]:
    """Return the environment of an app, without secrets.

    On iExec a task id derives from a deal on the blockchain. Here the deal id is a hash of the inputs, so
    replicas and reruns have the same ids.
    """
    inputs = json.dumps([app, args, list(names.inputs), list(names.datasets), callback])
    deal = keccak_256(inputs.encode("utf-8", "surrogateescape"))
    found = {
        "IEXEC_TASK_ID": f"0x{keccak_256(deal + bytes(32)).hex()}",
        "IEXEC_DEAL_ID": f"0x{deal.hex()}",
        "IEXEC_TASK_INDEX": "0",
        "IEXEC_IN": IN,
        "IEXEC_OUT": OUT,
        "IEXEC_BOT_SIZE": "1",
        "IEXEC_BOT_FIRST_INDEX": "0",
        "IEXEC_BOT_TASK_INDEX": "0",
        "IEXEC_INPUT_FILES_NUMBER": str(len(names.inputs)),
    }
    if names.inputs:
        found["IEXEC_INPUT_FILES_FOLDER"] = IN
        found |= {f"IEXEC_INPUT_FILE_NAME_{number}": name for number, name in enumerate(names.inputs, 1)}
    return found | _datasets(names.datasets)


def _datasets(names: Sequence[str]) -> dict[str, str]:
    """Return the variables of the datasets; multiple datasets are numbered (a bulk)."""
    single = names[0] if len(names) == 1 else NO_ADDRESS
    found = {"IEXEC_DATASET_ADDRESS": single, "IEXEC_DATASET_FILENAME": single}
    if len(names) > 1:
        found["IEXEC_BULK_SLICE_SIZE"] = str(len(names))
        found |= {f"IEXEC_DATASET_{number}_FILENAME": name for number, name in enumerate(names, 1)}
    return found


def dataset_remedy(log: str) -> str:
    """Return a remedy if an app names the file of a dataset that it does not have, or ''."""
    if f"{IN}/{NO_ADDRESS}" not in log:
        return ""
    return (
        f"{IN}/0x000... is no file: IEXEC_DATASET_FILENAME is all zeros without a dataset; pass one with "
        "`--dataset FILE`, and with multiple datasets read IEXEC_DATASET_1_FILENAME, _2_, ..."
    )


def secret_variables(requester: Mapping[str, str], app: str | None) -> dict[str, str]:
    """Return the variables of the requester's secrets, by number, and of the app developer's secret."""
    found = {f"IEXEC_REQUESTER_SECRET_{number}": value for number, value in requester.items()}
    return found if app is None else {**found, "IEXEC_APP_DEVELOPER_SECRET": app}


def make_descriptor(app: str, names: FileNames) -> bytes:
    """Return a descriptor for an app: a file for each input, and the parts of its result."""
    unique = dict.fromkeys(names.inputs)  # the same file may be passed twice
    files = {name: parameter("file", f"input file {n}") for n, name in enumerate(unique, 1)}
    datasets = {name: parameter("file", f"dataset {n}") for n, name in enumerate(names.datasets, 1)}
    return synthetic.make_descriptor(
        _name(app),
        "iexec_app",
        "local.iexec",
        description=f"the iExec app {app}",
        configuration={
            "input_folder": IN,
            "output_folder": OUT,
            "image": {"file": "/local.iexec-0.0.0.tar"},
            "resources": {"ram": MEMORY, "cpus": 1, "internet": True},
        },
        inputs=files | datasets,
        outputs={
            "digest": parameter("string", "the digest that the workers must agree on"),
            "deterministic_output_path": parameter("string", "the path that the digest covers"),
            "callback_data": parameter("string", "the data that the digest covers, with a callback"),
            "result": parameter("file", "the packed output folder"),
        },
    )


def _name(app: str) -> str:
    """Return a valid descriptor name: the last part of the app's path or image."""
    words = re.sub(r"[^a-zA-Z0-9_-]+", " ", app.rstrip("/").rpartition("/")[2]).strip()[:30].strip()
    return words if len(words) >= 3 else "iExec app"
