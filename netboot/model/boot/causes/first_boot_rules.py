"""Causes from the end of the installer to the installed system that is ready. Pure."""

from itertools import takewhile
from typing import Final

from netboot.model.boot.causes.cause import CauseSeverity, Finding
from netboot.model.boot.causes.evidence import Evidence, evidence_lines
from netboot.model.boot.causes.rule import Rule, blocked_by, overdue, waiting_for
from netboot.model.install.event import Event, Step
from netboot.model.install.install import InstallState

_FIRST_BOOT: Final = (
    "at its boot menu, remove ignition.firstboot=1 from the kernel line; then on the node: "
    "rpm-ostree kargs --delete ignition.firstboot=1"
)

_NO_IGNITION: Final = (
    "read its screen. If its firmware or loader hangs there: restart it, and it is led to its disk by the next method; "
    "hosts.{host}.local_boot fixes one, and the firmware's boot menu has the disk. If the kernel waits: its card, VLAN "
    "or bond gets no link, or move-gpt-header waits for a disk; then do not reset it in its first boot"
)


def _ignition_after_ready(evidence: Evidence) -> Finding | None:
    """Find an installed system that requests its Ignition again after it was ready: Ignition runs at each boot."""
    install, events = evidence.situation.install, evidence.situation.events
    if install.state is not InstallState.READY or install.is_armed:
        return None
    later = takewhile(lambda event: event.step is None, reversed(events))
    refused = next((each for each in later if _is_refused_ignition(each)), None)
    if refused is None:
        return None
    sentence = f"the installed system of {evidence.host} runs Ignition again, after it was ready"
    return Finding(sentence, _FIRST_BOOT, evidence_lines(refused), refused.at)


def _is_refused_ignition(event: Event) -> bool:
    return event.name == "boot.token_refused" and event.data.get("document") == "ignition"


def _no_ignition_request(evidence: Evidence) -> Finding | None:
    """Find an installed system that does not show itself after its local boot: firmware, disk, or its network."""
    waits = waiting_for(evidence, Step.IGNITION)
    if waits is None:
        return None
    record = evidence.situation.record
    local = record.step(Step.LOCAL_BOOT) if record is not None else None
    by = f" by {local.detail}" if local is not None and local.detail else ""
    sentence = f"the installed system of {evidence.host} requests no Ignition after its local boot{by}"
    method = f"local boot: {local.detail}" if local is not None and local.detail else None
    return Finding(
        sentence, _NO_IGNITION.format(host=evidence.host), evidence_lines(*waits.evidence, method), waits.since
    )


READY: Final = (
    Rule("ignition-after-ready", CauseSeverity.ERROR, _ignition_after_ready),
    Rule("no-local-boot", CauseSeverity.ERROR, blocked_by("boot.local_boot_failed")),
    Rule("no-report-after-boot", CauseSeverity.ERROR, blocked_by("boot.node_unheard")),
)

FIRST_BOOT: Final = (
    Rule("first-boot-reset", CauseSeverity.ERROR, blocked_by("boot.ignition_repeated")),
    Rule(
        "no-restart",
        CauseSeverity.ERROR,
        overdue(
            Step.LOCAL_BOOT,
            sentence="the install of {host} is done, and the machine does not boot again",
            cure="restart it; read its screen",
        ),
    ),
    Rule(
        "no-ignition-request",
        CauseSeverity.ERROR,
        _no_ignition_request,
    ),
    Rule(
        "not-ready",
        CauseSeverity.ERROR,
        overdue(
            Step.READY,
            sentence="the installed system of {host} got its Ignition, and does not report that it is ready",
            cure="read its screen, or netboot install logs {host}: a unit of the first boot failed or waits. Do not "
            "reset it: Ignition would run again and stop",
        ),
    ),
)
