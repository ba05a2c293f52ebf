"""Requests with a token: a machine's Kickstart, its Ignition, and its reports.

Each request reads the store. A token opens one document of one install, for the machine's own addresses;
a request from another address raises an alarm. Tokens and documents are never logged.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final, assert_never

import structlog

from netboot.boot.documents import IgnitionSet
from netboot.boot.install_moves import Cause
from netboot.boot.script_service import ScriptService
from netboot.errors import TransitionError
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event, Step
from netboot.model.install.install import Install, InstallEvent, InstallState
from netboot.model.install.token import TokenKind, hidden_in, is_well_formed
from netboot.model.words import printable

log = structlog.get_logger()

PINNED: Final = 256  # Ignition sets kept for their children; the oldest are rendered again on request


class Refusal(StrEnum):
    """Why a token opens nothing. The client gets only 404 or 403; the reason goes to the event."""

    UNKNOWN = "unknown-token"
    SPENT = "spent-token"
    REMOVED = "removed-host"  # no file declares the host of this install any longer
    UNAUTHORISED = "unauthorised-address"  # a live token from an address that is not the machine's


class Alarm(StrEnum):
    """Why a document that was served raises an alarm."""

    SECOND_ADDRESS = "second-address"  # another address of the host received it before


class Report(StrEnum):
    """What a machine reports."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    READY = "ready"


class IgnitionPart(StrEnum):
    """The wrapper and the two documents that it merges."""

    WRAPPER = "wrapper"
    ROLE = "role"
    OVERLAY = "overlay"


@dataclass(frozen=True, slots=True)
class _Opened:
    host: Host
    install: Install


