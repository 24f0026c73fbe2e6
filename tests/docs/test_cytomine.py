"""The page on Cytomine: its compose file is valid, and its commands print what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.docs.test_examples import Example
from tests.support.project import project
from tests.support.samples import remove_new_images
from tests.support.server_process import serving

PAGE = (ROOT / "docs/cytomine.md").read_text()


def test_the_compose_file_is_valid_and_names_the_address_of_the_server() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    found = yaml.safe_load(text)
    assert list(found) == ["services"]
    assert {key for service in found["services"].values() for key in service} <= {
        "environment",
        "extra_hosts",
        "profiles",
    }
    core = found["services"]["core"]
    assert core["extra_hosts"] == ["host.docker.internal:host-gateway"]
    assert all(isinstance(value, str) for value in core["environment"].values())
    assert core["environment"]["APPENGINE_API_URL"] == "http://host.docker.internal:8082"
    assert "--port 8082" in PAGE
    assert "It was not executed" in PAGE


@pytest.mark.docker
def test_the_commands_of_the_page_print_what_they_say(tmp_path: Path) -> None:
    environment = project(tmp_path)
    blocks = re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 3
    (tmp_path / "server").mkdir()
    with remove_new_images(tmp_path / ".localrun"), serving(tmp_path / "server") as server:
        for command, printed in blocks:
            ran = subprocess.run(
                ["bash", "-c", command.replace("http://localhost:8082", server.address)],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            expected = Example(command, printed.strip().replace("http://localhost:8082", server.address))
            assert expected.fits(ran.stdout), f"$ {command}\n{ran.stdout}"
