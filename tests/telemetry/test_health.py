"""What the states of the parts mean together."""

import pytest

from netboot.telemetry.health import Health, HealthPart, PartState

OK, DEGRADED, FAILED = PartState


@pytest.mark.parametrize(
    ("states", "status", "can_serve", "as_declared"),
    [
        ((), OK, True, True),
        ((OK, OK), OK, True, True),
        ((OK, DEGRADED), DEGRADED, True, False),
        ((FAILED, OK), DEGRADED, True, False),
        ((DEGRADED, FAILED), DEGRADED, True, False),
        ((FAILED, FAILED), FAILED, False, False),
    ],
)
def test_a_kind_of_part_has_failed_if_all_its_parts_have(
    states: tuple[PartState, ...], status: PartState, can_serve: bool, as_declared: bool
):
    health = Health([HealthPart("http", str(number), state) for number, state in enumerate(states)])

    assert (health.status, health.can_serve, health.serves_as_declared) == (status, can_serve, as_declared)


def test_a_part_without_a_reason_is_ok_and_the_kinds_have_no_names():
    parts = [
        HealthPart.of("store", None),
        HealthPart.of("tftp", "port in use", name="s0:69"),
        HealthPart.of("tftp", None, name="s1:69"),
    ]

    assert parts == [
        HealthPart("store"),
        HealthPart("tftp", "s0:69", FAILED, ("port in use",)),
        HealthPart("tftp", "s1:69"),
    ]
    assert Health(parts).by_kind() == {"store": OK, "tftp": DEGRADED}


@pytest.mark.parametrize(("whole", "state"), [(OK, DEGRADED), (DEGRADED, DEGRADED), (FAILED, FAILED)])
def test_a_part_without_a_name_is_the_whole_of_its_kind(whole: PartState, state: PartState):
    parts = [HealthPart("content", "", whole), HealthPart("content", "ock-1", DEGRADED)]

    assert Health(parts).by_kind() == {"content": state}


def test_the_worst_kind_decides():
    assert (
        Health([HealthPart("store", "", FAILED), HealthPart("tftp"), HealthPart("admin", "", DEGRADED)]).status
        is FAILED
    )