class DocumentService:
    """Answers requests with a token. Async methods raise StoreError, and RenderError where a document fails."""

    def __init__(self, script_service: ScriptService) -> None:
        self._script_service = script_service
        self._pinned: dict[str, IgnitionSet] = {}
        self._served: dict[tuple[HostName, TokenKind], tuple[str, set[IPv4Address]]] = {}  # token, receivers

    async def kickstart_for(
        self, token: str, address: IPv4Address, *, base_url: str, is_head: bool = False
    ) -> str | Refusal:
        """Return the Kickstart of one boot; the token is spent once the installer has reported that it started.

        `is_head`: a HEAD request is no step of the boot.
        """
        opened = await self._open(TokenKind.KICKSTART, token, address)
        if isinstance(opened, Refusal):
            return opened
        is_changed = await self._script_service.install_moves.end_changed_arming(opened.install)
        if is_changed or self._script_service.hosts.get(opened.host.name) != opened.host:
            return self._refuse(Refusal.SPENT, TokenKind.KICKSTART, opened.host, address)
        mac = self._mac_at(opened.host, address)
        document = await self._script_service.documents.kickstart(
            opened.host, opened.install.tokens, mac=mac, base_url=base_url
        )
        if not is_head and self._record_served(opened.host, TokenKind.KICKSTART, token, address):
            self._emit("boot.kickstart_served", opened.host, Step.KICKSTART, address=str(address))
        return document

    async def ignition_for(
        self, token: str, part: IgnitionPart, *, address: IPv4Address, base_url: str, is_head: bool = False
    ) -> bytes | Refusal:
        """Return one part of an installed system's Ignition; the token is spent once the system is ready.

        The three parts of one install do not change: the wrapper has the hashes of the other two.
        `is_head`: a HEAD request changes nothing. Role and overlay are served after the wrapper, which names them:
        until the install is done, or the wrapper was requested, their URLs open nothing.
        """
        opened = await self._open(TokenKind.IGNITION, token, address)
        if isinstance(opened, Refusal):
            return opened
        if part is not IgnitionPart.WRAPPER and opened.install.state is not InstallState.INSTALLED:
            return self._refuse(Refusal.SPENT, TokenKind.IGNITION, opened.host, address)
        documents = self._pinned.get(token)
        if documents is None or part is IgnitionPart.WRAPPER:
            documents = await self._script_service.documents.ignition(
                opened.host, opened.install.tokens, mac=self._mac_at(opened.host, address), base_url=base_url
            )
            self._pin(token, documents)
        if is_head:
            return _part(documents, part)
        if part is IgnitionPart.WRAPPER:
            try:
                cause = Cause(opened.host.mac)
                await self._move(opened.install, InstallEvent.IGNITION_SENT, TokenKind.IGNITION, cause=cause)
            except TransitionError:
                return self._refuse(Refusal.SPENT, TokenKind.IGNITION, opened.host, address)
        if self._record_served(opened.host, TokenKind.IGNITION, token, address):
            self._emit("boot.ignition_served", opened.host, Step.IGNITION, address=str(address))
        return _part(documents, part)

    async def report(self, token: str, report: Report, *, address: IPv4Address, body: str = "") -> Refusal | None:
        """Record a machine's report. None acknowledges it: it is stored.

        A repeated report is acknowledged again; one without a transition in the table finds a spent token.
        """
        install = await self._open_report(token, address)
        if isinstance(install, Refusal):
            return install
        if report is Report.STARTED:  # the last check before the disk is written
            await self._script_service.install_moves.end_changed_arming(install)
        host = self._script_service.hosts.get(install.host)
        try:
            note = printable(hidden_in(body, install.tokens))  # an installer's log names its own URLs
            mac = self._mac_at(host, address) if host else None
            await self._move(install, _EVENT_OF_REPORT[report], TokenKind.REPORT, cause=Cause(mac, note))
        except TransitionError:
            return self._refuse(Refusal.SPENT, TokenKind.REPORT, host or install.host, address)
        if report is Report.READY:
            self._pinned.pop(install.tokens.ignition, None)  # they hold cluster keys, which are not served again
        return None

    async def _open_report(self, token: str, address: IPv4Address) -> Install | Refusal:
        """Find the install of the reporting machine, also where its host was changed or removed meanwhile."""
        install = (
            await self._script_service.install_moves.by_token(TokenKind.REPORT, token)
            if is_well_formed(token)
            else None
        )
        host = self._script_service.hosts.get(install.host) if install else None
        if install is None:
            return self._refuse(Refusal.UNKNOWN, TokenKind.REPORT, None, address)
        if self._script_service.is_target_at(install.target, address) or (
            host and self._script_service.is_at(host, address)
        ):
            return install
        refusal = Refusal.UNAUTHORISED if host else Refusal.REMOVED
        return self._refuse(refusal, TokenKind.REPORT, host or install.host, address)

    async def _open(self, kind: TokenKind, token: str, address: IPv4Address) -> _Opened | Refusal:
        if not is_well_formed(token):
            return self._refuse(Refusal.UNKNOWN, kind, None, address)
        install = await self._script_service.install_moves.by_token(kind, token)
        host = self._script_service.hosts.get(install.host) if install else None
        if install is None:
            return self._refuse(Refusal.UNKNOWN, kind, None, address)
        if host is None:
            return self._refuse(Refusal.REMOVED, kind, install.host, address)
        is_its_own = self._script_service.is_at(host, address)
        if not _is_alive(install, kind):
            self._refuse(Refusal.SPENT if is_its_own else Refusal.UNAUTHORISED, kind, host, address)
            return Refusal.SPENT  # the same answer as for a token that never existed
        if not is_its_own:
            return self._refuse(Refusal.UNAUTHORISED, kind, host, address)
        return _Opened(host, install)

    async def _move(self, opened: Install, event: InstallEvent, kind: TokenKind, *, cause: Cause) -> None:
        await self._script_service.install_moves.move(
            opened.host, event, cause=cause, may_move=lambda install: install.tokens.of(kind) == opened.tokens.of(kind)
        )

    def _record_served(self, host: Host, kind: TokenKind, token: str, address: IPv4Address) -> bool:
        """Record who receives a token's document; return whether it is the first time, for a repeat is no step.

        Raises an alarm if another address of the host received it before: one of the two may be forged.
        """
        last, receivers = self._served.get((host.name, kind), ("", set()))
        if last != token:
            self._served[host.name, kind] = token, {address}
            return True
        if address not in receivers:
            earlier = ", ".join(map(str, sorted(receivers)))
            receivers.add(address)
            data = {"document": kind.value, "address": str(address), "earlier": earlier}
            self._emit("boot.alarm_raised", host, None, level=logging.ERROR, reason=Alarm.SECOND_ADDRESS.value, **data)
        return False

    def _pin(self, token: str, documents: IgnitionSet) -> None:
        self._pinned.pop(token, None)
        self._pinned[token] = documents
        while len(self._pinned) > PINNED:
            del self._pinned[next(iter(self._pinned))]

    def _mac_at(self, host: Host, address: IPv4Address) -> Mac:
        seen = self._script_service.seen.by_address(address)
        return seen.mac if seen is not None and seen.mac in host.macs else host.mac

    def _refuse(self, refusal: Refusal, kind: TokenKind, host: Host | HostName | None, address: IPv4Address) -> Refusal:
        """Record why a token opens nothing; for a removed host only its name is known."""
        data = {"document": kind.value, "address": str(address), "reason": refusal.value}
        match refusal:
            case Refusal.UNKNOWN:
                _, owner = self._script_service.machine_at(address)
                if owner is None:
                    log.debug("boot.token_refused", **data)
                else:  # its own token perhaps, of a boot that another request has replaced
                    self._emit("boot.token_refused", owner, None, level=logging.WARNING, **data)
            case Refusal.SPENT | Refusal.REMOVED:
                self._emit("boot.token_refused", host, None, level=logging.WARNING, **data)
            case Refusal.UNAUTHORISED:
                self._emit("boot.alarm_raised", host, None, level=logging.ERROR, **data)
            case _:
                assert_never(refusal)
        return refusal

    def _emit(
        self,
        event: str,
        host: Host | HostName | None,
        step: Step | None,
        *,
        level: int = logging.INFO,
        **data: str,
    ) -> None:
        name, mac = (host.name, host.mac) if isinstance(host, Host) else (host, None)
        self._script_service.events.record(
            Event(event, self._script_service.clock.now(), name, mac, step, data), level=level
        )


_EVENT_OF_REPORT: Final = {
    Report.STARTED: InstallEvent.REPORTED_STARTED,
    Report.DONE: InstallEvent.REPORTED_DONE,
    Report.FAILED: InstallEvent.REPORTED_FAILED,
    Report.READY: InstallEvent.REPORTED_READY,
}


def _part(documents: IgnitionSet, part: IgnitionPart) -> bytes:
    match part:
        case IgnitionPart.WRAPPER:
            return documents.wrapper
        case IgnitionPart.ROLE:
            return documents.role
        case IgnitionPart.OVERLAY:
            return documents.overlay
        case _:
            assert_never(part)


def _is_alive(install: Install, kind: TokenKind) -> bool:
    match kind:
        case TokenKind.KICKSTART:
            return install.is_armed and install.state in (InstallState.OFFERED, InstallState.LOADING)
        case TokenKind.IGNITION:
            return install.state is not InstallState.READY
        case TokenKind.REPORT:
            return True  # a late or repeated report is always accepted; the table decides
        case _:
            assert_never(kind)
