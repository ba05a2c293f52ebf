"""Causes from the first DISCOVER to the script: firmware, DHCP, other servers, TFTP, loaders. Pure.

A firmware fails in a way that its packets show at once (an event), or that only its next step shows, which does not
come (an overdue step).
"""

from typing import Final

from netboot.model.boot.boot_client import BootProtocol, Stage
from netboot.model.boot.boot_ending import WHAT_HAPPENED, Ending, cure_of
from netboot.model.boot.causes.cause import CauseSeverity, Finding
from netboot.model.boot.causes.evidence import Evidence, evidence_lines, explained
from netboot.model.boot.causes.rule import Find, Rule, any_of, blocked_by, of_block, waiting_for
from netboot.model.boot.loader_names import LoaderKind, loader_kind
from netboot.model.boot.offer import OfferKind
from netboot.model.host.firmware import ReplyVariant
from netboot.model.install.event import Event, Step

# `secs` of the first DISCOVER that came: firmware repeats its first one after four seconds, iPXE begins with four.
LATE_S: Final = {Stage.FIRMWARE.value: 4, Stage.IPXE.value: 12}


def _offer(evidence: Evidence, kind: OfferKind) -> Event | None:
    """Return the last offer of a kind in this boot."""
    offers = evidence.of_boot("boot.offered")
    return next((event for event in reversed(offers) if event.data.get("kind") == kind), None)


def _loader(offer: Event | None) -> str:
    return str(offer.data.get("boot_file") or "its loader") if offer is not None else "its loader"


def _protocol(evidence: Evidence) -> BootProtocol | None:
    record = evidence.situation.record
    return BootProtocol.HTTP if record is not None and record.facts.protocol == BootProtocol.HTTP else None


def _variant(evidence: Evidence) -> str:
    """Return the boot variant that the firmware is offered, as far as it is not the first one."""
    names = {"boot.variant_changed": "to", "boot.variant_learned": "variant", "boot.dead_end_met": ""}
    last = next((event for event in reversed(evidence.situation.events) if event.name in names), None)
    return str(last.data.get(names[last.name]) or "") if last is not None else ""


def _foreign_server(evidence: Evidence) -> Finding | None:
    """Find another server that offers a boot, where this one was requested no loader, or no script by an iPXE."""
    seen, waits = evidence.of_boot("boot.offered_elsewhere"), waiting_for(evidence, Step.LOADER, Step.SCRIPT)
    if not seen or not (waits or evidence.ending in (Ending.NO_LOADER, Ending.NO_SCRIPT)):
        return None
    has_loader = _offer(evidence, OfferKind.SCRIPT) is not None or evidence.ending is Ending.NO_SCRIPT
    what = "its script" if has_loader else "its loader"
    sentence = f"{evidence.host} does not fetch {what} here: {seen[-1].data.get('sentence')}"
    offer = _offer(evidence, OfferKind.LOADER)
    lines = evidence_lines(seen[-1], offer, *(waits.evidence if waits else (evidence.block,)))
    return Finding(sentence, str(seen[-1].data.get("cure") or ""), lines, seen[-1].at)


def _wrong_loader(evidence: Evidence) -> Finding | None:
    """Find a firmware that requests a file here which it was not offered; the server that named it may be known."""
    if evidence.ending is not Ending.WRONG_LOADER or evidence.block is None:
        return None
    seen = evidence.of_boot("boot.offered_elsewhere")[-1:]
    cure = str(seen[0].data.get("cure") or "") if seen else ""
    return of_block(evidence, evidence.block, *seen, cure=cure)


def _blocked_tftp(evidence: Evidence) -> Finding | None:
    """Find transfers of which no packet is acknowledged, in this boot or in those that ended so."""
    block = evidence.block
    if evidence.ending is not Ending.LOADER_CUT or block is None:
        return None
    failed = _failed_loaders(evidence)
    if not failed or any(event.data.get("outcome") != "unanswered" for event in failed):
        return None
    if block.name == "boot.transfer_failed":
        return of_block(evidence, block, _offer(evidence, OfferKind.LOADER))
    what = explained(failed[-1])
    assert what is not None
    return Finding(what.sentence, what.cure, evidence_lines(failed[-1], block), block.at, Ending.LOADER_CUT)


