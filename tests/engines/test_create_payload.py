from __future__ import annotations

from pathlib import Path
from typing import Any

from localrun.engines.base import ContainerSpec, Mount
from localrun.engines.dockerd.create_payload import create_body


def body(**changes: Any) -> dict[str, Any]:
    return create_body(ContainerSpec(image="sha256:1", name="n", **changes))


def test_the_image_provides_the_defaults() -> None:
    assert body().keys().isdisjoint({"Entrypoint", "Cmd", "User", "WorkingDir"})
    said = body(entrypoint=("a",), command=())
    assert (said["Entrypoint"], said["Cmd"]) == (["a"], [])


def test_networking_is_disabled_in_addition_if_there_is_a_hosts_file() -> None:
    made = body(hosts_file=Path("/h"))
    assert made["NetworkDisabled"] is True
    assert made["HostConfig"]["NetworkMode"] == "none"
    assert made["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/h", "Target": "/etc/hosts", "ReadOnly": True}
    ]


def test_without_a_hosts_file_the_network_is_none() -> None:
    made = body()
    assert made["NetworkDisabled"] is False
    assert made["HostConfig"]["NetworkMode"] == "none"


def test_with_a_network_the_engine_writes_its_own_hosts_file() -> None:
    made = body(network=True, hosts_file=Path("/h"))
    assert made["NetworkDisabled"] is False
    assert "NetworkMode" not in made["HostConfig"]
    assert made["HostConfig"]["Mounts"] == []


def test_limits_are_in_the_engine_s_units() -> None:
    host = body(cpus=1.5, memory=2**30, pids=99)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 2**30
    assert (host["NanoCpus"], host["PidsLimit"], host["Init"]) == (1_500_000_000, 99, True)
    assert host["SecurityOpt"] == ["no-new-privileges"]


def test_a_mount_is_read_only_unless_it_is_not() -> None:
    mounts = (Mount(Path("/a"), "/in"), Mount(Path("/b"), "/out", read_only=False))
    assert [each["ReadOnly"] for each in body(mounts=mounts)["HostConfig"]["Mounts"]] == [True, False]


def test_gpus_are_requested_by_number() -> None:
    assert "DeviceRequests" not in body()["HostConfig"]
    assert body(gpus=2)["HostConfig"]["DeviceRequests"] == [{"Count": 2, "Capabilities": [["gpu"]]}]
