"""`netboot power` and `netboot bmc` without a daemon; tests/daemon/test_power.py has them with one."""

import asyncio
from functools import partial
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result
from fixtures.command_line import CommandLine

from netboot.cli.commands.power.power import line_of, row_of, status_of
from netboot.cli.main import cli
from netboot.control_socket import NoDaemonError
from netboot.operate.selection import HostSelection

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
        (
            NoDaemonError,
            f"no daemon listens on {netboot.config.parent}/control.sock; systemctl start netboot, or netboot serve",
        )
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
    requested = typed(netboot, "root\nsecret\n", "bmc", "credentials", "cp1")
    assert (requested.exit_code, requested.stdout) == (0, written.stdout), "the word for the user is on standard error"
    assert typed(netboot, "secret", "bmc", "credentials", "w99", "--username", "root").exit_code == 1
    without = typed(netboot, "secret", "bmc", "credentials", "w1", "--username", "root")
    assert str(without.exception) == (
        "cannot write the credentials for the BMC of w1: no hosts file names it; set hosts.w1.bmc first"
    )


class SlowRack:
    """The requests of the client to a daemon whose hosts have a slow BMC, but for the last one. It counts them."""

    def __init__(self, size: int) -> None:
        self.names = [f"w{number}" for number in range(size)]
        self.power, self.running, self.most = self, 0, 0

    async def hosts(self, selection: HostSelection) -> list[dict[str, Any]]:
        assert selection.role == "worker"
        return [{"name": name} for name in self.names]

    async def read(self, name: str) -> dict[str, Any]:
        self.running += 1
        self.most = max(self.most, self.running)
        for _ in range(3):
            await asyncio.sleep(0)
        self.running -= 1
        has_bmc = name != self.names[-1]
        return {"host": name, "has_bmc": has_bmc, "observed": {"state": "on"} if has_bmc else None, "intents": []}


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "selected"])
def test_the_machines_of_a_rack_are_read_as_many_at_once_as_the_daemon_reads(is_named: bool):
    """Each has 20 seconds from its request: one that waits for others is not read."""
    rack = SlowRack(50)

    read = partial(status_of, cast(Any, rack), parallel=8)
    found = asyncio.run(read(hosts=rack.names) if is_named else read(selection=HostSelection("worker")))

    assert [each["host"] for each in found] == (rack.names if is_named else rack.names[:-1])
    assert rack.most == 8


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

    assert row_of({"host": "cp1", "has_bmc": True, "observed": observed, "intents": [INTENT]}) == (
        *("cp1", "on", "OSRunning", "pxe done, by alice at 2026-11-30 12:00:00", ""),
    )
    assert row_of({"host": "cp1", "has_bmc": False, "observed": None, "intents": []}) == (
        *("cp1", "–", "–", "–"),
        "no BMC is declared; set hosts.cp1.bmc, or press its power button",
    )
