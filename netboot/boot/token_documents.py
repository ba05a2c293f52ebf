"""Answers requests with a token: for a machine's Kickstart and Ignition, and its reports.

Each request reads the store. A token opens one document of one install, for the machine's own addresses;
a request from another address raises an alarm. Tokens and documents are never logged.
"""

import logging
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Final

import structlog

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.documents.join_gate import JoinGate
from netboot.boot.documents.served_ignition import ServedIgnition
from netboot.boot.identity.identity_watch import IdentityWatch
from netboot.boot.install_moves import ChangeCause, InstallMoves
from netboot.boot.live_registry import LiveRegistry
from netboot.boot.records.shown_text import report_shown
from netboot.boot.sessions.identity import Identification
from netboot.boot.sessions.local_boots import LocalBoots
from netboot.boot.sessions.machines_seen import SeenMachines
from netboot.errors import InstallHeldError, NetbootError, TransitionError
from netboot.events.event_bus import EventBus
from netboot.model.boot.reasons import Alarm
from netboot.model.clock import Clock
from netboot.model.host.host import Host, HostName
from netboot.model.host.host_secrets import secret_values
from netboot.model.host.mac import Mac
from netboot.model.install.checks import CheckResult, InstallCheck, failures, read_checks
from netboot.model.install.event import Step
from netboot.model.install.install import MID_INSTALL, Install, InstallEvent, InstallState
from netboot.model.install.served_document import ServedDocument, ServedKind
from netboot.model.install.token import TokenKind, Tokens
from netboot.store.served_documents import ServedDocuments

log = structlog.get_logger()

# The parts of an Ignition of which a record is kept; the wrapper follows from them.
_KEPT: Final = {IgnitionPart.OVERLAY: ServedKind.OVERLAY, IgnitionPart.ROLE: ServedKind.ROLE}
LOG_AFTER_READY: Final = timedelta(minutes=1)  # the last lines of a first boot come after its report `ready`
SAME_FIRST_BOOT_S: Final = 60.0  # within it an installed system repeats a request whose answer was lost


class Refusal(StrEnum):
    """Why a token is refused. The client gets only 404 or 403; the reason is in the event."""

    UNKNOWN = "unknown-token"
    SPENT = "spent-token"
    REMOVED = "removed-host"  # no file declares the host of this install any longer
    HELD = "held"  # a person confirms the machine first: its installer waits
    JOINS_LATER = "joins-later"  # a rollout lets the host join later: its Ignition retries
    UNAUTHORISED = "unauthorised-address"  # a valid token from an address that is not the machine's


class Report(StrEnum):
    """What a machine reports: `reported-…` of `InstallEvent`, and its checks, which have a content of their own."""

    CHECKS = "checks"
    POST = "post"  # the Kickstart's %post began: it changes no install
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class _Served:
    """A token's document that was served: to which addresses, and when first, on the monotonic clock."""

    token: str = field(repr=False)
    receivers: set[IPv4Address]
    since_s: float


