"""An install that one appliance holds, and that a person confirms at the other one of the same PostgreSQL."""

from pathlib import Path

import pytest
from fixtures.appliances import write_two
from fixtures.files import SETTINGS
from fixtures.rack import Machine, Rack, running, token_in
from postgresql import Server

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
BOARD = "?uuid=4c4c4544-0042-3510-8052-b4c04f4e333{number}&serial=7XK{number}"


def booted(at_both: tuple[Machine, Machine], *, xid: int) -> None:
    """Broadcast the requests of one boot, which both appliances receive."""
    for machine in at_both:
        machine.boots(xid=xid)


def script(machine: Machine, number: int) -> str:
    """Request the script of a machine that reports its mainboard."""
    return machine.get(f"/boot/{machine.mac}.ipxe{BOARD.format(number=number)}").body


def hold(rack: Rack) -> tuple[str, str] | None:
    found = rack.install("cp1")["hold"]
    return (found["reason"], found["shown"]["serial"]) if found else None


def test_an_install_that_one_appliance_holds_goes_on_at_both_after_its_confirmation_at_the_other(
    tmp_path: Path, postgresql_server: Server
):
    directories = write_two(tmp_path, postgresql_server.new_database(), SETTINGS + "install: {require: approval}\n")
    with running(directories[0]) as first, running(directories[1]) as second:
        at_both = at_first, at_second = first.machine(*CP1), second.machine(*CP1)
        first.netboot("install", "arm", "cp1")
        booted(at_both, xid=0x7B11)

        waiting = [script(at_first, 1), script(at_second, 1)]
        held = [hold(first), hold(second)]
        hold_id = first.install("cp1")["hold"]["id"]
        line = f"{hold_id}; to confirm this one alone: netboot install confirm cp1 --hold {hold_id}"
        assert f"hold: {line}" in second.netboot("install", "show", "cp1").splitlines()
        assert line in second.netboot("host", "show", "cp1")
        second.netboot("install", "confirm", "cp1", "--hold", hold_id)
        going = [script(at_first, 1), script(at_second, 1)]

        assert ["inst.ks" in each for each in waiting] == [False, False]
        assert ["waits until a person confirms" in each for each in waiting] == [True, True]
        assert held == [("approval", "7XK1")] * 2
        assert [hold(first), hold(second)] == [None, None]
        assert token_in(going[0], "ks") == token_in(going[1], "ks")
        assert first.install("cp1")["arming"]["spent"] == 1
        assert at_second.get(f"/ks/{token_in(going[0], 'ks')}").status == 200

        second.netboot("install", "cancel", "cp1")
        second.netboot("install", "arm", "cp1")
        booted(at_both, xid=0x7B21)
        waiting = [script(at_second, 2), script(at_first, 2)]
        held = [hold(first), hold(second)]
        first.netboot("install", "confirm", "cp1")

        assert ["inst.ks" in each for each in waiting] == [False, False]
        assert held == [("other-machine", "7XK2")] * 2
        assert ["inst.ks" in script(machine, 2) for machine in at_both] == [True, True]
        assert ["inst.ks" in script(machine, 1) for machine in at_both] == [False, False]
        assert [hold(first), hold(second)] == [("two-machines", "7XK1")] * 2
