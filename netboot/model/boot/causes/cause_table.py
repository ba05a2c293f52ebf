"""The table of causes, the most specific first, and the cause of a situation. Pure. docs/causes.md has each row."""

from typing import Final

from netboot.model.boot.causes.cause import Cause, CauseSeverity, Finding, Situation
from netboot.model.boot.causes.evidence import Evidence, evidence_of
from netboot.model.boot.causes.firmware_rules import FIRMWARE
from netboot.model.boot.causes.first_boot_rules import FIRST_BOOT, READY
from netboot.model.boot.causes.install_rules import (
    APPLIANCE,
    BEFORE_A_BOOT,
    DESCRIPTORS,
    FAILED_INSTALLS,
    HELD_INSTALLS,
)
from netboot.model.boot.causes.installer_rules import INSTALLER
from netboot.model.boot.causes.rule import Rule, of_block
from netboot.model.install.install import InstallState

_STORE: Final = "store-unreachable"


def _stopped(evidence: Evidence) -> Finding | None:
    """Find an event that stops the host and has no cause of its own: another version recorded it."""
    block, what = evidence.block, evidence.explained
    if block is None or what is None:
        return None
    return of_block(evidence, block, cure=what.cure or f"read its events: netboot install watch {evidence.host}")


RULES: Final[tuple[Rule, ...]] = (
    *HELD_INSTALLS,
    *FAILED_INSTALLS,
    *READY,
    *DESCRIPTORS,
    *INSTALLER,
    *APPLIANCE,
    *FIRMWARE,
    *FIRST_BOOT,
    Rule("boot-stopped", CauseSeverity.ERROR, _stopped),
    *BEFORE_A_BOOT,
)


def store_fault(error: str) -> Cause:
    """Return the cause of every host that waits for the store, which failed with this error."""
    what, _, cure = error.partition("; ")
    sentence = f"{what}, and nothing is installed without it"
    return Cause(
        _STORE, sentence, (error,), cure or "see store.url, disk and database", CauseSeverity.ERROR, None, _STORE
    )


def cause_of(situation: Situation) -> Cause | None:
    """Return why a host does not proceed; None if it does, or has nothing to do."""
    install, evidence = situation.install, evidence_of(situation)
    is_done = install.state is InstallState.READY and not install.is_armed
    for rule in READY if is_done else RULES:
        found = rule.find(evidence)
        if found is not None:
            reason = found.reason or rule.name
            return Cause(rule.name, found.sentence, found.evidence, found.cure, rule.severity, found.since, reason)
    return None
