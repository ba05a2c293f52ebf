"""Causes of installs that failed, and of what an operator has to do before one: from install and history. Pure."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.boot_record import BootPlan
from netboot.model.boot.causes.cause import RECENT, CauseSeverity, Finding
from netboot.model.boot.causes.evidence import BY_ANYBODY, ENDED_BOOTS, Evidence, evidence_lines, shown, shown_time
from netboot.model.boot.causes.rule import HELD_BACK, Find, Rule, any_of, blocked_by, of_block, waiting_for
from netboot.model.boot.reasons import after_failed_checks, after_failure, reason_of
from netboot.model.install.checks import CheckResult
from netboot.model.install.event import Step
from netboot.model.install.install import InstallEvent, InstallState, Move


def _failure(evidence: Evidence) -> Move | None:
    """Return the transition by which the install failed; None if it did not, or was armed again since."""
    install = evidence.situation.install
    if install.state is not InstallState.FAILED:
        return None
    failed = [
        move for move in evidence.situation.history if move.after is InstallState.FAILED and move.what in _FAILURES
    ]
    if not failed or (install.arming is not None and install.arming.at > failed[-1].at):
        return None
    return failed[-1]


def _failed_check(*names: str) -> Find:
    """Return the pattern of an install that was refused because one of these checks failed; without names, any."""

    def find(evidence: Evidence) -> Finding | None:
        failure, install = _failure(evidence), evidence.situation.install
        if failure is None or failure.what != InstallEvent.CHECKS_FAILED:
            return None
        failed = [check for check in install.checks if check.result is CheckResult.FAIL]
        if names and not any(check.name in names for check in failed):
            return None
        cure = after_failed_checks(install.host) if install.is_armed else after_failure(install.host, is_armed=False)
        lines = evidence_lines(*(f"check {check}" for check in failed), _shown_move(failure))
        return Finding(reason_of(failure), cure, lines, failure.at, failure.what)

    return find


def _failed_with(what: InstallEvent) -> Find:
    def find(evidence: Evidence) -> Finding | None:
        failure, install = _failure(evidence), evidence.situation.install
        if failure is None or failure.what != what:
            return None
        cure = after_failure(install.host, is_armed=install.is_armed and not install.has_spent_its_arming)
        return Finding(reason_of(failure), cure, evidence_lines(_shown_move(failure)), failure.at, failure.what)

    return find


def _shown_move(move: Move) -> str:
    return f"{shown_time(move.at)} {move.what}: {move.before} -> {move.after}"


def _held(evidence: Evidence) -> Finding | None:
    install = evidence.situation.install
    hold = install.hold
    if hold is None:
        return None
    expected = hold.expected
    lines = evidence_lines(f"now: {hold.shown}", f"before: {expected}" if expected is not None else None)
    return Finding(
        f"{install.host} is held: {hold.what}", hold.cure(install.host), lines, hold.since, hold.reason.value
    )


def _not_armed(evidence: Evidence) -> Finding | None:
    install = evidence.situation.install
    if install.is_armed or install.state not in (
        InstallState.REGISTERED,
        InstallState.OFFERED,
        InstallState.LOADING,
    ):
        return None
    record = evidence.situation.record
    if record is not None and record.plan in _ONCE and record.is_running(evidence.situation.now):
        return None
    sentence = f"{install.host} is not armed, so it boots its own disk"
    return Finding(sentence, f"netboot install arm {install.host}", (), install.changed_at)


def _unserved(evidence: Evidence) -> Finding | None:
    """Find a machine that is not heard, or gets no loader or script, while this appliance does not serve everything."""
    unserved, waits = evidence.situation.unserved, waiting_for(evidence, Step.LOADER, Step.SCRIPT)
    found = _not_heard(evidence)
    if not unserved or evidence.block is not None:
        return None
    what, _, cure = unserved[0].partition("; ")
    sentence = f"{evidence.host} does not boot, and this appliance does not serve everything: {what}"
    if waits is not None:
        found = Finding(sentence, evidence=evidence_lines(*waits.evidence), since=waits.since)
    if found is None:
        return None
    lines = evidence_lines(*unserved, *found.evidence)
    return replace(found, sentence=sentence, cure=cure or "run netboot check", evidence=lines)


def _no_descriptor(evidence: Evidence) -> Finding | None:
    """Find a machine that waits, or began to boot again, while this appliance had too few descriptors to serve it.

    One that was overdue before has another cause. So has one that waits still, minutes after the shortage.
    """
    shortage, block, now = evidence.situation.shortage, evidence.block, evidence.situation.now
    if block is not None and block.name in HELD_BACK and block.data.get("part") == "descriptors":
        return of_block(evidence, block)
    if shortage is None or now - shortage.at > RECENT:
        return None
    wait, waits = evidence.situation.wait, waiting_for(evidence, *_SERVED)
    if block is not None and (block.name not in ENDED_BOOTS or evidence.ending not in _UNSERVED_ENDINGS):
        return None
    if wait is not None and waits is not None:
        since, until = wait.since, wait.overdue_at
    elif block is not None:
        since = until = block.at
    else:
        return None
    if shortage.at < since or shortage.since > until:
        return None
    what, _, cure = shortage.reason.partition("; ")
    verb = "has" if now - shortage.at <= _NOW else "had"
    sentence = f"{evidence.host} does not proceed, and this appliance {verb} too few file descriptors: {what}"
    last = f"{shown_time(shortage.at)} {shortage.reason}"
    lines = evidence_lines(last, *(waits.evidence if waits is not None else (block,)))
    return Finding(sentence, cure, lines, since)


def _not_heard(evidence: Evidence) -> Finding | None:
    """Find an armed host whose machine sent no request since the arming."""
    arming, events, host = evidence.situation.install.arming, evidence.situation.events, evidence.host
    if arming is None or arming.spent:
        return None
    if any(event.at >= arming.at and event.mac is not None and event.name not in BY_ANYBODY for event in events):
        return None
    cure = (
        "start it with network boot first in its boot order; if it did start, see that its DHCP broadcasts reach this "
        f"server and that hosts.{host}.mac is the card that boots (netboot host list --discovered)"
    )
    last = next((shown(event) for event in reversed(events) if event.mac is not None), None)
    lines = evidence_lines(f"{shown_time(arming.at)} armed", last and f"before: {last}")
    return Finding(f"no boot request of {host} was received since it was armed", cure, lines, arming.at)


_SERVED: Final = tuple(set(Step) - {Step.OFFER, Step.PXE_REQUEST, Step.LOCAL_BOOT, Step.FAILED})  # by TCP, or a file
_NOW: Final = timedelta(seconds=5)  # the health is checked every 2 s
_UNSERVED_ENDINGS: Final = (Ending.NO_LOADER, Ending.LOADER_CUT, Ending.NO_SCRIPT)
_ONCE: Final = frozenset({BootPlan.INSPECT, BootPlan.RESCUE, BootPlan.WIPE})
_FAILURES: Final = frozenset(
    {InstallEvent.CHECKS_FAILED.value, InstallEvent.REPORTED_FAILED.value, InstallEvent.ATTEMPTS_SPENT.value}
)

HELD_INSTALLS: Final = (Rule("install-held", CauseSeverity.ERROR, _held),)

FAILED_INSTALLS: Final = (
    Rule("disk-missing", CauseSeverity.ERROR, _failed_check("disk")),
    Rule("disk-in-group", CauseSeverity.ERROR, _failed_check("members")),
    Rule("not-uefi", CauseSeverity.ERROR, _failed_check("firmware")),
    Rule("clock-wrong", CauseSeverity.ERROR, _failed_check("clock")),
    Rule("release-not-fetched", CauseSeverity.ERROR, _failed_check("release")),
    Rule("address-taken", CauseSeverity.ERROR, _failed_check("address", "vip")),
    Rule("gateway-missing", CauseSeverity.ERROR, _failed_check("gateway")),
    Rule("checks-failed", CauseSeverity.ERROR, _failed_check()),
    Rule("attempts-spent", CauseSeverity.ERROR, _failed_with(InstallEvent.ATTEMPTS_SPENT)),
    Rule(
        "install-failed",
        CauseSeverity.ERROR,
        any_of(_failed_with(InstallEvent.REPORTED_FAILED), blocked_by("install.moved")),
    ),
)

DESCRIPTORS: Final = (Rule("no-descriptor", CauseSeverity.ERROR, _no_descriptor),)

APPLIANCE: Final = (Rule("appliance-fault", CauseSeverity.ERROR, _unserved),)

BEFORE_A_BOOT: Final = (
    Rule("not-heard", CauseSeverity.INFO, _not_heard),
    Rule("not-armed", CauseSeverity.INFO, _not_armed),
)
