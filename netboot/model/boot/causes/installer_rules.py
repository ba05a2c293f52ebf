"""Causes from the script to the end of the installer: content, documents, tokens, the store. Pure."""

from typing import Final

from netboot.model.boot.causes.cause import CauseSeverity, Finding
from netboot.model.boot.causes.evidence import Evidence, evidence_lines
from netboot.model.boot.causes.rule import HELD_BACK, Find, Rule, any_of, blocked_by, of_block, overdue, waiting_for
from netboot.model.boot.reasons import Alarm
from netboot.model.install.event import Step


def _held_back(*parts: str) -> Find:
    """Return the pattern of a boot that is held back by one of these parts of what it is served from."""
    return blocked_by(*HELD_BACK, part=parts)


def _refused_document(document: str) -> Find:
    """Return the pattern of a document that was refused to its machine: its token, or the address of the request."""
    return any_of(
        blocked_by("boot.token_refused", document=document),
        blocked_by("boot.alarm_raised", document=document, reason="unauthorised-address"),
    )


def _cut_content(evidence: Evidence) -> Finding | None:
    """Find a kernel, initrd or stage 2 of which only a part was received."""
    block = evidence.block
    if block is None or block.name != "boot.transfer_failed" or block.data.get("content") == Step.LOADER:
        return None
    failed = evidence.of_boot("boot.transfer_failed")
    return of_block(evidence, block, f"{len(failed)} transfers of this boot ended early" if len(failed) > 1 else None)


def _stalled_pull(evidence: Evidence) -> Finding | None:
    """Find a pull that stopped before its end: the step after it is overdue."""
    waits = waiting_for(evidence, Step.OSTREE, Step.POST, Step.INSTALLED)
    pulls = evidence.of_boot("boot.content_pulled")
    percent = pulls[-1].data.get("percent") if pulls else None
    if waits is None or not isinstance(percent, int) or percent >= 100:
        return None
    sentence = f"the installer of {evidence.host} pulled {percent} % of its release, and then stopped"
    cure = "read its log: netboot install logs HOST, or its screen; check its disk, and the LAN between them"
    return Finding(
        sentence, cure.replace("HOST", evidence.host), evidence_lines(pulls[-1], *waits.evidence), pulls[-1].at
    )


_LOGS: Final = "read its screen, or netboot install logs {host}"

INSTALLER: Final = (
    Rule(
        "store-unreachable",
        CauseSeverity.ERROR,
        any_of(
            _held_back("store"),
            blocked_by("boot.script_served", "dhcp.boot_refused", reason="store-unreachable"),
        ),
    ),
    Rule("secret-ended", CauseSeverity.ERROR, any_of(blocked_by("install.secret_ended"), _held_back("secret"))),
    Rule("release-missing", CauseSeverity.ERROR, _held_back("release")),
    Rule("medium-missing", CauseSeverity.ERROR, _held_back("medium")),
    Rule("ignition-unusable", CauseSeverity.ERROR, _held_back("ignition")),
    Rule("loader-unusable", CauseSeverity.ERROR, _held_back("loader")),
    Rule("document-fault", CauseSeverity.ERROR, blocked_by(*HELD_BACK)),
    Rule("kickstart-refused", CauseSeverity.ERROR, _refused_document("kickstart")),
    Rule("ignition-refused", CauseSeverity.ERROR, _refused_document("ignition")),
    Rule("report-refused", CauseSeverity.ERROR, _refused_document("report")),
    Rule("second-address", CauseSeverity.ERROR, blocked_by("boot.alarm_raised", reason=Alarm.SECOND_ADDRESS)),
    Rule("unauthorised-address", CauseSeverity.ERROR, blocked_by("boot.alarm_raised")),
    Rule("unknown-host", CauseSeverity.ERROR, blocked_by("boot.script_served", reason="unknown-host")),
    Rule("not-announced", CauseSeverity.WARNING, blocked_by("boot.script_served", reason="not-announced")),
    Rule("other-address", CauseSeverity.ERROR, blocked_by("boot.request_refused", reason="other-address")),
    Rule(
        "no-registered-address", CauseSeverity.ERROR, blocked_by("boot.request_refused", reason="no-registered-address")
    ),
    Rule("request-malformed", CauseSeverity.WARNING, blocked_by("http.refused")),
    Rule("arming-ended", CauseSeverity.ERROR, blocked_by("install.arming_ended")),
    Rule(
        "address-in-use",
        CauseSeverity.ERROR,
        any_of(
            blocked_by("lease.conflict_found", "lease.declined"),
            blocked_by("dhcp.boot_refused", reason="address-in-use"),
        ),
    ),
    Rule("pool-exhausted", CauseSeverity.ERROR, blocked_by("lease.pool_exhausted")),
    Rule("content-cut", CauseSeverity.ERROR, _cut_content),
    Rule(
        "kernel-not-fetched",
        CauseSeverity.ERROR,
        overdue(
            Step.KERNEL,
            sentence="{host} got its script, and does not fetch the kernel completely",
            cure="read its screen: iPXE or GRUB names the reason; permit TCP to http.port; check cable, switch and MTU",
        ),
    ),
    Rule(
        "initrd-not-fetched",
        CauseSeverity.ERROR,
        overdue(
            Step.INITRD,
            sentence="{host} got the kernel, and does not fetch the initrd completely",
            cure="read its screen: iPXE or GRUB names the reason; check its memory, cable, switch port and MTU",
        ),
    ),
    Rule(
        "no-kickstart-request",
        CauseSeverity.ERROR,
        overdue(
            Step.KICKSTART,
            sentence="{host} got kernel and initrd, and its installer does not request its Kickstart",
            cure="read its screen. A kernel panic: the medium is damaged (import it again), or the machine has too "
            "little memory. It waits for its network: its card needs a driver, its link comes late, or no DHCP server "
            "answers it",
        ),
    ),
    Rule(
        "stage2-not-fetched",
        CauseSeverity.ERROR,
        overdue(
            Step.STAGE2,
            sentence="the installer of {host} does not fetch its stage 2 completely",
            cure=f"{_LOGS}; check its memory: the stage 2 is kept in it; check cable, switch port and MTU",
        ),
    ),
    Rule(
        "no-checks-report",
        CauseSeverity.ERROR,
        overdue(
            Step.CHECKS,
            sentence="the installer of {host} does not report the checks of its machine, so nothing is written",
            cure=f"{_LOGS}: it waits for a question at its console, or %pre failed; its own template of the Kickstart "
            "must include kickstart/checks.ks.j2",
        ),
    ),
    Rule("pull-stalled", CauseSeverity.ERROR, _stalled_pull),
    Rule(
        "pull-not-begun",
        CauseSeverity.ERROR,
        overdue(
            Step.OSTREE,
            sentence="the installer of {host} writes to the disk, and does not pull its release",
            cure=f"{_LOGS}; check its disk, and that it reaches this appliance by HTTP",
        ),
    ),
    Rule(
        "installer-stopped",
        CauseSeverity.ERROR,
        overdue(
            Step.INSTALLING,
            Step.POST,
            Step.INSTALLED,
            sentence="the installer of {host} does not proceed",
            cure=f"{_LOGS}: it waits for a question at its console, or a script of the Kickstart hangs",
        ),
    ),
)
