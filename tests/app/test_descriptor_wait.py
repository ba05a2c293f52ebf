"""The start waits while no descriptor is left, and goes on with the files as they are."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from fixtures.no_descriptor import no_descriptor_left
from structlog.testing import capture_logs

from netboot.app.running import descriptor_wait
from netboot.app.running.descriptor_wait import read_with_descriptors
from netboot.errors import ConfigError, DescriptorsError
from netboot.registry.load import read_written

SETTINGS = "hosts: {files: [hosts.d]}\n"


def test_a_start_without_a_descriptor_waits_and_reads_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(descriptor_wait, "AGAIN_S", 0.02)
    (tmp_path / "netboot.yaml").write_text(SETTINGS)
    (tmp_path / "hosts.d").mkdir()

    async def scenario() -> tuple[bool, tuple[Path, ...]]:
        reading = asyncio.create_task(
            read_with_descriptors(partial(asyncio.to_thread, read_written, tmp_path / "netboot.yaml"))
        )
        with no_descriptor_left():
            await asyncio.sleep(0.2)
            is_waiting = not reading.done()
        async with asyncio.timeout(10):
            return is_waiting, (await reading).files

    with capture_logs() as logged:
        found = asyncio.run(scenario())

    assert found == (True, (tmp_path / "netboot.yaml",))
    assert [(each["event"], each["log_level"]) for each in logged] == [("daemon.start_waits", "error")]


def test_a_fault_of_the_files_ends_the_start(tmp_path: Path):
    (tmp_path / "netboot.yaml").write_text("hosts: 5\n")

    with pytest.raises(ConfigError):
        asyncio.run(read_with_descriptors(partial(asyncio.to_thread, read_written, tmp_path / "netboot.yaml")))


def test_neither_netboot_yaml_nor_a_directory_of_hosts_is_at_fault_without_a_descriptor(tmp_path: Path):
    (tmp_path / "netboot.yaml").write_text(SETTINGS)
    (tmp_path / "hosts.d").mkdir()
    read_written(tmp_path / "netboot.yaml")  # loads what is loaded late

    with no_descriptor_left(), pytest.raises(DescriptorsError):
        read_written(tmp_path / "netboot.yaml")
