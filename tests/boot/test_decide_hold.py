"""Which machine of an armed host waits for a person before it boots the installer: a row for each branch."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from netboot.boot.decide import hold_of, script_without_install
from netboot.model.boot.offer import Policy, UnknownHosts, WaitPlan, WaitReason
from netboot.model.host.host import Host, HostName, InstallRequire, Role
from netboot.model.host.mac import Mac
from netboot.model.install.install import Install
from netboot.model.install.machine_identity import (
    Hold,
    HoldReason,
    Identity,
    IdentitySource,
    KnownIdentity,
    RecordedIdentity,
)

AT = datetime(2026, 11, 30, 7, tzinfo=UTC)
MAC, CARD_2 = Mac.parse("52:54:00:aa:bb:01"), Mac.parse("52:54:00:aa:bb:02")
W1 = Host(HostName("w1"), Role.WORKER, (MAC, CARD_2))
ADDRESS, APPROVAL = (Policy(UnknownHosts.IGNORE, {}, requires=each) for each in InstallRequire)

KNOWN = Identity(MAC, uuid="4c4c4544-0042-3510-8052-b4c04f4e3332", serial="7XK1", is_reported=True)
BY_DHCP = Identity(MAC, uuid=KNOWN.uuid)
OTHER = replace(KNOWN, uuid="4c4c4544-0042-3510-8052-b4c04f4e3333", serial="7XK2")
OTHER_BY_DHCP = Identity(MAC, uuid=OTHER.uuid)
SHOWS_NOTHING = Identity(MAC)
RECORDED = RecordedIdentity(KNOWN, AT, IdentitySource.INSTALL)

NEW, SAME = KnownIdentity(), KnownIdentity(RECORDED)
SERVED, CONFIRMED = KnownIdentity(served=KNOWN), KnownIdentity(RECORDED, is_confirmed=True)
R = HoldReason


@pytest.mark.parametrize(
    ("known", "shown", "rival", "expected"),
    [
        pytest.param(NEW, SHOWS_NOTHING, None, None, id="nothing-known-nothing-shown"),
        pytest.param(NEW, KNOWN, None, None, id="a-first-install"),
        pytest.param(SAME, KNOWN, None, None, id="the-recorded-machine"),
        pytest.param(SAME, BY_DHCP, None, None, id="the-recorded-machine-by-dhcp"),
        pytest.param(SAME, SHOWS_NOTHING, None, None, id="a-machine-that-shows-nothing"),
        pytest.param(SAME, OTHER, None, (R.OTHER_MACHINE, KNOWN), id="another-machine"),
        pytest.param(SAME, replace(KNOWN, serial="7XK2"), None, (R.OTHER_MACHINE, KNOWN), id="another-serial-alone"),
        pytest.param(SAME, OTHER_BY_DHCP, None, (R.OTHER_MACHINE, KNOWN), id="another-machine-by-dhcp"),
        pytest.param(SAME, replace(KNOWN, mac=CARD_2), None, (R.OTHER_CARD, KNOWN), id="another-card"),
        pytest.param(SAME, Identity(CARD_2), None, (R.OTHER_CARD, KNOWN), id="another-card-that-shows-nothing"),
        pytest.param(SERVED, OTHER, None, (R.TWO_MACHINES, KNOWN), id="two-machines-under-one-arming"),
        pytest.param(SERVED, replace(KNOWN, mac=CARD_2), None, None, id="two-cards-of-one-machine-before-an-install"),
        pytest.param(NEW, BY_DHCP, OTHER, (R.TWO_MACHINES, OTHER), id="a-rival-of-an-unknown-machine"),
        pytest.param(NEW, KNOWN, OTHER, (R.TWO_MACHINES, OTHER), id="a-rival-of-a-first-install"),
        pytest.param(SAME, BY_DHCP, OTHER, (R.TWO_MACHINES, OTHER), id="a-rival-of-a-machine-that-reports-nothing"),
        pytest.param(SAME, KNOWN, OTHER, None, id="a-forged-rival-does-not-hold-the-recorded-machine"),
        pytest.param(CONFIRMED, OTHER_BY_DHCP, OTHER, None, id="nor-after-a-confirmation"),
        pytest.param(CONFIRMED, OTHER, None, (R.OTHER_MACHINE, KNOWN), id="another-machine-than-was-confirmed"),
        pytest.param(replace(CONFIRMED, served=KNOWN), OTHER, None, (R.TWO_MACHINES, KNOWN), id="and-after-the-script"),
        pytest.param(CONFIRMED, replace(KNOWN, mac=CARD_2), None, None, id="the-other-card-of-the-confirmed-machine"),
        pytest.param(CONFIRMED, Identity(CARD_2), None, (R.OTHER_CARD, KNOWN), id="a-card-of-what-shows-nothing"),
    ],
)
def test_a_machine_is_held(
    known: KnownIdentity, shown: Identity, rival: Identity | None, expected: tuple[HoldReason, Identity] | None
):
    armed = replace(Install(W1.name, identity=known))

    assert hold_of(W1, armed, shown, ADDRESS, rival=rival) == expected


@pytest.mark.parametrize(
    ("setting", "of_host", "is_held"),
    [
        (ADDRESS, None, False),
        (APPROVAL, None, True),
        (ADDRESS, InstallRequire.APPROVAL, True),
        (APPROVAL, InstallRequire.ADDRESS, False),
    ],
)
def test_the_first_boot_of_each_arming_waits_for_an_approval(
    setting: Policy, of_host: InstallRequire | None, is_held: bool
):
    host = replace(W1, install_require=of_host)

    assert hold_of(host, Install(W1.name), KNOWN, setting) == ((R.APPROVAL, None) if is_held else None)
    assert hold_of(host, Install(W1.name, identity=SAME), KNOWN, setting) == ((R.APPROVAL, KNOWN) if is_held else None)
    assert hold_of(host, Install(W1.name, identity=CONFIRMED), KNOWN, setting) is None


def test_a_machine_that_differs_never_goes_on_without_a_confirmation_of_this_arming():
    cards, uuids = (MAC, CARD_2), (KNOWN.uuid, OTHER.uuid, "")
    for mac, uuid, serial, is_reported in product(cards, uuids, ("7XK1", "7XK2", ""), (True, False)):
        shown = Identity(mac, uuid=uuid, serial=serial, is_reported=is_reported)
        for policy, rival in product((ADDRESS, APPROVAL), (None, OTHER)):
            found = hold_of(W1, Install(W1.name, identity=SAME), shown, policy, rival=rival)

            if shown.differences(KNOWN) or mac != MAC or policy is APPROVAL:
                assert found is not None, shown


def test_a_held_machine_waits_with_the_reason_whatever_it_requests():
    hold = Hold(HoldReason.OTHER_MACHINE, AT, OTHER, KNOWN)
    held = Install(W1.name).armed(at=AT, reason="test", attempts=3).held(hold)

    plan = script_without_install(MAC, W1, held, ADDRESS, may_boot_once=True)

    assert plan == WaitPlan(MAC, WaitReason.HELD, W1, hold.what)
