"""Where each value of a host is written, as the files are at that moment."""

import asyncio
from pathlib import Path

import pytest
from fixtures.files import write_files

from netboot.app.administration.written_hosts import WrittenHosts
from netboot.errors import ConfigError, UnknownHostError
from netboot.model.host.host import HostName
from netboot.operate.planning.explanation import WrittenValues


def values_of(directory: Path, name: str) -> WrittenValues:
    return asyncio.run(WrittenHosts(directory / "netboot.yaml").values_of(HostName(name)))


def test_each_value_has_its_place_in_the_files_as_they_are_now(tmp_path: Path):
    write_files(tmp_path)
    before = values_of(tmp_path, "cp1")
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text(f"# a line\n{hosts.read_text()}")

    after = values_of(tmp_path, "cp1")

    lines = [[origin.line for value in found.values for origin in value.origins] for found in (before, after)]
    assert lines[1] == [line + 1 for line in lines[0]]
    role = next(value for value in after.values if value.key == "role")
    assert (role.value, role.origins[0].where, role.is_allocated) == ("control-plane", "hosts.cp1.role", False)


def test_a_host_that_no_file_declares_is_unknown(tmp_path: Path):
    write_files(tmp_path)

    with pytest.raises(UnknownHostError, match="no host is called cp10"):
        values_of(tmp_path, "cp10")


def test_a_fault_of_the_settings_is_an_error(tmp_path: Path):
    write_files(tmp_path)
    (tmp_path / "netboot.yaml").write_text("nosuch: 1\n")

    with pytest.raises(ConfigError):
        values_of(tmp_path, "cp1")
