"""What an operator sees of a machine that is not registered yet: its own report, its relay and its switch port."""

import json

import pytest
from fixtures.packets import RELAY, SERVER, message, opts
from fixtures.rack import Rack
from fixtures.wire import Wire

pytestmark = pytest.mark.integration
UNREGISTERED = ("52:54:00:99:99:97", "192.0.2.67")


def test_an_unregistered_machine_is_listed_with_its_report_and_a_foreign_address_changes_nothing(
    open_rack: Rack,
):
    machine, foreign = open_rack.machine(*UNREGISTERED), open_rack.machine("52:54:00:99:99:96", "192.0.2.68")
    machine.boots()
    foreign.boots()
    path = f"/boot/{machine.mac}.ipxe"

    scripts = [
        machine.get(f"{path}?manufacturer=Dell%20Inc.&serial=%1b%5b2JA1&bogus=1").body,
        foreign.get(f"{path}?serial=forged").body,
        machine.get(path).body,
    ]
    (found,) = (
        each
        for each in json.loads(open_rack.netboot("host", "list", "--discovered", "--json"))
        if each["mac"] == machine.mac
    )
    shown = open_rack.netboot("host", "list", "--discovered")

    assert all(script.startswith("#!ipxe\n") for script in scripts)
    assert "?manufacturer=${manufacturer:uristring}&" in scripts[0]
    assert found["facts"] == {"manufacturer": "Dell Inc.", "serial": r"\x1b[2JA1"}
    assert r"Dell Inc. \x1b[2JA1" in shown


def test_the_relay_and_the_port_of_a_discover_are_listed(open_rack: Rack, wire: Wire):
    mac = "52:54:00:99:99:95"
    chaddr = bytes.fromhex(mac.replace(":", ""))
    relayed = message(opts(more=[(82, b"\1\7Gi1/0/7")]), giaddr=RELAY, chaddr=chaddr)
    inserted = message(opts(more=[(82, b"\2\2\0\1")]), xid=0x1235, chaddr=chaddr)

    wire.query(relayed, source=(RELAY, 67), to=(SERVER, 67))
    wire.query(inserted)
    listed = json.loads(open_rack.netboot("host", "list", "--discovered", "--json"))
    (found,) = (each for each in listed if each["mac"] == mac)

    assert found["first_path"] == {"relay": RELAY, "circuit_id": "Gi1/0/7", "remote_id": ""}
    assert found["last_path"] == {"relay": None, "circuit_id": "", "remote_id": "00:01"}
