"""The invariants of everything that the appliance sends, verified from the bytes and the operator's actions.

Uses no class of netboot. If a killed daemon may have lost what the packets showed, both answers are right.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from safety import wire
from safety.declared import AT_FIRST, Hosts
from safety.identities import Identities, Known

ANNOUNCED_S = 900.0  # a machine that sent a DISCOVER this lately is led to its installer


class Invariant(StrEnum):
    """What is verified. The names are those in `mutations.py` and in failures."""

    UNARMED = "no-unarmed-host-is-led-to-an-installer"
    ATTEMPTS = "no-armed-host-is-led-more-often-than-its-arming-allows"
    IGNITION = "ignition-goes-to-one-host-in-one-boot-until-ready"
    ADDRESS = "a-document-goes-only-to-its-machine"
    ENDED = "an-ended-arming-leads-nowhere"
    CHECKS = "a-host-whose-checks-failed-is-led-to-no-installer"
    IDENTITY = "another-machine-than-the-recorded-one-waits-for-a-person"
    PROGRESS = "an-armed-host-is-led-to-its-installer"
    ONCE = "a-host-is-rescued-once-at-its-request-and-not-armed-before"
    WIPE = "a-machine-is-wiped-once-at-its-request-and-never-while-it-is-registered"


class ViolationError(AssertionError):
    """An invariant that does not hold."""

    def __init__(self, invariant: Invariant, what: str) -> None:
        super().__init__(f"invariant {invariant.value}: {what}")


@dataclass(eq=False)
class Arming:
    """An operator's permission."""

    host: str
    attempts: int
    target: tuple[object, ...]
    is_ended: bool = False
    has_failed_checks: bool = False  # it was reported to the appliance: the machine waits
    is_uncertain: bool = False  # an answer was lost that may have spent a boot or ended it
    tokens: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Boot:
    """One boot into an installer, by the tokens that its machine was given."""

    host: str
    arming: Arming
    kickstart: str
    power_on: tuple[str, int]  # of a card: the only one that may get its tokens
    report: str = ""
    ignition: str = ""
    is_reported: bool = False  # some report of it was acknowledged
    is_installed: bool = False  # `done` was acknowledged, or the wrapper was served
    is_ready: bool = False
    confirmed: Known | None = None  # since it was led to the installer