def _failed_loaders(evidence: Evidence) -> list[Event]:
    """List the transfers of loaders that failed since the machine received one."""
    failed: list[Event] = []
    for event in evidence.situation.events:
        if event.step is Step.LOADER:
            failed.clear()
        elif event.name == "boot.transfer_failed" and event.data.get("content") == Step.LOADER:
            failed.append(event)
    return failed


def _ended(ending: Ending) -> Find:
    """Return the pattern of a boot that ended or ends so, by an event."""

    def find(evidence: Evidence) -> Finding | None:
        if evidence.ending is not ending or evidence.block is None:
            return None
        return of_block(evidence, evidence.block, _offer(evidence, OfferKind.LOADER))

    return find


def _lost_behind_relay(evidence: Evidence) -> Finding | None:
    """Find offers that do not come back through a relay: DISCOVERs come through it, and nothing follows."""
    machine, block = evidence.situation.machine, evidence.block
    path = machine.last_path if machine is not None else None
    if evidence.ending is not Ending.NO_REQUEST or block is None or path is None or path.relay is None:
        return None
    sentence = f"{evidence.host} repeats its boot request through the relay {path.relay}, and takes no address"
    cure = (
        f"permit UDP 67 in both directions between {path.relay} and this appliance; see that the relay sends replies "
        "on to the machine, and that it forwards to the LAN's DHCP server too"
    )
    return Finding(sentence, cure, evidence_lines(block, f"relay: {path.relay}"), block.at)


def _late_link(evidence: Evidence) -> Finding | None:
    """Find a machine whose first DISCOVERs did not come here: its switch port forwards nothing after link-up."""
    waits = waiting_for(evidence, Step.LOADER, Step.SCRIPT)
    offers = evidence.of_boot("boot.offered")
    late = next((each for each in offers if _is_late(each)), None)
    if late is None or waits is None:
        return None
    sentence = f"the first boot requests of {evidence.host} did not arrive here; one came {late.data['secs']} s later"
    cure = (
        "let its switch port forward frames at once: portfast (edge port) with spanning tree, LACP fallback with a "
        "bond; then boot it again"
    )
    return Finding(sentence, cure, evidence_lines(late, *waits.evidence), late.at)


def _is_late(offer: Event) -> bool:
    secs, least = offer.data.get("secs"), LATE_S.get(str(offer.data.get("stage")))
    return isinstance(secs, int) and least is not None and secs >= least


def _no_pxe_request(evidence: Evidence) -> Finding | None:
    """Find a firmware that was offered its loader without option 43, and requests nothing on port 4011."""
    waits, record = waiting_for(evidence, Step.LOADER), evidence.situation.record
    if waits is None or not _variant(evidence).startswith(ReplyVariant.WITHOUT_43):
        return None
    if record is not None and record.step(Step.PXE_REQUEST) is not None:
        return None
    sentence = f"{evidence.host} is offered its loader on port 4011, and sends no request to it"
    cure = "permit UDP 4011 to this appliance; if the LAN's DHCP server sends option 60 (PXEClient), remove it there"
    lines = evidence_lines(*waits.evidence, f"variant: {_variant(evidence)}")
    return Finding(sentence, cure, lines, waits.since)


def _no_loader(evidence: Evidence) -> Finding | None:
    waits, offer = waiting_for(evidence, Step.LOADER), _offer(evidence, OfferKind.LOADER)
    if waits is None:
        return None
    sentence = f"{evidence.host} was offered {_loader(offer)}, and does not fetch it"
    cure = cure_of(Ending.NO_LOADER, loader=_loader(offer), protocol=_protocol(evidence))
    return Finding(sentence, cure, evidence_lines(offer, *waits.evidence), waits.since)


