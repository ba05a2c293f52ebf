"""A host that was offered a boot: an offer follows any DISCOVER with its MAC, so that a rollout does not rely on it."""

from dataclasses import replace
from datetime import timedelta

from netboot.model.install.install import InstallState
from netboot.model.rollout.rollout import Phase, PowerStep, Rollout, RolloutHost, RolloutOptions, RolloutState
from netboot.operate.rollout.decision import outcomes, person_texts
from netboot.operate.rollout.decision.effects import Arm, PowerOn
from netboot.operate.rollout.decision.next_actions import RolloutStep, next_step
from netboot.operate.rollout.decision.observed import Observed, ObservedInstall
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

YESTERDAY = BEGAN_AT - timedelta(days=1)
ARMED_AT = BEGAN_AT + timedelta(seconds=1)


def step(rollout: Rollout, install: ObservedInstall, *, seconds: float = 0) -> RolloutStep:
    now = BEGAN_AT + timedelta(seconds=seconds)
    return next_step(rollout, Observed({"cp1": install}), rules=EVERY_COMMAND, now=now)


def armed(rollout: Rollout, state: InstallState) -> tuple[Rollout, ObservedInstall]:
    """Return a rollout after it armed its host, and that host's install, which moved later."""
    rollout = outcomes.armed(step(rollout, ObservedInstall()).rollout, "cp1", ARMED_AT)
    reason = rollout.arming_reason(rollout.hosts[0])
    return rollout, ObservedInstall(state, True, ARMED_AT, armed_at=ARMED_AT, armed_for=reason)


def cp1(found: RolloutStep) -> RolloutHost:
    return found.rollout.hosts[0]


def test_a_host_that_was_armed_and_offered_a_boot_before_is_armed_anew_and_powered_on():
    offered = ObservedInstall(InstallState.OFFERED, True, YESTERDAY, armed_at=YESTERDAY, armed_for="by hand")

    first = step(a_rollout(0, 0), offered)
    second = step(outcomes.armed(first.rollout, "cp1", ARMED_AT), replace(offered, armed_at=ARMED_AT), seconds=2)

    assert (cp1(first).phase, Arm("cp1") in first.effects) == (Phase.POWERING, True)
    assert second.effects == (PowerOn("cp1"),)


def test_an_offer_ends_no_wait_for_a_person():
    rollout, offered = armed(a_rollout(0, 0, options=RolloutOptions(power=False)), InstallState.OFFERED)

    waiting = step(rollout, replace(offered, state=InstallState.REGISTERED), seconds=2)
    later = step(waiting.rollout, offered, seconds=3600 * 5)
    loading = step(later.rollout, replace(offered, state=InstallState.LOADING, ignition_sha256="1"), seconds=3600 * 6)

    assert (cp1(later).phase, cp1(later).reason) == (Phase.NEEDS_PERSON, person_texts.PRESS)
    assert cp1(loading).phase is Phase.INSTALLING


def test_an_offer_before_the_power_on_does_not_replace_it():
    rollout, offered = armed(a_rollout(0, 0), InstallState.OFFERED)

    found = step(rollout, offered, seconds=2)

    assert (cp1(found).phase, cp1(found).power, found.effects) == (
        Phase.POWERING,
        PowerStep.REQUESTED,
        (PowerOn("cp1"),),
    )


def test_an_install_that_stopped_long_before_the_rollout_is_no_install_and_may_be_retried_at_once():
    loading = ObservedInstall(InstallState.LOADING, True, YESTERDAY, "1", armed_at=YESTERDAY, armed_for="by hand")

    adopted = step(a_rollout(0, 0), loading)
    failed = step(adopted.rollout, loading, seconds=1)

    assert (cp1(adopted).phase, cp1(adopted).changed_at) == (Phase.INSTALLING, YESTERDAY)
    assert (cp1(failed).phase, cp1(failed).reason) == (Phase.FAILED, "its install did not end within 60 min")
    assert failed.rollout.state is RolloutState.PAUSED
    assert outcomes.full_retry_refusal(failed.rollout, cp1(failed)) is None
