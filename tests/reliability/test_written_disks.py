"""Full and read-only disks of `hosts.d` and `ign`, in which commands write; and those that are read-only by choice."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS, write_files
from fixtures.rack import Rack, a_rack
from reliability.faults import Faulted, a_disk, full, read_only

from netboot.app.appliance_health import FRESH_S
from netboot.app.health.fault_watch import WATCH_S

pytestmark = pytest.mark.integration

FILES = SETTINGS.replace("[hosts.yaml]", "[hosts.yaml, hosts.d]")


@dataclass(frozen=True)
class Written:
    """A directory, what commands write there, the part of the health, and a command that writes."""

    name: str
    files: str
    part: str
    command: tuple[str, ...]


HOSTS = Written("hosts.d", "hosts", "hosts-files", ("host", "add", "w9", "role=worker", "mac=52:54:00:12:34:09"))
IGNITION = Written(
    "ign", "Ignition files", "ignition-files", ("cluster", "ignition", "set", "worker", "{rack}/given.ign")
)
BOTH = pytest.mark.parametrize("written", [HOSTS, IGNITION], ids=["hosts.d", "ign"])


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """An appliance that is not started, with a disk for each of the two."""
    write_files(tmp_path, settings=FILES)
    files = {path.name: path.read_bytes() for path in (tmp_path / "ign").iterdir()}
    shutil.copy(tmp_path / "ign" / "worker-join.ign", tmp_path / "given.ign")
    with ExitStack() as stack:
        for written in (HOSTS, IGNITION):
            stack.enter_context(a_disk(tmp_path / written.name, megabytes=8))
        for name, content in files.items():
            (tmp_path / "ign" / name).write_bytes(content)
        yield stack.enter_context(a_rack(tmp_path))


def command_of(written: Written, rack: Rack) -> list[str]:
    return [word.format(rack=rack.directory) for word in written.command]


@BOTH
@pytest.mark.parametrize("fault", [read_only, full])
def test_a_full_or_read_only_disk_refuses_the_command_and_is_shown_with_its_cure(
    rack: Rack, written: Written, fault: type[read_only] | type[full]
):
    rack.start()
    rack.netboot("install", "arm", "cp1")
    faulted, directory = Faulted(rack), rack.directory / written.name
    names = sorted(path.name for path in directory.iterdir())
    text, cure = {
        read_only: ("Read-only file system", "mount it writable, see dmesg"),
        full: ("No space left on device", "free some space or inodes on its file system"),
    }[fault]
    faulted.begin()
    with fault(directory):
        refused = rack.netboot(*command_of(written, rack), status=1)
        event = faulted.shows(written.part, f"cannot write {written.files} in {directory}: {text}; ")
        healthy = rack.curl_api("/healthz").status
        faulted.serves_what_needs_no_write()
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert text in refused
    assert cure in event["reason"]
    assert healthy == 200
    assert sorted(path.name for path in directory.iterdir()) == names
    faulted.has_recovered(written.part)
    rack.netboot(*command_of(written, rack))


@BOTH
def test_a_directory_that_is_read_only_from_the_start_is_no_fault(rack: Rack, written: Written):
    with read_only(rack.directory / written.name):
        rack.start()
        wait_until(lambda: rack.curl_api("/readyz").status == 200 or None)
        refused = rack.netboot(*command_of(written, rack), status=1)
        rack.netboot("reload")
        reloaded = rack.lines("config.reloaded")
        time.sleep(WATCH_S + FRESH_S)  # nothing is to come in the time in which a fault is found
        ready = rack.curl_api("/readyz")
        problems = rack.api("/api/v1/status")["problems"]

    assert "Read-only file system" in refused
    assert len(reloaded) == 1
    assert (ready.status, problems) == (200, [])
    parts = {part["part"]: part for part in json.loads(ready.body)["parts"]}
    assert parts[written.part] == {"part": written.part, "name": "", "state": "ok", "reasons": []}
    assert rack.lines("appliance.fault_found") == []
