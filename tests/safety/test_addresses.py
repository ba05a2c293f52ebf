"""The owner of an address that machines take from each other: sequences that the model found."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, link_shared
from safety.declared import A1, AT_FIRST, POOL, B, X

ADDRESS = POOL[0]


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text())
    yield box
    box.close()


def announces(box: Appliance, mac: str, address: str | None = None) -> None:
    """Let a machine send a DISCOVER, and the REQUEST that shows its address."""
    box.dhcp(67, wire.discover(wire.UEFI, mac, 7))
    if address is not None:
        box.dhcp(67, wire.lan_request(mac, 7, address))


def is_led(box: Appliance, mac: str, address: str) -> bool:
    return wire.installer_token(box.http("GET", f"/boot/{mac}.ipxe", address).body) is not None


@pytest.mark.parametrize("is_killed", [False, True], ids=["restart", "kill"])
def test_after_a_restart_an_address_is_the_machines_that_was_shown_there_last(box: Appliance, is_killed: bool):
    announces(box, A1)
    announces(box, B, ADDRESS)
    box.dhcp(67, wire.lan_request(A1, 8, ADDRESS))
    box.advance(1)
    box.restart(kill=is_killed)
    assert box.arm("cp2") == 200
    box.dhcp(67, wire.discover(wire.UEFI, B, 9))

    assert not is_led(box, B, ADDRESS)


@pytest.mark.parametrize("is_killed", [False, True], ids=["restart", "kill"])
def test_a_machine_gets_its_address_back_after_another_had_it_and_a_restart(box: Appliance, is_killed: bool):
    announces(box, B, ADDRESS)
    announces(box, A1, ADDRESS)
    box.advance(1)
    box.restart(kill=is_killed)
    assert box.arm("cp2") == 200
    announces(box, B, ADDRESS)

    assert is_led(box, B, ADDRESS)


def test_a_machine_that_never_requested_a_boot_is_not_led_at_the_address_that_it_took(box: Appliance):
    assert box.arm("cp2") == 200
    announces(box, B, ADDRESS)
    box.dhcp(67, wire.lan_request(X, 8, ADDRESS))

    assert not is_led(box, B, ADDRESS)


def test_a_machine_that_never_requested_a_boot_gets_no_document_at_the_address_that_it_took(box: Appliance):
    assert box.arm("cp2") == 200
    announces(box, B, ADDRESS)
    script = box.http("GET", f"/boot/{B}.ipxe", ADDRESS).body
    kickstart = f"/ks/{wire.installer_token(script)}"
    box.dhcp(67, wire.lan_request(X, 8, ADDRESS))

    assert box.http("GET", kickstart, ADDRESS).status == 403
    assert re.search(rb"/ks/[0-9a-f]{32}", script)


def test_a_machine_whose_address_changed_gets_its_documents_after_the_daemon_is_killed(box: Appliance):
    before, after = POOL[:2]
    assert box.arm("cp1") == 200
    announces(box, A1, before)
    script = box.http("GET", f"/boot/{A1}.ipxe", before).body
    box.dhcp(67, wire.lan_request(A1, 8, after))
    box.advance(0.1)
    box.advance(1)
    box.restart(kill=True)

    assert box.http("GET", f"/ks/{wire.installer_token(script)}", after).status == 200
