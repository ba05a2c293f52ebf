"""What the events of a host show: the last event that stops it, the events of its boot, and their text. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netboot.model.boot.boot_ending import Ending
from netboot.model.boot.causes.cause import Situation
from netboot.model.boot.reasons import Explanation, explain
from netboot.model.install.event import Event, Step
from netboot.model.install.install import InstallState
from netboot.model.words import printable

# Any machine on the LAN can cause these, so they never replace a reason from the machine's own requests.
BY_ANYBODY: Final = frozenset({"boot.alarm_raised", "boot.request_refused", "http.refused"})
NEWEST_BY_ANYBODY: Final = 50  # of one host that are read; they displace no event of its boot

MOST_EVIDENCE: Final = 5
LONGEST_EVIDENCE: Final = 300  # characters


@dataclass(frozen=True, slots=True)
class Evidence:
    """A situation, and the event that stops the host: the last one that no progress followed."""

    situation: Situation
    block: Event | None
    explained: Explanation | None

    @property
    def host(self) -> str:
        """The name of the host."""
        return self.situation.host

    @property
    def ending(self) -> Ending | None:
        """How the boot ended or ends, by the event that stops it."""
        block = self.block
        if block is None:
            return None
        if block.name in ENDED_BOOTS:
            reason = str(block.data.get("reason"))
            return next((ending for ending in Ending if ending == reason), None)
        if block.name == "boot.transfer_failed":
            return Ending.LOADER_CUT if block.data.get("content") == Step.LOADER else None
        return _ENDINGS.get(block.name)

    def of_boot(self, *names: str) -> list[Event]:
        """List the events of these names since the boot of the machine began, oldest first."""
        record = self.situation.record
        return [
            event
            for event in self.situation.events
            if event.name in names and (record is None or event.at >= record.began_at)
        ]


def evidence_of(situation: Situation) -> Evidence:
    """Read the events of a situation once, for every rule."""
    block = _last_block(situation)
    return Evidence(situation, block, explained(block) if block is not None else None)


def explained(event: Event) -> Explanation | None:
    """Explain an event of a host."""
    return explain(event.name, event.data, host=event.host or event.mac or "this machine")


def shown(event: Event) -> str:
    """Write an event as evidence: its time, its name and what it has."""
    values = ", ".join(f"{key} {value}" for key, value in event.data.items() if value not in (None, ""))
    return _shortened(f"{shown_time(event.at)} {event.name}{': ' if values else ''}{values}")


def shown_time(at: datetime) -> str:
    """Write the time of an evidence."""
    return f"{at:%H:%M:%S} UTC"


def _shortened(text: str) -> str:
    text = printable(text.replace("\n", "; "))
    return text if len(text) <= LONGEST_EVIDENCE else f"{text[: LONGEST_EVIDENCE - 1]}…"


def _last_block(situation: Situation) -> Event | None:
    """Find the last event that stops the host, if no progress followed it."""
    last: Event | None = None
    for event in situation.events:
        what = explained(event)
        if _clears(event, last):
            last = None
        elif _is_of_another_boot(event, situation):
            continue
        elif what is not None and what.is_blocking and not _is_weaker(event, last):
            last = event
    install = situation.install
    is_under_way = install.is_armed or install.state in (InstallState.INSTALLING, InstallState.INSTALLED)
    return None if last is not None and last.name in BY_ANYBODY and not is_under_way else last


def _is_of_another_boot(event: Event, situation: Situation) -> bool:
    """Return whether a refused request for a script came before the running boot, or after this boot got its script.

    Any machine can send it, and it cannot be why this boot does not proceed.
    """
    boot = situation.record
    if event.name != "boot.request_refused" or boot is None or not boot.is_running(situation.now):
        return False
    script = boot.step(Step.SCRIPT)
    return event.at < boot.began_at or (script is not None and event.at >= script.at)


def _is_weaker(event: Event, last: Event | None) -> bool:
    """Return whether an event stops the host, but does not replace the reason from before.

    After the last variant of a firmware has failed, the signs of the next failure say less than its cure.
    """
    if last is None:
        return False
    if event.name in BY_ANYBODY:
        return last.name not in BY_ANYBODY
    return event.name in _ENDINGS and last.name == "boot.dead_end_met"


def _clears(event: Event, last: Event | None) -> bool:
    """Return whether an event shows that the host proceeds again."""
    if event.name == "install.moved" and event.data.get("by") in ("armed", "cancelled"):
        return last is None or last.name not in _OUTLIVE_ARMING
    if last is not None and last.name == _UNHEARD and event.step is not None:
        return True  # it boots again
    if last is not None and event.name in _RESTORED:
        return last.name == _RESTORED[event.name]
    if last is not None and event.step in (Step.OFFER, Step.PXE_REQUEST):
        return last.name in _NO_OFFER
    if last is not None and event.step is Step.LOADER:
        return last.name not in _OUTLIVE_LOADER  # of a boot before it, or of what the next script needs
    return event.step is not None and event.step not in (Step.LOCAL_BOOT, Step.FAILED)


def evidence_lines(*parts: str | Event | None) -> tuple[str, ...]:
    """Return the evidence of a cause, without what is missing and what is there twice."""
    return tuple(dict.fromkeys(_lines(parts)))[:MOST_EVIDENCE]


def _lines(parts: tuple[str | Event | None, ...]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Event):
            yield shown(part)
        elif part:
            yield _shortened(part)


ENDED_BOOTS: Final = frozenset({"boot.dead_end_met", "boot.variant_changed"})
_ENDINGS: Final = {
    "boot.offers_unanswered": Ending.NO_REQUEST,
    "boot.other_file_requested": Ending.WRONG_LOADER,
}
_UNHEARD: Final = "boot.node_unheard"
_RESTORED: Final = {
    "boot.local_boot_learned": "boot.local_boot_failed",
    "boot.node_heard": _UNHEARD,
    "install.content_found": "install.content_lost",
    "install.secret_renewed": "install.secret_ended",
}
_NO_OFFER: Final = frozenset({"dhcp.architecture_refused", "dhcp.boot_refused"})
_OUTLIVE_LOADER: Final = frozenset({*ENDED_BOOTS, *_RESTORED.values()})
_OUTLIVE_ARMING: Final = frozenset({"boot.dead_end_met", *_NO_OFFER})
