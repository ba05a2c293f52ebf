"""What identifies a machine beside its MAC: spellings of one value, placeholders, differences, and holds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from netboot.errors import InstallHeldError, TransitionError
from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck
from netboot.model.install.install import Arming, Install, InstallEvent, InstallState
from netboot.model.install.machine_identity import (
    NOTHING_KNOWN,
    Hold,
    HoldReason,
    Identity,
    IdentitySource,
    KnownIdentity,
    RecordedIdentity,
    ServedBoot,
    as_columns,
    from_columns,
    identity_in,
    uuid_key,
)
from netboot.model.install.token import Tokens

MAC, OTHER_MAC = Mac.parse("52:54:00:aa:bb:01"), Mac.parse("52:54:00:aa:bb:02")
UUID_1, UUID_2 = "4c4c4544-0042-3510-8052-b4c04f4e3332", "4c4c4544-0042-3510-8052-b4c04f4e3333"
AT = datetime(2026, 11, 30, 7, tzinfo=UTC)
SHOWN = Identity(MAC, "192.0.2.50", UUID_1, "7XK1", "sw1 Eth1/3", is_reported=True)


def test_a_uuid_is_the_same_in_both_byte_orders_and_in_each_spelling():
    swapped = str(UUID(bytes_le=UUID(UUID_1).bytes))

    assert swapped != UUID_1
    assert uuid_key(swapped) == uuid_key(UUID_1) == uuid_key(UUID_1.upper()) == uuid_key(UUID(UUID_1).hex)
    assert uuid_key(UUID_2) != uuid_key(UUID_1)
    assert replace(SHOWN, uuid=swapped, serial=" 7xk1 ").differences(SHOWN) == []


@pytest.mark.parametrize(
    ("uuid", "serial"),
    [
        ("00000000-0000-0000-0000-000000000000", "To Be Filled By O.E.M."),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "0123456789"),
        ("00020003-0004-0005-0006-000700080009", "Default string"),  # AMI's, in the order of the wire
        ("no uuid", "None"),
        ("", ""),
    ],
)
def test_a_placeholder_differs_from_nothing_and_identifies_nothing(uuid: str, serial: str):
    shown = replace(SHOWN, uuid=uuid, serial=serial)

    assert shown.differences(SHOWN) == SHOWN.differences(shown) == []
    assert not shown.is_same_machine(shown)
    assert not shown.is_same_machine(SHOWN)


def test_each_value_that_differs_is_named():
    other = replace(SHOWN, uuid=UUID_2, serial="7XK2")

    assert other.differences(SHOWN) == [f"UUID {UUID_2} instead of {UUID_1}", "serial number 7XK2 instead of 7XK1"]
    assert not other.is_same_machine(SHOWN)
    assert not replace(SHOWN, serial="7XK2").is_same_machine(SHOWN)
    assert replace(SHOWN, serial="").is_same_machine(SHOWN)
    assert replace(SHOWN, uuid="").is_same_machine(SHOWN)


def test_a_long_serial_number_is_compared_as_far_as_ipxe_reports_it():
    long = "S" * 60 + "ABCDEFGH"

    assert replace(SHOWN, serial=long[:64]).differences(replace(SHOWN, serial=long)) == []


def test_what_is_missing_is_completed_but_not_by_another_machine():
    by_dhcp = Identity(MAC, uuid=UUID_1)

    assert by_dhcp.completed(SHOWN) == SHOWN
    assert SHOWN.completed(replace(SHOWN, address="192.0.2.51")) == SHOWN
    assert by_dhcp.completed(replace(SHOWN, uuid=UUID_2)) == by_dhcp


def test_the_checks_of_an_installer_show_its_machine():
    checks = (
        InstallCheck("firmware", CheckResult.PASS, "booted by UEFI"),
        InstallCheck("identity", CheckResult.PASS, f"UUID {UUID_1}, serial 7XK1 "),
    )

    assert identity_in(checks, MAC, "192.0.2.50") == Identity(MAC, "192.0.2.50", UUID_1, "7XK1", is_reported=True)
    assert identity_in(checks[:1], MAC, "") is None
    assert identity_in([InstallCheck("identity", CheckResult.SKIPPED, "no SMBIOS")], MAC, "") is None
    assert identity_in([InstallCheck("identity", CheckResult.PASS, "UUID , serial ")], MAC, "") == Identity(
        MAC, is_reported=True
    )


def test_a_machine_is_known_by_what_it_reported_else_by_its_dhcp_requests():
    little_endian = UUID(UUID_1).bytes_le.hex()
    machine = Machine(MAC, AT, AT, uuid=little_endian, last_path=RelayPath(None, "eth3", "sw1"))
    reported = {MachineFact.UUID: UUID_2, MachineFact.SERIAL: "7XK2", MachineFact.SWITCH: "sw9"}

    assert machine.identity == Identity(MAC, uuid=UUID_1, switch_port="sw1 eth3")
    assert replace(machine, facts=reported).identity == Identity(
        MAC, uuid=UUID_2, serial="7XK2", switch_port="sw9", is_reported=True
    )
    assert Machine(MAC, AT, AT).identity == Identity(MAC)


@pytest.mark.parametrize(
    "known",
    [
        NOTHING_KNOWN,
        KnownIdentity(RecordedIdentity(SHOWN, AT, IdentitySource.INSTALL)),
        KnownIdentity(None, SHOWN, is_confirmed=True, boot=ServedBoot(2**32 - 1, AT)),
        KnownIdentity(
            RecordedIdentity(SHOWN, AT, IdentitySource.CONFIRMATION),
            hold=Hold(HoldReason.OTHER_MACHINE, AT, replace(SHOWN, uuid=UUID_2), SHOWN),
        ),
        KnownIdentity(hold=Hold(HoldReason.APPROVAL, AT, SHOWN)),
    ],
)
def test_what_is_stored_is_read_as_it_was(known: KnownIdentity):
    assert from_columns(as_columns(known)) == known


def test_a_hold_with_a_reason_of_a_newer_version_stays_a_hold():
    known = KnownIdentity(
        RecordedIdentity(SHOWN, AT, IdentitySource.CONFIRMATION), hold=Hold(HoldReason.APPROVAL, AT, SHOWN)
    )
    written = as_columns(known)
    assert written is not None
    written["hold"]["reason"], written["recorded"]["source"] = "other-rack", "ledger"
    written["hold"]["shown"]["rack"] = "r1"

    assert from_columns(written) == known


@pytest.mark.parametrize(
    ("reason", "what", "cure"),
    [
        (
            HoldReason.APPROVAL,
            "a person confirms its first boot into the installer (MAC 52:54:00:aa:bb:01, address 192.0.2.50, "
            f"UUID {UUID_1}, serial 7XK1, switch port sw1 Eth1/3)",
            "confirm it if this is the machine that is to be installed: netboot install confirm w1; "
            "else netboot install cancel w1",
        ),
        (
            HoldReason.TWO_MACHINES,
            f"two machines have MAC 52:54:00:aa:bb:01: UUID {UUID_1} instead of {UUID_2}",
            "find both machines, and give one of them its own MAC. Confirm it if the machine that waits now is the "
            "right one: netboot install confirm w1; else netboot install cancel w1",
        ),
        (
            HoldReason.OTHER_MACHINE,
            f"the machine with MAC 52:54:00:aa:bb:01 shows another identity: UUID {UUID_1} instead of {UUID_2}",
            "confirm it if the mainboard was replaced, or if this is the right machine: netboot install confirm w1; "
            "else netboot install cancel w1 and find the machine that has this MAC",
        ),
        (
            HoldReason.OTHER_CARD,
            "it boots from its card 52:54:00:aa:bb:01, and booted from 52:54:00:aa:bb:02 when it was installed last",
            "confirm it if the card or its cable was changed on purpose: netboot install confirm w1; "
            "else netboot install cancel w1 and see the boot order and the switch port",
        ),
    ],
)
def test_a_hold_says_what_it_found_and_what_to_do(reason: HoldReason, what: str, cure: str):
    hold = Hold(reason, AT, SHOWN, Identity(OTHER_MAC, uuid=UUID_2))

    assert (hold.what, hold.cure("w1")) == (what, cure)


def an_install(known: KnownIdentity = NOTHING_KNOWN, *, state: InstallState = InstallState.LOADING) -> Install:
    return Install(
        HostName("w1"), state, arming=Arming(AT, "test", 3), tokens=Tokens("k", "i", "r", "n"), identity=known
    )


def test_a_held_install_gives_no_script_and_writes_nothing_until_a_person_confirms_it():
    hold = Hold(HoldReason.OTHER_MACHINE, AT, SHOWN, replace(SHOWN, uuid=UUID_2))
    held = an_install().held(hold)

    with pytest.raises(InstallHeldError):
        held.moved_by(InstallEvent.REPORTED_STARTED, at=AT)
    with pytest.raises(InstallHeldError):
        held.booting_the_installer(Tokens(), at=AT)
    with pytest.raises(TransitionError, match="shows something else by now"):
        held.confirmed("another", at=AT)
    confirmed = held.confirmed(hold.id, at=AT)
    assert confirmed.identity == KnownIdentity(
        RecordedIdentity(SHOWN, AT, IdentitySource.CONFIRMATION), is_confirmed=True
    )
    assert confirmed.tokens == held.tokens
    assert confirmed.moved_by(InstallEvent.REPORTED_STARTED, at=AT).state is InstallState.INSTALLING
    with pytest.raises(TransitionError, match="nothing is to be confirmed"):
        confirmed.confirmed(None, at=AT)


def test_of_two_machines_the_one_that_was_served_before_loses_its_tokens():
    served = replace(an_install().identity, served=replace(SHOWN, uuid=UUID_2))

    held = an_install(served).held(Hold(HoldReason.TWO_MACHINES, AT, SHOWN, served.served))

    assert held.confirmed(None, at=AT).tokens == Tokens()


def test_a_second_hold_completes_the_first_and_replaces_only_what_dhcp_requests_alone_showed():
    first = Hold(HoldReason.APPROVAL, AT, Identity(MAC, uuid=UUID_1))
    of_another = Hold(HoldReason.TWO_MACHINES, AT + timedelta(seconds=5), replace(SHOWN, uuid=UUID_2), first.shown)
    by_dhcp = replace(of_another, shown=Identity(MAC, uuid=UUID_2))

    completed = an_install().held(first).held(replace(first, shown=SHOWN))

    assert completed.hold == replace(first, shown=SHOWN)
    assert completed.hold.id != first.id  # type: ignore[union-attr]
    assert completed.held(of_another).hold == completed.hold
    assert an_install().held(first).held(by_dhcp).hold == first
    assert an_install().held(first).held(of_another).hold == replace(of_another, since=AT)


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (Identity(MAC, "192.0.2.50", UUID_2, switch_port="sw1"), replace(SHOWN, switch_port="")),  # forged
        (Identity(MAC, "192.0.2.50", UUID_1, switch_port="sw1"), replace(SHOWN, switch_port="sw1")),
        (replace(SHOWN, uuid=UUID_2), replace(SHOWN, uuid=UUID_2)),  # its own request had it
    ],
)
def test_what_only_a_dhcp_request_showed_is_not_recorded_of_a_machine_whose_installer_finds_another(
    served: Identity, expected: Identity
):
    checks = (InstallCheck("identity", CheckResult.PASS, f"UUID {UUID_1}, serial 7XK1"),)

    checked = an_install(KnownIdentity(served=served)).checked(
        checks, at=AT, shown=identity_in(checks, MAC, "192.0.2.50")
    )

    assert checked.identity.installed(AT).recorded == RecordedIdentity(expected, AT, IdentitySource.INSTALL)


def test_the_end_of_an_arming_ends_its_hold_and_an_install_without_one_is_not_held():
    held = an_install().held(Hold(HoldReason.APPROVAL, AT, SHOWN))

    assert held.cancelled().hold is None
    offered = replace(held, state=InstallState.OFFERED)
    assert offered.armed(at=AT, reason="again", attempts=1).hold is None
    with pytest.raises(TransitionError, match="not armed"):
        held.cancelled().held(Hold(HoldReason.APPROVAL, AT, SHOWN))


def test_the_machine_that_was_installed_is_recorded_also_after_a_cancel():
    booted = an_install(state=InstallState.OFFERED).booting_the_installer(Tokens(), at=AT, shown=SHOWN)

    done = booted.moved_by(InstallEvent.REPORTED_DONE, at=AT)
    late = booted.cancelled().moved_by(InstallEvent.REPORTED_DONE, at=AT)

    recorded = KnownIdentity(RecordedIdentity(SHOWN, AT, IdentitySource.INSTALL))
    assert (done.identity, late.identity) == (recorded, recorded)
    assert done.moved_by(InstallEvent.REPORTED_READY, at=AT).identity == recorded
    assert done.retired().identity == NOTHING_KNOWN


def test_a_machine_that_a_person_registers_is_recorded_and_ends_no_hold():
    held = an_install().held(Hold(HoldReason.APPROVAL, AT, SHOWN))
    recorded = RecordedIdentity(SHOWN, AT, IdentitySource.APPROVAL)

    assert held.identified(recorded) == replace(held, identity=KnownIdentity(recorded, hold=held.hold))


def test_checks_complete_the_machine_that_got_the_script():
    booted = an_install(state=InstallState.OFFERED).booting_the_installer(
        Tokens(), at=AT, shown=Identity(MAC, uuid=UUID_1)
    )
    passed = tuple(InstallCheck(name, CheckResult.PASS, "it is") for name in ("firmware", "disk", "members"))

    checked = booted.checked(passed, at=AT, shown=SHOWN)

    assert checked.identity.served == SHOWN


def test_what_is_recorded_of_a_card_that_is_no_longer_the_hosts_is_not_expected():
    known = KnownIdentity(RecordedIdentity(SHOWN, AT, IdentitySource.INSTALL))

    assert known.expected([MAC, OTHER_MAC]) == SHOWN
    assert known.expected([OTHER_MAC]) is None
    assert NOTHING_KNOWN.expected([MAC]) is None