@dataclass(frozen=True, slots=True, eq=False)
class DocumentService:
    """Answers requests with a token. Async methods raise StoreError, and RenderError if a document fails."""

    registry: LiveRegistry
    seen: SeenMachines
    _: KW_ONLY
    identification: Identification
    install_moves: InstallMoves
    identity: IdentityWatch
    served: ServedDocuments
    gate: JoinGate
    local_boots: LocalBoots
    events: EventBus
    clock: Clock
    _ignition: ServedIgnition = field(init=False)
    _served: dict[tuple[HostName, TokenKind], _Served] = field(default_factory=dict, init=False)
    _waiting: dict[HostName, str] = field(default_factory=dict, init=False, repr=False)  # the tokens of those that wait

    def __post_init__(self) -> None:
        served = ServedIgnition(lambda: self.registry.now.documents.ignition, self.gate, self.clock.now)
        object.__setattr__(self, "_ignition", served)

    async def serve_kickstart(
        self, token: str, address: IPv4Address, *, base_url: str, is_head: bool = False
    ) -> str | Refusal:
        """Return the Kickstart of one boot; the token is spent once the installer has reported that it started.

        `is_head`: a HEAD request is not a step of the boot.
        """
        opened = await self._open(TokenKind.KICKSTART, token, address)
        if isinstance(opened, Refusal):
            return opened
        host, install = opened
        is_changed = await self.install_moves.end_changed_arming(install)
        registry = self.registry.now
        if is_changed or registry.hosts.get(host.name) != host:
            return self._refuse(Refusal.SPENT, TokenKind.KICKSTART, host, address)
        mac = self._mac_at(host, address)
        document = await registry.documents.kickstart(host, install.tokens, mac=mac, base_url=base_url)
        if is_head:
            return document
        self._keep(host, ServedKind.KICKSTART, document.encode(), tokens=install.tokens, mac=mac, base_url=base_url)
        if self._record_served(host, TokenKind.KICKSTART, token, address):
            data = {"address": str(address)}
            self.events.emit("boot.kickstart_served", data, host=host, mac=host.mac, step=Step.KICKSTART)
        else:
            self.seen.count_retry(self.seen.find_or_add(mac), Step.KICKSTART)
        return document

    async def serve_ignition(
        self, token: str, part: IgnitionPart, *, address: IPv4Address, base_url: str, is_head: bool = False
    ) -> bytes | Refusal:
        """Return one part of an installed system's Ignition; the token is spent once the system is ready.

        The three parts of one install do not change: the wrapper has the hashes of the other two.
        `is_head`: a HEAD request changes nothing. Role and overlay are served after the wrapper, which names them:
        until the install is done, or the wrapper was requested, their URLs return 404. A host that a rollout holds gets
        them when it may join. The archive is the installer's.
        """
        opened = await self._open(TokenKind.IGNITION, token, address)
        if isinstance(opened, Refusal):
            return opened
        if part is IgnitionPart.ARCHIVE:
            return await self._embedded(*opened, address, base_url=base_url, is_head=is_head)
        host, install = opened
        if part is not IgnitionPart.WRAPPER and install.state is not InstallState.INSTALLED:
            return self._refuse(Refusal.SPENT, TokenKind.IGNITION, host, address)
        mac = self._mac_at(host, address)
        document = await self._ignition.part(part, host, install, mac=mac, base_url=base_url, is_head=is_head)
        if document is None:
            return self._joins_later(host, token, address)
        if is_head:
            return document
        if part is IgnitionPart.WRAPPER:
            try:
                await self._move(install, InstallEvent.IGNITION_SENT, TokenKind.IGNITION, cause=ChangeCause(host.mac))
            except TransitionError:
                return self._refuse(Refusal.SPENT, TokenKind.IGNITION, host, address)
        if part in _KEPT:
            self._keep(host, _KEPT[part], document, tokens=install.tokens, mac=mac, base_url=base_url)
        self._record_ignition(host, part, token, address=address)
        return document

    def _joins_later(self, host: Host, token: str, address: IPv4Address) -> Refusal:
        """Record once in a boot that an installed system waits for its turn to join."""
        if self._waiting.get(host.name) != token:
            self._waiting[host.name] = token
            self.events.emit("boot.join_awaited", {"address": str(address)}, host=host, mac=host.mac)
        return Refusal.JOINS_LATER

    def _record_ignition(self, host: Host, part: IgnitionPart, token: str, *, address: IPv4Address) -> None:
        """Record that an installed system got its Ignition, and that it requested it again long after: a restart."""
        self.local_boots.record_sign(host, "ignition")
        if self._record_served(host, TokenKind.IGNITION, token, address):
            data = {"address": str(address)}
            self.events.emit("boot.ignition_served", data, host=host, mac=host.mac, step=Step.IGNITION)
            return
        if part is IgnitionPart.WRAPPER:
            self.seen.count_retry(self.seen.find_or_add(host.mac), Step.IGNITION)
        after_s = self.clock.monotonic() - self._served[host.name, TokenKind.IGNITION].since_s
        if part is IgnitionPart.WRAPPER and after_s >= SAME_FIRST_BOOT_S:
            repeated: dict[str, str | int] = {"address": str(address), "seconds": round(after_s)}
            self.events.emit("boot.ignition_repeated", repeated, host=host, mac=host.mac, level=logging.WARNING)

    async def _embedded(
        self, host: Host, install: Install, address: IPv4Address, *, base_url: str, is_head: bool
    ) -> bytes | Refusal:
        """Return the archive that an installer puts into /boot, from its start until it has reported its end."""
        if install.state is not InstallState.INSTALLING:
            return self._refuse(Refusal.SPENT, TokenKind.IGNITION, host, address)
        mac, ignition = self._mac_at(host, address), self.registry.now.documents.ignition
        made = await ignition.render(host, install.tokens, mac=mac, base_url=base_url, is_embedded=True)
        if is_head:
            return made[IgnitionPart.ARCHIVE]
        for part, kind in _KEPT.items():
            self._keep(host, kind, made[part], tokens=install.tokens, mac=mac, base_url=base_url)
        if self._record_served(host, TokenKind.IGNITION, install.tokens.ignition, address):
            self.events.emit("boot.ignition_embedded", {"address": str(address)}, host=host, mac=host.mac)
        return made[IgnitionPart.ARCHIVE]

    async def report_checks(self, token: str, *, address: IPv4Address, body: str) -> Refusal | Sequence[str]:
        """Record the checks that an installer made; return why the machine may not be installed, empty if it may.

        Nothing was written yet; without this answer the installer writes nothing. Raises MalformedReportError.
        """
        reporter = await self._reporter(token, address)
        if isinstance(reporter, Refusal):
            return reporter
        install, host = reporter
        report = read_checks(report_shown(body, install.tokens, secret_values(host) if host else ()))
        await self.install_moves.end_changed_arming(install)
        mac = self._mac_at(host, address) if host else None
        try:
            await self.install_moves.record_checks(
                install.host, report, mac=mac, may_move=lambda now: now.tokens.report == token
            )
        except TransitionError:
            return self._refuse(Refusal.SPENT, TokenKind.REPORT, host or install.host, address)
        refused = failures(report.checks)
        if host is not None and not refused:
            seen, policy = self.seen.find_or_add(self._mac_at(host, address)), self.registry.now.policy
            await self.identity.hold_checked(seen, host, install, checks=report.checks, policy=policy)
        if report.checks != install.checks:  # a repeated report is acknowledged again
            self._emit_checks(report.checks, host or install.host, mac, is_failed=bool(refused))
        return refused

    def _emit_checks(
        self, checks: Sequence[InstallCheck], host: Host | HostName, mac: Mac | None, *, is_failed: bool
    ) -> None:
        data: dict[str, str | bool] = {"failed": is_failed, "checks": "\n".join(map(str, checks))}
        for result in CheckResult:
            data[result.value] = ", ".join(check.name for check in checks if check.result is result)
        level = logging.ERROR if is_failed else logging.INFO
        self.events.emit("boot.checks_reported", data, host=host, mac=mac, step=Step.CHECKS, level=level)

    async def report_post(self, token: str, *, address: IPv4Address) -> Refusal | None:
        """Record that the scripts after the install began; None: it is recorded, or was before."""
        reporter = await self._reporter(token, address)
        if isinstance(reporter, Refusal):
            return reporter
        install, host = reporter
        if install.state not in MID_INSTALL:
            return self._refuse(Refusal.SPENT, TokenKind.REPORT, host or install.host, address)
        if host is not None:
            seen = self.seen.find_or_add(self._mac_at(host, address))
            if step := self.seen.record_step(seen, Step.POST):
                self.events.emit("boot.post_begun", {}, host=host, mac=seen.mac, step=step)
        return None

    async def report(self, token: str, report: Report, *, address: IPv4Address, body: str = "") -> Refusal | None:
        """Record a machine's report, also if its host was changed or removed meanwhile; None: it is stored.

        A repeated report is acknowledged again; one without a transition in the table finds a spent token.
        """
        reporter = await self._reporter(token, address)
        if isinstance(reporter, Refusal):
            return reporter
        install, host = reporter
        if report is Report.STARTED:  # the last check before the disk is written
            await self.install_moves.end_changed_arming(install)
        try:
            note = report_shown(body, install.tokens, secret_values(host) if host else ())  # as the end of its log
            mac = self._mac_at(host, address) if host else None
            await self._move(
                install, InstallEvent(f"reported-{report}"), TokenKind.REPORT, cause=ChangeCause(mac, note)
            )
        except InstallHeldError:
            return Refusal.HELD
        except TransitionError:
            return self._refuse(Refusal.SPENT, TokenKind.REPORT, host or install.host, address)
        if report is Report.READY:
            self._ignition.forget(install.tokens.ignition)  # cluster keys, which are not served again
            if host is not None:
                self.local_boots.record_sign(host, "ready")
        return None

    async def log_sender(self, token: str, address: IPv4Address) -> Host | HostName | Refusal:
        """Find the host whose machine sends its log with a token, which is spent soon after the machine is ready."""
        reporter = await self._reporter(token, address)
        if isinstance(reporter, Refusal):
            return reporter
        install, host = reporter
        is_over = install.changed_at is not None and self.clock.now() - install.changed_at > LOG_AFTER_READY
        if install.state is InstallState.READY and is_over:
            return Refusal.SPENT  # no event: that is how its sender ends
        return host or install.host

    async def _reporter(self, token: str, address: IPv4Address) -> tuple[Install, Host | None] | Refusal:
        """Find the install of a report, and its host unless it was removed meanwhile."""
        install = await self.install_moves.by_token(TokenKind.REPORT, token)
        if install is None:
            return self._refuse(Refusal.UNKNOWN, TokenKind.REPORT, None, address)
        host = self.registry.now.hosts.get(install.host)
        owners = [owner for owner in (host, install.target) if owner is not None]
        if not any(self.identification.is_at(owner, address) for owner in owners):
            refusal = Refusal.UNAUTHORISED if host else Refusal.REMOVED
            return self._refuse(refusal, TokenKind.REPORT, host or install.host, address)
        return install, host

    def record_held_back(self, document: str, address: IPv4Address, error: Exception) -> None:
        """Record that a document cannot be served now, for the machine at this address where one is known."""
        mac, host = self.identification.machine_at(address)
        data = {"document": document, "address": str(address), "reason": str(error)}
        if isinstance(error, NetbootError):
            data |= {"part": error.part}
        self.events.emit("boot.document_held_back", data, host=host, mac=mac, level=logging.ERROR)

    async def _open(self, kind: TokenKind, token: str, address: IPv4Address) -> tuple[Host, Install] | Refusal:
        install = await self.install_moves.by_token(kind, token)
        if install is None:
            return self._refuse(Refusal.UNKNOWN, kind, None, address)
        host = self.registry.now.hosts.get(install.host)
        if host is None:
            return self._refuse(Refusal.REMOVED, kind, install.host, address)
        is_its_own = self.identification.is_at(host, address)
        if not _is_alive(install, kind):
            self._refuse(Refusal.SPENT if is_its_own else Refusal.UNAUTHORISED, kind, host, address)
            return Refusal.SPENT  # the same answer as for a token that never existed
        if not is_its_own:
            return self._refuse(Refusal.UNAUTHORISED, kind, host, address)
        return host, install

    async def _move(self, install: Install, event: InstallEvent, kind: TokenKind, *, cause: ChangeCause) -> None:
        token = install.tokens.of(kind)
        await self.install_moves.move(
            install.host, event, cause=cause, may_move=lambda now: now.tokens.of(kind) == token
        )

    def _record_served(self, host: Host, kind: TokenKind, token: str, address: IPv4Address) -> bool:
        """Record the address that receives a token's document; return whether it is the first request in this boot.

        Raises an alarm if another address of the host received it before: one of the two may be forged.
        """
        served = self._served.get((host.name, kind))
        if served is None or served.token != token:
            self._served[host.name, kind] = _Served(token, {address}, self.clock.monotonic())
            return True
        if address not in served.receivers:
            earlier = ", ".join(map(str, sorted(served.receivers)))
            served.receivers.add(address)
            data = {"document": kind.value, "address": str(address), "earlier": earlier}
            data |= {"reason": Alarm.SECOND_ADDRESS.value}
            self.events.emit("boot.alarm_raised", data, host=host, mac=host.mac, level=logging.ERROR)
        return False

    def _keep(self, host: Host, kind: ServedKind, served: bytes, *, tokens: Tokens, mac: Mac, base_url: str) -> None:
        """Store a document as the last one of its kind that this host was served."""
        at = self.clock.now()
        self.served.keep(
            ServedDocument.of(
                host.name,
                kind,
                served,
                tokens=tokens,
                at=at,
                mac=mac,
                base_url=base_url,
                secrets=secret_values(host),
            )
        )

    def _mac_at(self, host: Host, address: IPv4Address) -> Mac:
        seen = self.seen.by_address(address)
        return seen.mac if seen is not None and seen.mac in host.macs else host.mac

    def _refuse(self, refusal: Refusal, kind: TokenKind, host: Host | HostName | None, address: IPv4Address) -> Refusal:
        """Record why a token is refused; of a removed host only the name is known."""
        if refusal is Refusal.UNKNOWN:  # it may be the machine's own token, of a boot that another request has replaced
            host = self.identification.machine_at(address)[1]
        emit_refusal(self.events, refusal, kind, host=host, address=address)
        return refusal


def emit_refusal(
    events: EventBus, refusal: Refusal, kind: TokenKind, *, host: Host | HostName | None, address: IPv4Address
) -> None:
    """Emit why a token is refused; without a host it is only logged, because anybody can send any token."""
    data = {"document": kind.value, "address": str(address), "reason": refusal.value}
    mac = host.mac if isinstance(host, Host) else None
    if host is None:
        log.debug("boot.token_refused", **data)
    elif refusal is Refusal.UNAUTHORISED:
        events.emit("boot.alarm_raised", data, host=host, mac=mac, level=logging.ERROR)
    else:
        events.emit("boot.token_refused", data, host=host, mac=mac, level=logging.WARNING)


def _is_alive(install: Install, kind: TokenKind) -> bool:
    """Return whether a token is valid for its document; a report has none, and the table decides its transition."""
    if kind is TokenKind.KICKSTART:
        return install.is_armed and install.state in (InstallState.OFFERED, InstallState.LOADING)
    return install.state is not InstallState.READY
