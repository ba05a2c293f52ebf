"""A card of a host that was led to the installer before its other card was: what the model found."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from safety import wire
from safety.appliance import Appliance, link_shared
from safety.declared import A1, A2, AT_FIRST, REGISTERED_ADDRESS


@pytest.fixture
def box(shared: Path, tmp_path: Path) -> Iterator[Appliance]:
    link_shared(shared, tmp_path)
    box = Appliance(tmp_path, AT_FIRST.text())
    yield box
    box.close()


def powers_on(box: Appliance, card: str, xid: int) -> None:
    uuid = wire.uuid_of(A1)  # both cards are of one machine
    box.dhcp(67, wire.discover(wire.BIOS, card, xid, uuid=uuid))
    box.dhcp(67, wire.lan_request(card, xid, REGISTERED_ADDRESS))
    box.dhcp(67, wire.discover(wire.BIOS, card, xid + 1, is_ipxe=True, uuid=uuid))


def token(box: Appliance, card: str) -> str | None:
    """Request the script of a card; return the token if it leads to the installer."""
    return wire.installer_token(box.http("GET", f"/boot/{card}.ipxe", REGISTERED_ADDRESS).body)


def spent(box: Appliance) -> int | None:
    """Return the boots that the arming has spent; None if the host is not armed."""
    arming = box.api("GET", "/hosts/cp1/install").json()["arming"]
    return arming and arming["spent"]


def test_a_card_that_was_led_under_an_earlier_arming_is_not_led_by_a_boot_of_the_other_card(box: Appliance):
    assert box.arm("cp1", attempts=1) == 200
    powers_on(box, A1, 1)
    earlier = token(box, A1)
    assert box.cancel("cp1") == 200
    assert box.arm("cp1", attempts=1) == 200
    powers_on(box, A2, 3)
    served = token(box, A2)

    assert None not in (earlier, served)
    assert earlier != served
    assert [token(box, A1), spent(box)] == [None, None]  # the arming allowed one boot


def test_a_card_of_an_earlier_boot_of_the_same_arming_gets_no_tokens_of_the_boot_of_the_other_card(box: Appliance):
    assert box.arm("cp1", attempts=3) == 200
    powers_on(box, A1, 1)
    first = token(box, A1)
    powers_on(box, A2, 3)
    second = token(box, A2)
    assert [token(box, A2), spent(box)] == [second, 2]

    third = token(box, A1)

    assert None not in (first, second, third)
    assert len({first, second, third}) == 3
    assert [token(box, A1), spent(box)] == [third, 3]