def _no_script_request(evidence: Evidence) -> Finding | None:
    """Find an iPXE that was offered the URL of its script, and does not request it."""
    waits, offer = waiting_for(evidence, Step.SCRIPT), _offer(evidence, OfferKind.SCRIPT)
    if waits is None or offer is None:
        return None
    sentence = f"the iPXE of {evidence.host} was offered the URL of its script, and does not request it"
    cure = (
        "read its screen. No configuration methods succeeded: it has no lease; see the LAN's DHCP server and portfast "
        "at its switch port. Nothing to boot: its lease came without this offer; boot it again. Else permit TCP to "
        "http.port"
    )
    return Finding(sentence, cure, evidence_lines(offer, *waits.evidence), waits.since)


def _no_grub_script(evidence: Evidence) -> Finding | None:
    """Find a shim or GRUB that was received, and does not request its configuration here."""
    waits, offer = waiting_for(evidence, Step.SCRIPT), _offer(evidence, OfferKind.LOADER)
    if waits is None or loader_kind(_loader(offer)) is not LoaderKind.GRUB:
        return None
    sentence = f"{evidence.host} got {_loader(offer)}, which does not request its next file here"
    cure = (
        "shim and GRUB request it from the server that the LAN's DHCP server names: remove the boot file and next "
        "server there (options 66 and 67); docs/firmware.md names the builds of shim and GRUB that work"
    )
    return Finding(sentence, cure, evidence_lines(offer, *waits.evidence), waits.since)


def _no_script(evidence: Evidence) -> Finding | None:
    waits, offer = waiting_for(evidence, Step.SCRIPT), _offer(evidence, OfferKind.LOADER)
    if waits is None:
        return None
    sentence = f"{evidence.host} {WHAT_HAPPENED[Ending.NO_SCRIPT]}"
    cure = cure_of(Ending.NO_SCRIPT, loader=_loader(offer), protocol=_protocol(evidence))
    return Finding(sentence, cure, evidence_lines(offer, *waits.evidence), waits.since)


def _no_offer(reason: str) -> Rule:
    """Return the cause of a machine that gets no offer; the event has the cure."""
    return Rule(
        reason, CauseSeverity.ERROR, blocked_by("dhcp.architecture_refused", "dhcp.boot_refused", reason=reason)
    )


NO_OFFER: Final = (
    "no-architecture",
    "unknown-architecture",
    "no-loader-for-arch",
    "loader-for-another-cpu",
    "raspberry-pi-rom",
    "no-reply-variant",
    "boot-file-too-long",
    "no-address-for-client",
    "other-network",
)

FIRMWARE: Final = (
    *map(_no_offer, NO_OFFER),
    Rule("wrong-loader", CauseSeverity.ERROR, _wrong_loader),
    Rule("foreign-boot-server", CauseSeverity.ERROR, _foreign_server),
    Rule("tftp-blocked", CauseSeverity.ERROR, _blocked_tftp),
    Rule("loader-cut", CauseSeverity.ERROR, _ended(Ending.LOADER_CUT)),
    Rule("relay-loses-replies", CauseSeverity.ERROR, _lost_behind_relay),
    Rule("no-request", CauseSeverity.ERROR, _ended(Ending.NO_REQUEST)),
    Rule(
        "no-http",
        CauseSeverity.ERROR,
        any_of(_ended(Ending.NO_HTTP), blocked_by("dhcp.boot_refused", reason="loader-without-http")),
    ),
    Rule("late-link", CauseSeverity.WARNING, _late_link),
    Rule("no-pxe-request", CauseSeverity.ERROR, _no_pxe_request),
    Rule("no-loader", CauseSeverity.ERROR, any_of(_ended(Ending.NO_LOADER), _no_loader)),
    Rule("no-script-request", CauseSeverity.ERROR, _no_script_request),
    Rule("no-grub-script", CauseSeverity.ERROR, _no_grub_script),
    Rule("no-script", CauseSeverity.ERROR, any_of(_ended(Ending.NO_SCRIPT), _no_script)),
)
