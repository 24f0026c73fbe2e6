from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd.address import Address
from localrun.engines.dockerd.configuration.file import ConfigFile
from localrun.engines.dockerd.configuration.proxies import proxy_variables
from tests.support.docker_files import write_config

HERE, LAB = Address("unix:///var/run/docker.sock"), Address("tcp://lab:2376")


def test_each_proxy_is_a_variable_in_both_cases_as_in_docker(tmp_path: Path) -> None:
    keys = ("httpProxy", "httpsProxy", "noProxy", "ftpProxy", "allProxy")
    write_config(tmp_path, proxies={"default": {key: f"of {key}" for key in keys}})
    found = proxy_variables(ConfigFile(tmp_path), HERE)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY")
    assert found == {
        name: f"of {key}" for upper, key in zip(names, keys, strict=True) for name in (upper, upper.lower())
    }


def test_an_engine_may_have_proxies_of_its_own(tmp_path: Path) -> None:
    write_config(
        tmp_path, proxies={"default": {"httpProxy": "http://p"}, LAB.url: {"httpsProxy": "http://lab"}}
    )
    config = ConfigFile(tmp_path)
    assert proxy_variables(config, LAB) == {"HTTPS_PROXY": "http://lab", "https_proxy": "http://lab"}
    assert proxy_variables(config, HERE) == {"HTTP_PROXY": "http://p", "http_proxy": "http://p"}


@pytest.mark.parametrize("content", [{}, {"proxies": None}, {"proxies": {}}, {"proxies": {"other": {}}}])
def test_without_proxies_there_are_no_variables(tmp_path: Path, content: dict[str, Any]) -> None:
    write_config(tmp_path, **content)
    config = ConfigFile(tmp_path)
    assert (proxy_variables(config, HERE), config.problems) == ({}, [])


@pytest.mark.parametrize("proxies", [3, [], {"default": 3}, {"default": {"httpProxy": 3}}])
def test_proxies_of_another_kind_are_a_warning(tmp_path: Path, proxies: Any) -> None:
    write_config(tmp_path, proxies=proxies)
    config = ConfigFile(tmp_path)
    assert proxy_variables(config, HERE) == {}
    assert "proxies" in config.problems[0]


def test_empty_proxies_are_left_out(tmp_path: Path) -> None:
    write_config(tmp_path, proxies={"default": {"httpProxy": "", "noProxy": "x"}})
    assert proxy_variables(ConfigFile(tmp_path), HERE) == {"NO_PROXY": "x", "no_proxy": "x"}
