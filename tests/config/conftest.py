"""A directory with a configuration in it, read as the daemon reads it."""

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from netboot.config.load import Configuration, load
from netboot.errors import ConfigError


@dataclass(frozen=True)
class Site:
    """The working directory, so that messages name plain files."""

    directory: Path

    def write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def write_ignition(self, name: str, *, action: str, version: str = "3.4.0") -> None:
        dropin = {"name": "bootstrap.conf", "contents": f"[Service]\nEnvironment=ACTION={action}\n"}
        config = {
            "ignition": {"version": version},
            "systemd": {"units": [{"name": "ocne.service", "dropins": [dropin]}]},
        }
        self.write(name, json.dumps(config))

    def load(self) -> Configuration:
        return load(Path("netboot.yaml"))

    def faults(self) -> list[str]:
        """Every fault as it is printed, in order."""
        with pytest.raises(ConfigError) as caught:
            self.load()
        assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
        return [str(problem).replace(f"{self.directory}/", "") for problem in caught.value.problems]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site with settings, no hosts, and the three Ignition files of a cluster."""
    monkeypatch.chdir(tmp_path)
    site = Site(tmp_path)
    site.write("netboot.yaml", "network: {interfaces: [eno2]}\n")
    site.write("hosts.yaml", "")
    site.write_ignition("init.ign", action="init")
    site.write_ignition("join.ign", action="join")
    return site
