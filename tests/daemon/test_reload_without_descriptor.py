"""A reload for which no descriptor is left keeps what is in force, is shown, and is done once there is one."""

import resource
import signal
from pathlib import Path

import pytest
from fixtures.rack import Rack, running

pytestmark = pytest.mark.integration

REASON = (
    "this appliance has no free file descriptor; "
    "set LimitNOFILE=65536 in the unit of netboot, or find who holds many connections: ss -tn"
)


def lowest_free_descriptor(pid: int) -> int:
    used = {int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return next(each for each in range(len(used) + 1) if each not in used)


def hosts_of(rack: Rack) -> int:
    found: int = rack.api("/api/v1/status")["hosts"]
    return found


def test_a_reload_without_a_descriptor_is_shown_and_done_once_there_is_one(rack_directory: Path):
    with running(rack_directory) as rack:
        before = hosts_of(rack)
        hosts = rack_directory / "hosts.yaml"
        hosts.write_text(
            hosts.read_text().replace("hosts:\n", "hosts:\n  w7: {role: worker, mac: 52:54:00:aa:bb:17}\n")
        )
        limits = resource.prlimit(rack.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(rack.pid, resource.RLIMIT_NOFILE, (lowest_free_descriptor(rack.pid), limits[1]))
        try:
            rack.signal(signal.SIGHUP)
            assert rack.wait_for("config.unread")["reason"] == REASON
        finally:
            resource.prlimit(rack.pid, resource.RLIMIT_NOFILE, limits)

        assert rack.wait_for("config.reloaded")["hosts"] == before + 1
        assert rack.api("/api/v1/status")["problems"] == []
        assert (rack.lines("config.rejected"), rack.lines("daemon.work_failed")) == ([], [])
