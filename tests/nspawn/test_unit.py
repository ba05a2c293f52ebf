"""`netboot.service` under a real systemd: ready, with credentials, in its sandbox."""

import json
from collections.abc import Iterator

import pytest
from fixtures.daemon import wait_until
from nspawn.conftest import Unit

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


@pytest.fixture(autouse=True)
def running(unit: Unit) -> Iterator[None]:
    """Each test begins with the daemon running, as the unit has it."""
    unit.container.run("sh", "-c", "rm -f /etc/systemd/system/netboot.service.d/50.conf; systemctl daemon-reload")
    unit.container.run("systemctl", "start", "netboot")
    yield
    wait_until(lambda: unit.show("ActiveState") != "activating" or None)


def test_it_is_ready_when_each_listener_answers(unit: Unit):
    unit.container.run("systemctl", "restart", "netboot")

    assert unit.machine(*CP1).get("/livez").status == 204
    assert unit.machine(*CP1).discover() is not None
    assert (
        unit.container.run("curl", "-sS", "--unix-socket", "/run/netboot/control.sock", "http://localhost/livez") == ""
    )
    assert unit.container.show("netboot.service", "ActiveState", "StatusText", "Result") == {
        "ActiveState": "active", "StatusText": "serving 2 hosts", "Result": "success",
    }  # fmt: skip
    assert unit.container.run("systemctl", "--failed", "--no-legend") == ""


def test_credentials_reach_the_daemon_and_commands_beside_it(unit: Unit):
    problems = json.loads(unit.netboot("check", "--json"))["problems"]

    assert [problem for problem in problems if "credential" in problem or "key" in problem] == []
    assert "store.key" not in unit.container.run("ls", "-A", "/var/lib/netboot").split(), "no key file was made"
