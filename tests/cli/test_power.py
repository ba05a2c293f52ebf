"""`netboot power` and `netboot bmc` without a daemon; tests/daemon/test_power.py has them with one."""

from click.testing import CliRunner, Result
from fixtures.command_line import CommandLine

from netboot.cli.commands.power.power import line_of, row_of
from netboot.cli.main import cli
from netboot.control_socket import NoDaemonError

INTENT = {
    "id": "ab12",
    "host": "cp1",
    "action": "pxe",
    "state": "done",
    "detail": "",
    "actor": "alice",
    "requested_at": "2026-11-30T12:00:00.123456+00:00",
}


def typed(netboot: CommandLine, text: str, *arguments: str) -> Result:
    """Run a command whose standard input is no terminal."""
    return CliRunner().invoke(cli, ["--config", str(netboot.config), *arguments], prog_name="netboot", input=text)


def test_power_needs_a_daemon_and_hosts(netboot: CommandLine):
    faults = [netboot("power", verb, "cp1").exception for verb in ("on", "off", "cycle", "pxe", "status")]
    assert [(type(each), str(each)) for each in faults] == [
        (NoDaemonError, "no daemon runs; start it with systemctl start netboot")
    ] * 5
    assert netboot("power", "on").exit_code == 2
    assert "not both" in netboot("power", "off", "cp1", "--role", "worker").stderr
    assert "--all needs no HOST" in netboot("power", "status", "--all", "cp1").stderr


def test_credentials_are_written_without_a_daemon_too_and_not_printed(netboot: CommandLine):
    text = netboot.hosts.read_text()
    netboot.hosts.write_text(text.replace('00:01",', '00:01", bmc: "https://192.0.2.201:443",'))
    written = typed(netboot, "it's: a #secret\nmore", "bmc", "credentials", "cp1", "--username", "root")

    file = netboot.config.parent / "bmc.d" / "cp1"
    assert written.stdout == (
        f"the BMC credentials of cp1 are in {file}\nfor https://192.0.2.201 (certificate: verify)\n"
    )
    assert "secret" not in written.stderr
    assert (file.read_text(), file.stat().st_mode & 0o777) == (
        "username: 'root'\npassword: 'it''s: a #secret'\nurl: 'https://192.0.2.201'\ncertificate: 'verify'\n",
        0o600,
    )
    assert typed(netboot, "secret", "bmc", "credentials", "w99", "--username", "root").exit_code == 1
    without = typed(netboot, "secret", "bmc", "credentials", "w1", "--username", "root")
    assert str(without.exception) == (
        "cannot write the credentials for the BMC of w1: no hosts file names it; set hosts.w1.bmc first"
    )


def test_an_action_is_described_by_its_end():
    assert line_of(INTENT) == "cp1: power pxe is done"
    assert line_of({**INTENT, "detail": "cp1 is on already"}) == "cp1 is on already"
    assert line_of({**INTENT, "state": "failed", "detail": "no answer"}) == "cp1: power pxe is failed: no answer"
    assert line_of({**INTENT, "state": "sending"}) == "cp1: power pxe has not ended; netboot power status cp1"
    assert line_of({**INTENT, "reached": False}) == "cp1: power pxe is done; the machine is not on yet"
    assert line_of({**INTENT, "action": "off", "reached": False}) == (
        "cp1: power off is done; the machine is not off yet"
    )


def test_a_row_has_state_progress_last_action_and_fault():
    observed = {"host": "cp1", "state": "on", "at": INTENT["requested_at"], "progress": "OSRunning", "fault": None}

    assert row_of({"host": "cp1", "observed": observed, "intents": [INTENT]}) == (
        *("cp1", "on", "OSRunning", "pxe done, by alice at 2026-11-30 12:00:00", ""),
    )
    assert row_of({"host": "cp1", "observed": None, "intents": []}) == ("cp1", "–", "–", "–", "")
