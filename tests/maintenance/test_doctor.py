"""The checks of engine, machine, folders and leftovers: status, message and remedy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace as replace_user
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from localrun.admission import Disk, HostSample
from localrun.engines.base import LIMITS, BuilderInfo, Engine, EngineInfo
from localrun.engines.fake import FakeEngine
from localrun.errors import EngineError, EngineUnreachable, UsageError
from localrun.maintenance import doctor
from localrun.maintenance.doctor import Check, distribution, engine, folders, host, run
from localrun.settings import Settings
from localrun.task.store import TaskStore
from tests.conftest import ROOT, OtherUser
from tests.maintenance.test_leftovers import contain, dead_owner, make

GIB = 1024**3
INFO = EngineInfo(
    "docker",
    "27.1",
    "linux",
    "amd64",
    cpus=4,
    memory=8 * GIB,
    root="/var/lib/docker",
    storage="overlay2",
    cgroups="2",
)


def by_name(found: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def look(engine: Engine, settings: Settings) -> dict[str, Check]:
    found = doctor.check_all("1.0", settings, settings.home / "ledger" / "l.json", lambda: engine)
    return {check.name: check for _, check in found}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", logs=tmp_path / "logs")


# -- the engine ---------------------------------------------------------------------------------------


def test_an_engine_that_holds_all_limits_is_ok() -> None:
    found = by_name(engine.check_engine(INFO))
    assert {check.status for check in found.values()} == {"ok"}
    assert "docker 27.1: linux/amd64, 4 CPUs, 8 GiB memory" in found["engine"].message


@pytest.mark.parametrize(
    ("changes", "name", "status", "words"),
    [
        ({"version": "19.03.1"}, "engine", "warn", "older than 20.10"),
        ({"name": "podman", "version": "4.2.0"}, "engine", "warn", "older than 4.3"),
        ({"name": "podman", "version": "4.3.1"}, "engine", "ok", "podman 4.3.1"),
        ({"name": "podman", "version": "5.8.6"}, "engine", "ok", "podman 5.8.6"),
        ({"unenforced": LIMITS, "rootless": True, "cgroups": "1"}, "limits", "fail", "all memory"),
        ({"unenforced": ("cpu",), "rootless": True, "cgroups": "2"}, "limits", "warn", "more CPU"),
        ({"storage": "vfs"}, "storage", "warn", "vfs is slow"),
        (
            {"unenforced": ("memory", "pids")},
            "limits",
            "fail",
            "can use all memory of the machine; a task can start any",
        ),
        ({"unenforced": ("swap",)}, "limits", "warn", "can use swap in addition"),
        ({"unenforced": ("cpu",)}, "limits", "warn", "more CPU than it requested"),
        ({"gpus": True}, "gpu", "ok", "available"),
        ({"gpus": True, "gpu_devices": ("nvidia.com/gpu=0",)}, "gpu", "ok", "to tasks: nvidia.com/gpu=0"),
        ({}, "gpu", "ok", "`--gpus 0`"),
        ({"clock_offset": 90.0}, "clock", "warn", "1 min 30 s ahead of"),
        ({"clock_offset": -3.0}, "clock", "warn", "3.0 s behind"),
    ],
)
def test_what_an_engine_lacks_is_told(changes: dict[str, Any], name: str, status: str, words: str) -> None:
    check = by_name(engine.check_engine(replace(INFO, **changes)))[name]
    assert (check.status, words in check.message) == (status, True)
    assert bool(check.remedy) == (status != "ok")


def test_a_socket_that_everybody_may_use_is_told(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    path.chmod(0o666)
    info = replace(INFO, address=f"unix://{path}")
    assert by_name(engine.check_engine(info))["socket"].remedy == f"sudo chmod o-rw {path}"
    path.chmod(0o660)
    assert by_name(engine.check_engine(info))["socket"].status == "ok"


def test_a_member_of_the_group_is_told_so(as_other_user: OtherUser) -> None:
    script = (
        "import os; from localrun.maintenance.doctor import engine;"
        " from localrun.engines.dockerd import DockerEngine; host = os.environ.get('DOCKER_HOST');"
        " print([c.message for c in engine.check_engine(DockerEngine(host).info()) if c.name == 'socket'])"
    )
    assert "as a member of its group" in as_other_user.run(["-c", script], cwd=Path("/")).stdout


def test_who_may_not_use_the_socket_is_told_how_to(as_other_user: OtherUser, tmp_path: Path) -> None:
    stranger = replace_user(as_other_user, groups=())
    done = stranger.localrun("doctor", cwd=Path("/"), env={"LOCALRUN_HOME": str(as_other_user.home / "h")})
    assert done.returncode == 8
    assert "usermod -aG docker" in done.stdout
    assert "  ok    home " in done.stdout


def test_an_engine_that_is_away_keeps_nothing_else_from_being_looked_at(settings: Settings) -> None:
    def away() -> Engine:
        raise EngineUnreachable("no container engine answers", remedy="start it")

    found = list(doctor.check_all("1.0", settings, settings.home / "l.json", away))
    assert {section for section, _ in found} == set(doctor.SECTIONS)
    failed = [check for _, check in found if check.status == "fail"]
    assert [(check.name, check.message, check.remedy) for check in failed] == [
        ("engine", "no container engine answers", "start it")
    ]


def test_an_engine_that_never_answers_is_given_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_ENGINE_TIMEOUT", 0.05)
    over = threading.Event()

    def silent() -> Engine:
        over.wait(60)
        raise EngineUnreachable("too late")

    found = {check.name: check for _, check in doctor.check_all("1.0", settings, settings.home / "l", silent)}
    over.set()
    assert (found["engine"].status, "no answer within" in found["engine"].message) == ("fail", True)
    assert "home" in found


def test_an_engine_that_refuses_a_call_is_told_in_its_place(settings: Settings) -> None:
    class Refusing(FakeEngine):
        def find(self, labels: object) -> Any:
            raise EngineError("listing containers: the engine answered 500")

    assert look(Refusing(), settings)["containers"].message == "listing containers: the engine answered 500"


# -- the machine --------------------------------------------------------------------------------------


def sampled(
    monkeypatch: pytest.MonkeyPatch, *, free: int = 4 * GIB, percent: float = 50.0, room: int = GIB
) -> None:
    seen = HostSample(0.0, 8 * GIB, free, {"/": Disk(1, 2, room, percent)})
    monkeypatch.setattr(host, "sample_host", lambda folders: seen)


@pytest.mark.parametrize(
    ("facts", "name", "status"),
    [
        ({}, "memory", "ok"),
        ({"free": GIB}, "memory", "warn"),
        ({"free": GIB // 4}, "memory", "fail"),
        ({}, "disk", "ok"),
        ({"percent": 81.0}, "disk", "warn"),
        ({"percent": 90.0}, "disk", "fail"),
        ({"room": 1000}, "disk", "fail"),
    ],
)
def test_pressure_is_told_by_the_rules_of_admission(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], name: str, status: str
) -> None:
    sampled(monkeypatch, **facts)
    check = by_name(host.check_host(settings, []))[name]
    assert check.status == status
    assert ("no task starts" in check.message + check.remedy) == (status != "ok")


def test_few_open_files_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled(monkeypatch)
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 512))
    assert by_name(host.check_host(settings, []))["open files"].remedy == "ulimit -n 512"


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_NEEDED", ("click", "no-such-package"))
    check = by_name(host.check_software("1.0"))["packages"]
    assert (check.status, check.remedy) == ("fail", "pip install no-such-package")


def install(folder: Path, name: str, files: dict[str, str]) -> None:
    """Write the files of a distribution as pip would, with their RECORD."""
    info = f"{name}-1.1.8.dist-info"
    listed = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.1.8\n"}
    for path, text in {**listed, f"{info}/RECORD": "".join(f"{path},,\n" for path in listed)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def only_check(folder: Path) -> Check:
    (check,) = distribution.check_distributions([str(folder)])
    return check


def test_without_another_distribution_all_is_ok(tmp_path: Path) -> None:
    install(tmp_path, "localrun_tasks", {"localrun/app.py": ""})
    assert only_check(tmp_path).status == "ok"


@pytest.mark.parametrize("files", [{"localrun/app.py": ""}, {"_editable_impl_localrun.pth": str(ROOT)}])
def test_an_old_installation_of_this_project_is_to_be_removed(tmp_path: Path, files: dict[str, str]) -> None:
    install(tmp_path, "localrun", files)
    check = only_check(tmp_path)
    assert (check.status, check.facts["own"]) == ("warn", True)
    assert "old installation" in check.message
    assert check.remedy == "`pip uninstall localrun`, then install localrun-tasks again"


def test_another_project_of_the_same_name_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "lib" / "site-packages"
    install(site, "localrun", {"localrun/__init__.py": "", "../../bin/localrun": ""})
    check = only_check(site)
    assert (check.status, check.facts["own"], check.facts["files"]) == ("warn", False, [])
    assert "may hide the command" in check.message
    monkeypatch.setattr("sys.argv", [str(tmp_path / "bin" / "localrun")])
    monkeypatch.setattr(distribution, "_PACKAGE", site / "localrun")
    check = only_check(site)
    assert check.facts["files"] == [str(tmp_path / "bin/localrun"), str(site / "localrun/__init__.py")]
    assert check.message.startswith(f"localrun 1.1.8, an unrelated project, also installs {tmp_path}/bin")


def test_a_distribution_without_a_record_is_reported(tmp_path: Path) -> None:
    install(tmp_path, "localrun", {})
    (tmp_path / "localrun-1.1.8.dist-info" / "RECORD").unlink()
    assert only_check(tmp_path).status == "warn"


def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount() -> None:
    assert host.filesystem_type(Path("/proc/self")) == "proc"


# -- the folders --------------------------------------------------------------------------------------


def test_folders_that_are_not_there_yet_are_ok_and_stay_so(settings: Settings) -> None:
    found = by_name(folders.check_folders(settings, settings.home / "ledger" / "l.json"))
    assert {check.status for check in found.values()} == {"ok"}
    assert not any(path.exists() for path in (settings.home, settings.cache, settings.logs))


def test_a_home_that_cannot_be_one_fails(settings: Settings) -> None:
    settings.home.write_text("a file")
    check = by_name(folders.check_folders(settings, settings.cache / "l.json"))["home"]
    assert (check.status, "is not a folder" in check.message, "LOCALRUN_HOME" in check.remedy) == (
        "fail",
        True,
        True,
    )


def test_a_home_that_everybody_may_write_is_told(settings: Settings) -> None:
    settings.home.mkdir()
    settings.home.chmod(0o777)
    assert (
        by_name(folders.check_folders(settings, settings.cache / "l.json"))["home"].remedy
        == f"chmod o-w {settings.home}"
    )


def test_a_home_on_a_file_system_without_sure_locks_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.home.mkdir()
    monkeypatch.setattr(folders, "filesystem_type", lambda _: "nfs4")
    assert "is on nfs4" in by_name(folders.check_folders(settings, settings.cache / "l.json"))["home"].message


def test_a_folder_of_another_user_cannot_be_written(as_other_user: OtherUser, tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from localrun.maintenance.doctor import folders;"
        " from localrun.settings import Settings;"
        " s = Settings(home=Path('/etc/x'), cache=Path('/etc/y'), logs=Path('/etc/z'));"
        " print({c.name: c.status for c in folders.check_folders(s, Path('/etc/l/l.json'))})"
    )
    found = as_other_user.run(["-c", script], cwd=Path("/")).stdout
    assert found == "{'home': 'fail', 'cache': 'warn', 'logs': 'warn', 'ledger': 'fail'}\n"


def test_entries_of_dead_processes_and_a_damaged_ledger_are_told(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "l.json"
    path.parent.mkdir()
    path.write_text("{")
    assert "was corrupt" in by_name(folders.check_folders(settings, path))["ledger"].message
    entry = {"task_id": "t", "ticket": 1, "admitted": True, "since": 1.0, "cpus": 1.0, "memory": 1, "gpus": 0}
    from localrun.admission import LedgerEntry

    made = LedgerEntry(owner=dead_owner(), **entry)  # type: ignore[arg-type]
    path.write_bytes(b'{"t":' + made.to_json() + b"}")
    check = by_name(folders.check_folders(settings, path))["ledger"]
    assert (check.status, check.facts["dead"]) == ("warn", 1)


# -- leftovers -----------------------------------------------------------------------------


def test_nothing_is_left_where_nothing_was(settings: Settings) -> None:
    found = look(FakeEngine(), settings)
    names = (
        "orphaned tasks",
        "resumable tasks",
        "stale locks",
        "records",
        "temporary files",
        "containers",
        "temporary images",
        "images",
    )
    assert [found[name].status for name in names] == ["ok"] * 8
    assert not settings.home.exists()


def test_everything_that_is_left_is_told_with_its_remedy(settings: Settings) -> None:
    home, made = TaskStore(settings.home), FakeEngine()
    made.add_image("localrun-test/add:1")
    dead, waiting = make(home), make(home, detached=True)
    (home.path / "active" / "gone").touch()
    broken = home.create()
    contain(made, dead.id, home.path)
    found = look(made, settings)
    told = {
        name: found[name].facts["found"]
        for name in ("orphaned tasks", "resumable tasks", "stale locks", "records", "containers")
    }
    assert told == {
        "orphaned tasks": [dead.id[:8]],
        "resumable tasks": [waiting.id[:8]],
        "stale locks": ["gone"],
        "records": [broken.id[:8]],
        "containers": [dead.id[:8]],
    }
    assert {found[name].status for name in told} == {"warn"}
    assert all("localrun" in found[name].remedy for name in told)
    made.close()


# -- the builder ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "status", "message"),
    [
        (BuilderInfo("buildx", "/p/x", "0.29.1"), "ok", "BuildKit by docker buildx 0.29.1, /p/x"),
        (BuilderInfo("cli", "/p/docker", "20.10"), "ok", "BuildKit by the docker command 20.10, /p/docker"),
        (BuilderInfo("buildah"), "ok", "Podman's own build"),
        (BuilderInfo("buildx", "/p/x"), "warn", "BuildKit by docker buildx: /p/x does not start"),
        (
            BuilderInfo("classic", remedy="install it"),
            "warn",
            "the engine's classic builder, without BuildKit",
        ),
    ],
)
def test_the_builder_is_shown_with_its_version_and_path(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, info: BuilderInfo, status: str, message: str
) -> None:
    monkeypatch.setattr(FakeEngine, "builder_info", lambda _engine: info)
    with closing(FakeEngine(lambda _container: 0)) as fake:
        check = look(fake, settings)["builder"]
    assert check.status == status
    assert check.message.startswith(message)
    assert check.facts["kind"] == info.kind


def test_a_builder_that_is_required_and_missing_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_engine: FakeEngine) -> BuilderInfo:
        raise UsageError("no client of BuildKit was found", remedy="install it")

    monkeypatch.setattr(FakeEngine, "builder_info", missing)
    with closing(FakeEngine(lambda _container: 0)) as fake:
        assert look(fake, settings)["builder"].status == "fail"
