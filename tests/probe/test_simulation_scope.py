"""What a simulation may send without --spend: nothing as a host, and no script that could spend an arming."""

import itertools

import pytest

from netboot.model.host.mac import Mac
from netboot.probe.scope.simulation_scope import (
    MachineStanding,
    Scope,
    ScopeRequest,
    SimulationRefusedError,
    drawn_mac,
    mac_for,
    notes_of,
    scope_of,
)

CARD = Mac("52:54:00:aa:bb:01")
OURS = Mac("02:6e:62:00:00:01")
ARMED = MachineStanding("cp1", is_armed=True, boots_left=2)
UNARMED = MachineStanding("cp1")
NOBODY = MachineStanding()
SEEN = MachineStanding(is_seen=True)
TO_WIPE = MachineStanding(is_seen=True, boots_once="wipe")
TO_RESCUE = MachineStanding("cp1", boots_once="rescue")
RUNNING = MachineStanding("cp1", is_armed=True, boots_left=2, boots_now="ostree")


@pytest.mark.parametrize(
    ("mac", "known", "scope"),
    [
        (CARD, ARMED, Scope.REHEARSAL),
        (OURS, ARMED, Scope.REHEARSAL),
        (CARD, UNARMED, Scope.REHEARSAL),
        (CARD, TO_RESCUE, Scope.REHEARSAL),
        (CARD, RUNNING, Scope.REHEARSAL),
        (CARD, NOBODY, Scope.UNREGISTERED),
        (OURS, NOBODY, Scope.UNREGISTERED),
        (OURS, SEEN, Scope.UNREGISTERED),
        (CARD, None, Scope.BEFORE_SCRIPT),
        (OURS, None, Scope.BEFORE_SCRIPT),
    ],
)
def test_without_spend_a_registered_host_is_rehearsed_and_without_an_api_no_script_is_requested(
    mac: Mac, known: MachineStanding | None, scope: Scope
):
    assert scope_of(ScopeRequest(mac, known)) is scope


def test_without_an_api_a_drawn_mac_goes_on_to_the_script_because_no_file_names_it():
    assert scope_of(ScopeRequest(drawn_mac(), None, is_made=True, is_drawn=True)) is Scope.UNREGISTERED
    assert scope_of(ScopeRequest(mac_for("bios"), None, is_made=True)) is Scope.BEFORE_SCRIPT


@pytest.mark.parametrize("known", [SEEN, TO_WIPE])
def test_a_real_machine_that_is_not_registered_is_played_only_with_spend(known: MachineStanding):
    with pytest.raises(SimulationRefusedError, match="--spend"):
        scope_of(ScopeRequest(CARD, known))

    assert scope_of(ScopeRequest(CARD, known, spends=True)) is Scope.SPENDING


def test_what_was_requested_once_for_a_simulated_machine_is_spent_only_with_spend():
    with pytest.raises(SimulationRefusedError, match="wipe"):
        scope_of(ScopeRequest(OURS, TO_WIPE))


def test_a_boot_that_runs_is_disturbed_only_with_force():
    with pytest.raises(SimulationRefusedError, match="step ostree"):
        scope_of(ScopeRequest(CARD, RUNNING, spends=True))

    assert scope_of(ScopeRequest(CARD, RUNNING, spends=True, disturbs=True)) is Scope.SPENDING
    assert scope_of(ScopeRequest(OURS, RUNNING, spends=True)) is Scope.SPENDING


def test_only_spend_leads_to_a_scope_that_spends():
    known = [None, ARMED, UNARMED, NOBODY, SEEN, TO_WIPE, TO_RESCUE, RUNNING]
    for mac, each, force, made, drawn in itertools.product((CARD, OURS), known, *[(False, True)] * 3):
        try:
            scope = scope_of(ScopeRequest(mac, each, disturbs=force, is_made=made, is_drawn=drawn))
        except SimulationRefusedError:
            continue
        assert scope is not Scope.SPENDING
        if each is not None and each.host is not None:
            assert scope is Scope.REHEARSAL


def test_the_notes_name_before_what_is_spent_and_recorded():
    def notes(known: MachineStanding | None, *, spends: bool) -> str:
        request = ScopeRequest(CARD, known, spends)
        return " ".join(notes_of(scope_of(request), request))

    assert "2 boots left" in notes(ARMED, spends=True)
    assert "--until script" in notes(ARMED, spends=True)
    assert "not armed" in notes(UNARMED, spends=True)
    assert "rescue" in notes(TO_RESCUE, spends=True)
    assert "nothing is sent as" in notes(ARMED, spends=False)
    assert "unregistered machine" in notes(NOBODY, spends=False)
    assert "--api" in notes(None, spends=False)
    assert "if 52:54:00:aa:bb:01 is registered and armed" in notes(None, spends=True)


def test_a_made_mac_is_in_the_range_of_simulations_and_the_same_for_a_firmware():
    assert mac_for("bios") == mac_for("bios") != mac_for("edk2-pxe")
    assert mac_for("bios").startswith("02:6e:62:")
    assert drawn_mac() != drawn_mac()
    assert drawn_mac("b8:27:eb").startswith("b8:27:eb:")
    assert mac_for("infiniband", "02:6e:62:03:00").is_infiniband