class Oracle:
    """The expected state, as far as the operator's actions and the packets determine it."""

    def __init__(self, init_ignition: Path) -> None:
        self.in_force: Hosts = AT_FIRST
        self.written: Hosts = AT_FIRST
        self.armings: dict[str, Arming] = {}
        self.boots: dict[str, Boot] = {}  # by each token
        self.latest: dict[str, Boot | None] = {}
        self.power_ons: dict[str, int] = {}
        self.announced_s: dict[str, float] = {}  # by card; forgotten at a restart
        self.took: dict[str, str] = {}  # cards that were led since their last DISCOVER, with the token
        self.shown: dict[str, set[str]] = {}  # cards by address; more than one after a kill
        self._on_disk: dict[str, set[str]] = {}
        self._init = init_ignition.read_bytes().strip()
        self.identities = Identities()

    # What the operator and the wire did

    def armed(self, host: str, attempts: int) -> None:
        declared = self.in_force.get(host)
        assert declared is not None, f"{host} was armed, and no file declares it"
        self.end(host)
        self.armings[host] = Arming(host, attempts, declared.target)
        self.latest[host] = None  # the tokens of an earlier arming are invalid

    def end(self, host: str) -> None:
        if host in self.armings:
            self.armings[host].is_ended = True

    def took_files(self) -> None:
        """Note that the content of the file is in force now: the arming of a changed host ends."""
        if self.written.fault:
            return
        self.in_force = self.written
        for arming in self.armings.values():
            host = self.in_force.get(arming.host)
            if host is None or host.target != arming.target:
                arming.is_ended = True

    def restarted(self, *, kill: bool) -> None:
        self.announced_s.clear()
        self.identities.restarted()
        self.took.clear()
        if kill:
            self.shown = self._shown_or_on_disk()
        self.took_files()
        self.written_behind()

    def written_behind(self) -> None:
        self._on_disk = {address: set(cards) for address, cards in self.shown.items()}

    def may_be_written(self) -> None:
        """Note that what the packets showed may be on disk: a request for a script may write it at once."""
        self._on_disk = self._shown_or_on_disk()

    def _shown_or_on_disk(self) -> dict[str, set[str]]:
        addresses = {*self.shown, *self._on_disk}
        return {each: self.shown.get(each, set()) | self._on_disk.get(each, set()) for each in addresses}

    def discovered(self, card: str, now_s: float) -> None:
        self.announced_s[card] = now_s
        self.took.pop(card, None)

    def saw_address(self, card: str, address: str) -> None:
        self.shown[address] = {card}

    # Who is at an address

    def hosts_at(self, address: str) -> set[str | None]:
        """Name the hosts that a request from this address may be of; None stands for a machine without one.

        An address that the files give to a host is that host's, and of a host whose card the wire shows there.
        """
        registered = self.in_force.at_address(address)
        cards = self.shown.get(address, set())
        shown = {(host.name if (host := self.in_force.of_card(card)) else None) for card in cards}
        return {registered.name, *shown} - {None} if registered is not None else shown or {None}

    # What the appliance sent

    def check_reply(self, reply: bytes) -> None:
        if b"inst.ks" in reply:
            raise ViolationError(Invariant.UNARMED, "a DHCP reply names a Kickstart")

    def check_script(
        self, body: bytes, source: str, cards: Iterable[str], *, now_s: float, reported: bytes | None = None
    ) -> str | None:
        """Check a script that was sent to `source` for one of these cards; return its token if it leads on.

        `reported`: the UUID in the request.
        """
        self.may_be_written()
        token = wire.installer_token(body)
        if token is None:
            self._check_tokens(body, source)
            return None
        found = [(card, host) for card in cards if (host := self.in_force.of_card(card)) is not None]
        found = [(card, host) for card, host in found if host.name in self.hosts_at(source)]
        if not found:
            raise ViolationError(Invariant.UNARMED, f"the machine at {source} is led to the installer of {cards}")
        booted = wire.boot_card(body)
        card, host = next((each for each in found if each[0] == booted), found[0])
        arming = self.armings.get(host.name)
        if arming is None:
            raise ViolationError(Invariant.UNARMED, f"{host.name} was never armed and is led to an installer")
        if arming.is_ended:
            raise ViolationError(Invariant.ENDED, f"the arming of {host.name} has ended and leads to an installer")
        if arming.has_failed_checks:
            raise ViolationError(Invariant.CHECKS, f"{host.name} failed its checks and is led to an installer")
        boot, power_on = self.boots.get(token), (card, self.power_ons.get(card, 0))
        if boot is None:
            machine = Known(card, reported or self.identities.shown(card, now_s))
            if self.identities.is_another(host.name, host.macs, machine, arming, reported is not None):
                raise ViolationError(Invariant.IDENTITY, f"{machine} is led to the installer of {host.name}")
            self.identities.served[token] = machine
            boot = self.boots[token] = self.latest[host.name] = Boot(host.name, arming, token, power_on)
            arming.tokens.append(token)
        if boot.arming is not arming:
            raise ViolationError(Invariant.ENDED, f"{host.name} is led to an installer with an earlier arming's token")
        self.took[card] = token
        self._check_count(boot, power_on)
        return token

    def _check_count(self, boot: Boot, power_on: tuple[str, int]) -> None:
        """Check that each boot has tokens of its own, and that there are no more than the arming allows."""
        if boot.power_on != power_on:
            what = f"the tokens of {boot.power_on} lead {power_on}, another boot that is not counted"
            raise ViolationError(Invariant.ATTEMPTS, f"{boot.host}: {what}")
        if len(boot.arming.tokens) > boot.arming.attempts:
            what = f"{len(boot.arming.tokens)} boots, {boot.arming.attempts} allowed"
            raise ViolationError(Invariant.ATTEMPTS, f"{boot.host}: {what}")

    def led_nowhere(self, source: str) -> None:
        """Note that a script for the machine at `source` was no installer's: an arming whose boots are spent may end.

        Whether it does depends on the card and on when it sent its DISCOVER; from now on both answers are right.
        """
        for name in self.hosts_at(source) & self.armings.keys():
            arming = self.armings[name]
            if len(arming.tokens) >= arming.attempts:
                arming.is_uncertain = True

    def expects_installer(self, card: str, source: str, now_s: float) -> bool:
        """Return whether this machine must get its installer now."""
        host = self.in_force.of_card(card)
        arming = self.armings.get(host.name) if host else None
        if host is None or arming is None or arming.is_ended or arming.is_uncertain or arming.has_failed_checks:
            return False
        last_s = self.announced_s.get(card)
        is_left = len(arming.tokens) < arming.attempts or self.took.get(card) in arming.tokens[-1:]
        return self.hosts_at(source) == {host.name} and last_s is not None and now_s - last_s < ANNOUNCED_S and is_left

    def check_refusal(self, boot: Boot, source: str, *, is_kickstart: bool) -> None:
        """Check that a document that its machine needs now was not refused to it."""
        is_dead = boot.is_ready or (is_kickstart and (boot.is_reported or boot.arming.is_ended))
        is_latest = self.latest.get(boot.host) is boot and not boot.arming.is_uncertain
        if is_latest and not is_dead and self.hosts_at(source) == {boot.host}:
            what = "its Kickstart" if is_kickstart else "its Ignition"
            raise ViolationError(Invariant.PROGRESS, f"{boot.host} at {source} is refused {what}")

    def check_kickstart(self, token: str, body: bytes, source: str) -> Boot:
        boot = self.boots.get(token)
        assert boot is not None, "a Kickstart for a token that was never given"
        self._check_address(boot, source, "Kickstart")
        if boot.arming.is_ended:
            raise ViolationError(Invariant.ENDED, f"a Kickstart of an arming of {boot.host} that has ended")
        if self.latest.get(boot.host) is not boot:
            raise ViolationError(Invariant.ATTEMPTS, f"a Kickstart of an earlier boot of {boot.host}")
        boot.report = wire.report_token(body)
        boot.ignition = wire.ignition_token(body)
        self.boots[boot.report] = self.boots[boot.ignition] = boot
        return boot

    def check_report(self, token: str, event: str) -> None:
        """Record a report that was acknowledged."""
        boot = self.boots.get(token)
        assert boot is not None, "a report with a token that was never given"
        arming = boot.arming
        boot.is_reported = True
        if event == "started" and arming.is_ended:
            raise ViolationError(Invariant.ENDED, f"an installer of {boot.host} may write though its arming has ended")
        if event in ("started", "checks") and arming.has_failed_checks:
            raise ViolationError(Invariant.CHECKS, f"an installer of {boot.host} may write though its checks failed")
        is_last = len(arming.tokens) >= arming.attempts and not arming.has_failed_checks
        if event in ("done", "ready") or (event == "failed" and is_last):
            arming.is_ended = True
        arming.has_failed_checks |= event == "failed checks"
        if event in ("done", "ready"):
            self._installed(boot)
        if event == "ready":
            boot.is_ready = True

    def check_ignition(self, token: str, part: str, body: bytes, source: str) -> None:
        boot = self.boots.get(token)
        assert boot is not None, "Ignition for a token that was never given"
        self._check_address(boot, source, "Ignition")
        if boot.is_ready:
            raise ViolationError(Invariant.IGNITION, f"Ignition of {boot.host} after it was ready")
        if self.latest.get(boot.host) is not boot:
            raise ViolationError(Invariant.IGNITION, f"Ignition of {boot.host} for an earlier boot")
        if self._init in body and boot.host != self.in_force.init:
            raise ViolationError(Invariant.IGNITION, f"the init Ignition to {boot.host}")
        if part and not boot.is_installed and not boot.arming.is_uncertain:
            raise ViolationError(Invariant.IGNITION, f"Ignition{part} of {boot.host} before its wrapper")
        if part == "" and body:  # an answer to HEAD has no body and is no step
            boot.arming.is_ended = True
            self._installed(boot)
        self._check_tokens(body, source)

    def _installed(self, boot: Boot) -> None:
        """Note that a machine was installed: the one that got the script, or that was confirmed since."""
        if not boot.is_installed and boot.confirmed is None:
            self.identities.recorded[boot.host] = self.identities.served[boot.kickstart]
        boot.is_installed = True

    def confirmed(self, host: str, machine: Known) -> None:
        """Note that an operator confirmed the machine of a held install."""
        arming, latest = self.armings[host], self.latest.get(host)
        self.identities.recorded[host], self.identities.confirmed[host] = machine, arming
        if latest is not None:
            latest.confirmed = machine
            arming.is_uncertain = True  # the tokens of another machine end

    def may_be_held(self, card: str, now_s: float) -> bool:
        """Return whether there is any cause to hold the armed install of the host with this card."""
        host = self.in_force.of_card(card)
        assert host is not None
        served = [self.identities.served[token] for token in self.armings[host.name].tokens]
        return self.identities.may_be_held(host.name, card, served, now_s)

    def check_other(self, body: bytes, source: str) -> None:
        """Check a reply that is neither a script nor a document of one machine."""
        if wire.installer_token(body) is not None:
            raise ViolationError(Invariant.UNARMED, f"{source} is led to an installer without a script")
        self._check_tokens(body, source)

    def _check_address(self, boot: Boot, source: str, what: str) -> None:
        if boot.host not in self.hosts_at(source):
            raise ViolationError(Invariant.ADDRESS, f"a {what} of {boot.host} to {source}")

    def _check_tokens(self, body: bytes, source: str) -> None:
        for token in wire.TOKEN.findall(body):
            boot = self.boots.get(token.decode())
            if boot is not None:
                self._check_address(boot, source, "token")
