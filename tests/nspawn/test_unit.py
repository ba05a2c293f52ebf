"""`netboot.service` under a real systemd: ready, with credentials, in its sandbox."""

import json

import pytest
from fixtures.daemon import START_S, wait_until
from nspawn.conftest import Unit

pytestmark = [pytest.mark.integration, pytest.mark.proof]

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


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


def test_without_a_credential_the_start_fails_and_succeeds_by_itself_once_it_is_there(unit: Unit):
    unit.drop_in("50", "LoadCredential=more:/etc/netboot/credentials/more")
    unit.container.run("systemctl", "stop", "netboot")

    failed = unit.container.run("systemctl", "start", "netboot", status=1)

    assert "Job for netboot.service failed" in failed
    assert unit.show("ExecMainStatus") == "243", "CREDENTIALS, by systemd.exec(5)"
    # of a process that ended at once, of which the journal may not know the unit any more
    assert "Failed to set up credentials: " in unit.container.run("journalctl", "--no-pager", "-o", "cat")
    unit.container.write("/etc/netboot/credentials/more", "secret", mode="600", group="root")
    wait_until(lambda: unit.show("ActiveState") == "active" or None, timeout_s=START_S)


def test_a_reload_of_faulty_hosts_fails_and_the_daemon_keeps_the_previous_ones(unit: Unit):
    given = unit.container.run("cat", "/etc/netboot/hosts.yaml")
    unit.container.run("systemctl", "reload", "netboot")

    unit.container.write("/etc/netboot/hosts.yaml", given.replace("role: worker", "role: wroker"))
    failed = unit.container.run("systemctl", "reload", "netboot", status=1)
    state, offer = unit.show("ActiveState"), unit.machine(*CP1).discover()
    unit.container.write("/etc/netboot/hosts.yaml", given)
    unit.container.run("systemctl", "reload", "netboot")

    assert "Job for netboot.service failed" in failed
    assert "hosts.w1.role: no such role 'wroker'" in unit.journal()
    assert state == "active"
    assert offer is not None


def test_a_wrong_configuration_is_no_reason_for_a_restart(unit: Unit):
    unit.container.write("/etc/netboot/wrong.yaml", "nosuch: 1\n")
    unit.drop_in("50", "ExecStart=", "ExecStart=/opt/netboot/bin/netboot --config /etc/netboot/wrong.yaml serve")
    unit.container.run("systemctl", "stop", "netboot")

    unit.container.run("systemctl", "start", "netboot", status=1)

    assert (unit.show("ActiveState"), unit.show("ExecMainStatus")) == ("failed", "2")
    assert "/etc/netboot/wrong.yaml:1:1: nosuch" in unit.journal("-n", "20")
