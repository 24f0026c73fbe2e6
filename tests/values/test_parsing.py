"""Values from users become files in the input folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from localrun import values
from localrun.descriptor import Descriptor
from localrun.errors import Cause, InputsError, LocalrunError
from localrun.task.file_state import FileState
from localrun.values import FileValue, ProvisionedInputs
from localrun.values.parsing import load_values
from tests.support.descriptors import make, parameter
from tests.support.image_files import dicom, png
from tests.support.work import cpu_seconds

POINT = '{ "type": "Point", "coordinates": [1.50, 2]}'
ARRAY = {"id": "array", "subtype": "integer"}


def parse(descriptor: Descriptor, *pairs: str) -> dict[str, Any]:
    assigned = values.parse_assignments(pairs, descriptor)
    if assigned.problems:
        raise InputsError("refused", problems=assigned.problems)
    return assigned.values


def refused(call: Any, *arguments: Any, **options: Any) -> list[str]:
    with pytest.raises(InputsError) as caught:
        call(*arguments, **options)
    return [str(problem) for problem in caught.value.problems]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def lay(folder: Path, inputs: dict[str, Any], given: dict[str, Any], **options: Any) -> ProvisionedInputs:
    return values.provision(make(inputs), given, folder / "in", **options)


class TestAssignments:
    @pytest.mark.parametrize("name", ["images[0]", "images/0", "images.0"])
    def test_a_single_item_is_refused_with_the_way_to_set_items(self, name: str) -> None:
        described = make({"images": {"id": "array", "subtype": "image"}})
        found = values.parse_assignments([f"{name}=@a.png"], described)
        (problem,) = found.problems
        assert problem.message == f"cannot set a single item {name!r}"
        assert problem.remedy == "repeat images=VALUE for each item, or pass a list"

    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            ("integer", "3", 3),
            ("integer", "0x10", 16),
            ("boolean", "true", True),
            ("number", "1e3", 1000.0),
            ("string", "3", "3"),
            ("string", "", ""),
            ("string", "a=b", "a=b"),
            ("string", "@@home", "@home"),
            ({"id": "enumeration", "values": ["a"]}, "a", "a"),
            ("datetime", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("geometry", POINT, POINT),
            ("file", "@scan.png", FileValue(Path("scan.png"))),
            (ARRAY, "[1, 2]", [1, 2]),
            (ARRAY, "1", [1]),
            (ARRAY, "@list.json", FileValue(Path("list.json"))),
            (
                {"id": "array", "subtype": "image"},
                '["@a", "@b"]',
                [FileValue(Path("a")), FileValue(Path("b"))],
            ),
            ({"id": "array", "subtype": "string"}, "@@x", ["@x"]),
        ],
    )
    def test_a_value_is_read_by_the_parameters_type(self, kind: Any, text: str, value: Any) -> None:
        assert parse(make({"x": parameter(kind)}), f"x={text}") == {"x": value}

    def test_an_array_can_be_given_item_by_item(self) -> None:
        descriptor = make({"xs": ARRAY, "m": {"id": "array", "subtype": ARRAY}})

        assert parse(descriptor, "xs=1", "m=[1]", "xs=2", "m=[2, 3]") == {"xs": [1, 2], "m": [[1], [2, 3]]}

    def test_everything_that_is_wrong_is_told_at_once(self) -> None:
        descriptor = make({"threshold": "number", "xs": ARRAY, "on": "boolean"})

        assert refused(parse, descriptor, "treshold=1", "on", "xs=1", "xs=a", "on=yes", "threshold=x") == [
            "inputs.treshold: unknown input 'treshold'; did you mean 'threshold'?",
            "inputs.'on': missing '='; write on=VALUE",
            "inputs.xs.1: invalid integer 'a'; expected e.g. 42",
            "inputs.on: invalid boolean 'yes' (App Engine would read it as false); use true or false",
            "inputs.threshold: invalid number 'x'; expected e.g. 1.5, 2e-3, nan, inf",
        ]

    def test_a_single_value_given_twice_is_refused(self) -> None:
        assert refused(parse, make(), "x=1", "x=2") == ["inputs.x: set 2 times; set it once"]

    @pytest.mark.parametrize("text", ["[1, 2", "[" * 100_000, "[" + "9" * 5000 + "]"])
    def test_a_broken_list_is_refused(self, text: str) -> None:
        assert "invalid JSON list" in refused(parse, make({"xs": ARRAY}), f"xs={text}")[0]

    def test_an_unknown_name_is_answered_with_the_known_ones(self) -> None:
        assert refused(parse, make({"a": "integer", "b": "integer"}), "zzz=1")[0].endswith(
            "unknown input 'zzz'; expected one of: a, b"
        )


class TestFilesOfValues:
    def test_json_and_yaml_give_the_same_values(self, tmp_path: Path) -> None:
        content = {"a": 3, "xs": [1.5, None], "image": "@sub/scan.png", "text": "@@x", "on": True}
        (tmp_path / "v.json").write_text(json.dumps(content))
        (tmp_path / "v.yaml").write_text(
            "a: 3\nxs: [1.5, null]\nimage: '@sub/scan.png'\ntext: '@@x'\non: yes\n"
        )
        (tmp_path / "v").write_text(json.dumps(content))

        found = values.load_values(tmp_path / "v.json")

        assert found == {
            "a": 3,
            "xs": [1.5, None],
            "image": FileValue(tmp_path / "sub/scan.png"),
            "text": "@x",
            "on": True,
        }
        assert values.load_values(tmp_path / "v.yaml") == found
        assert values.load_values(tmp_path / "v") == found

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("v.json", b'{"a": }', "v.json:1:7: invalid JSON: Expecting value; correct it there"),
            ("v.json", b"[" * 100_000, "v.json: invalid JSON: nested too deeply; correct the file"),
            ("v.json", b'{"a": 1, "a": 2}', "v.json a: duplicate key; remove one of them"),
            (
                "v.json",
                b"[1]",
                "v.json: expected a mapping of input names to values; write e.g. `threshold: 0.5`",
            ),
            (
                "v.yml",
                b"a: 1\na: 2\n",
                "v.yml:2:1: duplicate key 'a': the last value is used; remove one of them",
            ),
            (
                "v.yml",
                b"a: .nan",
                'v.yml:1:4: App Engine refuses .nan; put it in quotes: "inf" or "nan"',
            ),
            (
                "v.yml",
                b"- 1",
                "v.yml: expected a mapping of input names to values; write e.g. `threshold: 0.5`",
            ),
        ],
    )
    def test_a_broken_file_is_refused_with_the_place(
        self, tmp_path: Path, name: str, content: bytes, message: str
    ) -> None:
        (tmp_path / name).write_bytes(content)

        assert refused(values.load_values, tmp_path / name) == [f"{tmp_path}/{message}"]

    def test_a_file_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        assert "No such file" in refused(values.load_values, tmp_path / "none.json")[0]


class TestLayout:
    @pytest.mark.parametrize(
        ("kind", "value", "content"),
        [
            ("boolean", True, b"true"),
            ("integer", 3, b"3"),
            ("number", 5, b"5"),
            ("number", 1e10, b"1.0E10"),
            ("string", "\u00e9\n", b"\xc3\xa9\n"),
            ("string", "", b""),
            ("datetime", "2024-01-01T00:00:00+01:00", b"2024-01-01T00:00:00+01:00"),
            ("geometry", POINT, POINT.encode()),
            (
                "geometry",
                {"type": "Point", "coordinates": [1, 2]},
                b'{"type":"Point","coordinates":[1,2]}',
            ),
        ],
    )
    def test_a_value_is_a_file_without_extension_and_line_break(
        self, tmp_path: Path, kind: Any, value: Any, content: bytes
    ) -> None:
        found = lay(tmp_path, {"x": kind}, {"x": value})

        assert tree(tmp_path / "in") == {"x": content}
        assert found.values == {"x": value}

    def test_a_nested_array_has_its_size_in_every_folder(self, tmp_path: Path) -> None:
        lay(tmp_path, {"m": {"id": "array", "subtype": ARRAY}}, {"m": [[7], []]})

        assert tree(tmp_path / "in") == {
            "m/array.yml": b"size: 2",
            "m/0/array.yml": b"size: 1",
            "m/0/0": b"7",
            "m/1/array.yml": b"size: 0",
        }

    def test_anyone_may_read_what_is_written(self, tmp_path: Path) -> None:
        old = os.umask(0o077)
        try:
            lay(tmp_path, {"x": "integer", "xs": ARRAY}, {"x": 1, "xs": [1]})
        finally:
            os.umask(old)

        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "in").rglob("*")}
        assert modes == {"x": 0o644, "xs": 0o755, "array.yml": 0o644, "0": 0o644}

    def test_an_omitted_optional_input_makes_no_file(self, tmp_path: Path) -> None:
        inputs = {"x": parameter("integer", optional=True), "y": parameter("integer", optional=True)}

        found = lay(tmp_path, inputs, {"y": None})

        assert tree(tmp_path / "in") == {}
        assert found == ProvisionedInputs({})

    def test_an_omitted_input_takes_its_default_and_says_so(self, tmp_path: Path) -> None:
        found = lay(tmp_path, {"x": parameter("number", default=0.5)}, {})

        assert tree(tmp_path / "in") == {"x": b"0.5"}
        assert found.notes == ("x is not set; using the default 0.5",)

    def test_a_descriptor_cannot_choose_a_file_of_the_host(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("s")
        files = {"id": "array", "subtype": "file"}
        inputs = {"f": parameter("file", default=str(secret)), "fs": parameter(files, default=[str(secret)])}

        assert refused(lay, tmp_path, inputs, {}) == [
            "inputs.f: missing required input; set it with f=@FILE",
            "inputs.fs: missing required input; set it with fs=[...]",
        ]

    def test_a_default_that_breaks_its_constraints_is_refused_when_taken(self, tmp_path: Path) -> None:
        inputs = {"x": parameter({"id": "integer", "gt": 5}, default=5)}

        assert refused(lay, tmp_path, inputs, {}) == [
            "inputs.x: 5 is not greater than 5; use a value greater than 5"
        ]
        assert tree(tmp_path) == {}

    def test_all_problems_are_told_before_anything_is_written(self, tmp_path: Path) -> None:
        inputs = {"a": "integer", "b": "string", "c": "file", "d": "integer"}

        here = Path.cwd() / "none"
        assert refused(lay, tmp_path, inputs, {"a": "1", "b": None, "c": "@none", "e": 1}) == [
            "inputs.e: unknown input 'e'; expected one of: a, b, c, d",
            "inputs.a: expected an integer, got '1' (string); remove the quotes",
            "inputs.b: must not be null (not optional); set a value",
            f"inputs.c: cannot open '{here}': No such file or directory; check the path",
            "inputs.d: missing required input; set it with d=INTEGER",
        ]
        assert list(tmp_path.iterdir()) == []

    def test_what_only_the_server_refuses_is_a_warning(self, tmp_path: Path) -> None:
        found = lay(tmp_path, {"x": "integer"}, {"x": 3.0})

        assert tree(tmp_path / "in") == {"x": b"3"}
        assert found.warnings[0].startswith("App Engine would refuse this: inputs.x: ")


class TestFileInputs:
    def test_a_file_that_anyone_may_read_is_mounted_not_copied(self, tmp_path: Path) -> None:
        source = tmp_path / "scan.png"
        source.write_bytes(b"pixels")
        source.chmod(0o644)

        found = lay(tmp_path, {"f": "file"}, {"f": FileValue(source)})

        assert tree(tmp_path / "in") == {"f": b""}
        assert found.mounts == ((source, "f"),)
        assert found.values == {"f": str(source)}

    def test_a_mounted_file_is_recorded_with_what_identifies_it(self, tmp_path: Path) -> None:
        source = tmp_path / "scan.png"
        source.write_bytes(b"pixels")
        status = source.stat()

        found = lay(tmp_path, {"f": "file"}, {"f": source})

        state = FileState(
            size=6,
            mtime_ns=status.st_mtime_ns,
            inode=status.st_ino,
            ctime_ns=status.st_ctime_ns,
            device=status.st_dev,
        )
        assert found.states == {"f": state}

    def test_a_file_is_cloned_and_not_mounted_where_the_file_system_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def clone(source: int, target: int) -> bool:
            os.write(target, os.pread(source, 100, 0))
            return True

        monkeypatch.setattr("localrun.values.provisioning.clone", clone)
        source = tmp_path / "scan.png"
        source.write_bytes(b"pixels")
        source.chmod(0o644)

        found = lay(tmp_path, {"f": "file"}, {"f": source})

        assert tree(tmp_path / "in") == {"f": b"pixels"}
        assert (found.mounts, found.states) == ((), {})
        assert source.stat().st_nlink == 1

    def test_a_copy_that_would_fill_the_disk_is_refused(self, tmp_path: Path) -> None:
        source = tmp_path / "large"
        source.write_bytes(bytes(17 * 1024**2))

        with pytest.raises(LocalrunError, match="not enough disk space") as caught:
            lay(tmp_path, {"f": "file"}, {"f": source}, copy=True, disk_limit=0.1)

        assert caught.value.cause is Cause.DISK_FULL
        assert not (tmp_path / "in").exists()

    def test_holes_of_an_input_stay_holes(self, tmp_path: Path) -> None:
        source = tmp_path / "sparse"
        with source.open("wb") as stream:
            stream.truncate(1024**4)

        lay(tmp_path, {"f": "file"}, {"f": source}, copy=True)

        assert (tmp_path / "in/f").stat().st_size == 1024**4
        assert (tmp_path / "in/f").stat().st_blocks == 0

    @pytest.mark.parametrize("kind", ["file", "image", "geometry"])
    @pytest.mark.parametrize(("mode", "copy"), [(0o600, False), (0o644, True)])
    def test_a_private_or_writable_file_is_copied(
        self, tmp_path: Path, kind: str, mode: int, copy: bool
    ) -> None:
        source = tmp_path / "scan"
        content = {"file": b"pixels" * 500_000, "image": png() + bytes(3_000_000), "geometry": POINT.encode()}
        source.write_bytes(content[kind])
        source.chmod(mode)

        found = lay(tmp_path, {"f": kind}, {"f": source}, copy=copy)

        assert tree(tmp_path / "in") == {"f": content[kind]}
        assert (tmp_path / "in/f").stat().st_mode & 0o777 == 0o644
        assert source.stat().st_mode & 0o777 == mode
        assert found.mounts == ()

    def test_a_link_is_mounted_as_what_it_leads_to(self, tmp_path: Path) -> None:
        (tmp_path / "real").write_bytes(b"x")
        (tmp_path / "real").chmod(0o644)
        (tmp_path / "link").symlink_to("real")

        found = lay(tmp_path, {"f": "file"}, {"f": tmp_path / "link"})

        assert found.mounts == ((tmp_path / "real", "f"),)
        assert found.values == {"f": str(tmp_path / "link")}

    def test_a_folder_gives_the_files_of_an_array_in_natural_order(self, tmp_path: Path) -> None:
        (tmp_path / "src/deeper").mkdir(parents=True)
        for name in ("img10.png", "img2.png", "IMG1.png", ".hidden"):
            (tmp_path / "src" / name).write_bytes(png())
            (tmp_path / "src" / name).chmod(0o644)

        found = lay(
            tmp_path, {"fs": {"id": "array", "subtype": "image"}}, {"fs": FileValue(tmp_path / "src")}
        )

        assert [source.name for source, _ in found.mounts] == ["IMG1.png", "img2.png", "img10.png"]
        assert [target for _, target in found.mounts] == ["fs/0", "fs/1", "fs/2"]
        assert (tmp_path / "in/fs/array.yml").read_bytes() == b"size: 3"

    def test_one_file_is_an_array_of_one(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a")

        found = lay(tmp_path, {"fs": {"id": "array", "subtype": "file"}}, {"fs": FileValue(tmp_path / "a")})

        assert found.values == {"fs": [str(tmp_path / "a")]}

    def test_a_file_can_hold_the_value_of_any_type(self, tmp_path: Path) -> None:
        (tmp_path / "n").write_text(" 42\n")
        (tmp_path / "l.json").write_text("[1, 2]")
        (tmp_path / "s").write_text("long text")

        lay(
            tmp_path,
            {"n": "integer", "l": ARRAY, "s": "string"},
            {"n": FileValue(tmp_path / "n"), "l": FileValue(tmp_path / "l.json"), "s": tmp_path / "s"},
        )

        assert tree(tmp_path / "in") == {
            "n": b"42",
            "l/array.yml": b"size: 2",
            "l/0": b"1",
            "l/1": b"2",
            "s": b"long text",
        }

    def test_an_unpacked_wsi_dicom_folder_is_copied(self, tmp_path: Path) -> None:
        (tmp_path / "wsi/level").mkdir(parents=True)
        (tmp_path / "wsi/a.dcm").write_bytes(dicom(3))
        (tmp_path / "wsi/level/b.dcm").write_bytes(dicom(4))

        found = lay(tmp_path, {"i": "image"}, {"i": FileValue(tmp_path / "wsi")})

        assert tree(tmp_path / "in") == {"i/a.dcm": dicom(3), "i/level/b.dcm": dicom(4)}
        assert found.values == {"i": str(tmp_path / "wsi")}

    def test_a_folder_with_a_link_or_a_pipe_in_it_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "wsi").mkdir()
        (tmp_path / "wsi/link").symlink_to("/etc/passwd")
        os.mkfifo(tmp_path / "wsi/pipe")

        assert len(refused(lay, tmp_path, {"i": "image"}, {"i": tmp_path / "wsi"})) == 2

    def test_what_is_no_regular_file_is_refused_unopened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "folder").mkdir()
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(tmp_path / "sock"))
        server.close()
        names = {"pipe": "the pipe", "folder": "the folder", "sock": "the socket"}

        for name, what in names.items():
            for kind in ("file", "integer", "geometry", ARRAY):
                path = tmp_path / name
                assert what in refused(lay, tmp_path, {"f": kind}, {"f": FileValue(path)})[0]
        assert "the device" in refused(lay, tmp_path, {"f": "file"}, {"f": Path("/dev/zero")})[0]

    @pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "", "~nobody-has-this-name/x"])
    def test_an_impossible_path_is_a_problem_not_a_crash(self, tmp_path: Path, path: str) -> None:
        assert refused(lay, tmp_path, {"f": "file"}, {"f": path})

    def test_a_slip_in_a_file_name_is_guessed(self, tmp_path: Path) -> None:
        (tmp_path / "scan.png").write_text("x")

        found = refused(lay, tmp_path, {"f": "file"}, {"f": tmp_path / "scam.png"})
        assert found[0].endswith(f"did you mean '{tmp_path}/scan.png'?")

    def test_files_are_measured_and_their_kind_looked_at(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"\0" * 1001)
        inputs = {
            "a": {"id": "file", "max_file_size": "1kB"},
            "b": {"id": "file", "formats": ["text"]},
            "c": {"id": "image", "max_file_size": "1kB"},
        }

        found = refused(lay, tmp_path, inputs, dict.fromkeys("abc", FileValue(tmp_path / "f")))
        assert [problem.partition(":")[0] for problem in found] == [
            "inputs.a",
            "inputs.b",
            "inputs.c",
            "inputs.c",
        ]

    def test_a_value_file_that_is_no_text_or_too_large_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "bytes").write_bytes(b"\xff\xfe")
        with (tmp_path / "large").open("wb") as stream:
            stream.truncate(10 * 1024**3)

        assert "UTF-8" in refused(lay, tmp_path, {"x": "integer"}, {"x": tmp_path / "bytes"})[0]
        assert "too large" in refused(lay, tmp_path, {"x": "integer"}, {"x": tmp_path / "large"})[0]


class TestCleaningUp:
    def test_a_cancelled_copy_leaves_nothing_behind(self, tmp_path: Path) -> None:
        source = tmp_path / "big"
        source.write_bytes(b"x" * 5 * 1024**2)
        calls = 0

        def cancel() -> None:
            nonlocal calls
            calls += 1
            if calls > 6:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lay(
                tmp_path,
                {"xs": ARRAY, "f": "file"},
                {"xs": [1], "f": source},
                copy=True,
                check_cancelled=cancel,
            )

        assert [path.name for path in tmp_path.iterdir()] == ["big"]

    def test_a_folder_that_was_there_stays_and_is_empty_again(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in/b").write_text("mine")

        assert "cannot write" in refused(lay, tmp_path, {"a": "integer", "b": "integer"}, {"a": 1, "b": 2})[0]

        assert tree(tmp_path) == {"in/b": b"mine"}

    def test_a_full_disk_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        source = tmp_path / "f"
        source.write_bytes(bytes(32 * 1024))  # small files are written without sendfile

        def full(*_: Any) -> int:
            raise OSError(28, "No space left on device")

        # no disk can be filled here without harm
        monkeypatch.setattr(os, "sendfile", full)
        with pytest.raises(LocalrunError) as caught:
            lay(tmp_path, {"f": "file"}, {"f": source}, copy=True)

        assert caught.value.cause is Cause.DISK_FULL
        assert not (tmp_path / "in").exists()

    def test_a_folder_that_cannot_be_made_is_a_problem(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")

        found = refused(values.provision, make(), {"x": 1}, tmp_path / "file/in")
        assert found[0].startswith("inputs: cannot write")


def test_a_file_of_values_with_many_keys_and_a_duplicate_is_read_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "values.json"

    def work(keys: int) -> float:
        many = "".join(f'"k{number}": 1, ' for number in range(keys))
        path.write_text(f'{{{many}"last": 1, "last": 2}}')
        return cpu_seconds(lambda: refused(load_values, path))

    assert work(20_000) < 9 * work(5_000)


def test_a_yaml_file_of_values_may_be_longer_than_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "values.yml"
    path.write_text("a: [" + "1, " * 30_000 + "1]")
    assert len(load_values(path)["a"]) == 30_001
