"""All paths of the appliance together, driven at random; the oracle verifies each answer.

Bytes in, bytes out: this file does not depend on netboot's classes. A failure prints the calls that lead to it.
"""

import itertools
import tempfile
from collections import Counter
from itertools import product
from pathlib import Path
from uuid import UUID

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from safety import wire
from safety.appliance import Appliance, Response, TftpError, link_shared
from safety.declared import A1, A2, AT_FIRST, CARDS, EDIT_OF, EDITS, POOL, B, C, X
from safety.identities import Known, uuid_in
from safety.oracle import Boot, Invariant, Oracle, ViolationError

STEPS = 30  # calls in one example
CHECKS = b"netboot-checks 1\nfirmware pass UEFI\ndisk pass sda\nmembers pass none\n"
BODIES = {"failed": b"a line\n", "checks": CHECKS, "failed checks": CHECKS + b"memory fail 1 MiB\n"}
REPORTS = ("checks", "failed checks", "started", "done", "failed", "ready")
BETWEEN = ("cancel", "edit", "kill", "lost done", "failed checks")  # what may happen in the middle of an install

cards, pool = some.sampled_from(CARDS), some.sampled_from(POOL)
hosts = some.sampled_from([host.name for host in AT_FIRST.hosts])
firmwares = some.sampled_from(wire.FIRMWARES)
often, seldom = some.integers(0, 9).map(bool), some.integers(0, 9).map(lambda drawn: drawn == 0)
ways = some.sampled_from(("ipxe", "ipxe-reports", "grub-http", "grub-tftp-mac", "grub-tftp"))
how_far = some.sampled_from(
    (1, 1, 2, 2, *range(3, 10), 9, 9)
)  # steps of a boot before something stops it; 9: to `ready`
courses = some.tuples(how_far, some.sampled_from(("", "", *BETWEEN)), some.integers(0, 3))
methods = some.sampled_from(("GET", "GET", "GET", "HEAD"))


class Rack(RuleBasedStateMachine):
    """A rack, its operator, and a LAN that loses, delays and repeats."""

    shared: Path  # what all appliances serve
    happened: Counter[str]  # in all examples: what machines came to

    @initialize(unknown=some.sampled_from(("ignore", "wait")))
    def start(self, unknown: str) -> None:
        self._directory = tempfile.TemporaryDirectory(dir=self.shared.parent)
        self.box = self._opened(Path(self._directory.name), unknown)
        self.oracle = Oracle(self.shared / "ign" / "init.ign")
        self.addresses = dict(zip(CARDS, (POOL[3], POOL[3], *POOL[:3]), strict=True))  # as the LAN gives them
        self.firmware = dict.fromkeys(CARDS, wire.UEFI)
        self.uuids = {card: wire.uuid_of(A1 if card == A2 else card) for card in CARDS}  # A1 and A2: one machine
        self.sent: list[tuple[int, bytes, tuple[str, int], str, str]] = []  # DHCP datagrams, to be sent again
        self.boots: list[Boot] = []
        self._booted = ""  # the card that booted last
        self._xids = itertools.count(1)

    def _opened(self, directory: Path, unknown: str) -> Appliance:
        link_shared(self.shared, directory)
        return Appliance(directory, AT_FIRST.text(), unknown=unknown)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.close()
            self._directory.cleanup()

    # A machine, step by step

    @rule(card=cards, message=some.sampled_from(("discover", "request", "4011", "ipxe", "again")), data=some.data())
    def send(self, card: str, message: str, data: some.DataObject) -> None:
        """Send one DHCP message; `again` delivers one of the last ten once more, or late."""
        match message:
            case "discover":
                self._power_on(card, data.draw(firmwares, label="firmware"))
            case "request":
                self._request_address(card)
            case "4011":
                address = self.addresses[card]
                firmware, uuid = self.firmware[card], self.uuids[card]
                datagram = wire.boot_server_request(firmware, card, next(self._xids), address, uuid=uuid)
                self._dhcp(4011, datagram, card, source=(address, 4011))
            case "ipxe":
                self._discover_as_ipxe(card)
            case _ if self.sent:
                self._deliver(*data.draw(some.sampled_from(self.sent), label="datagram"))

    @rule(card=cards, address=pool, is_heard=often)
    def get_another_address(self, card: str, address: str, is_heard: bool) -> None:
        """Take an address from the LAN's DHCP server, perhaps one that another machine had; the REQUEST may be lost."""
        self.addresses[card] = address
        if is_heard:
            self._request_address(card)

    @rule(card=cards, name=some.sampled_from(("snponly.efi", "undionly.kpxe", "grubx64.efi", "autoexec.ipxe")))
    def load(self, card: str, name: str) -> None:
        source = self.addresses[card]
        read = self.box.tftp(name, source)
        sent = self.box.http("GET", f"/boot/{card}/{name}", source)
        for body in (b"" if isinstance(read, TftpError) else read, sent.body):
            self.oracle.check_other(body, source)

    @rule(card=cards, of=some.sampled_from(("own", "of the last boot", *CARDS)), way=ways, method=methods)
    def request_script(self, card: str, of: str, way: str, method: str) -> None:
        """Request a script from this machine's address, its own or another's."""
        wanted = {"own": card, "of the last boot": self._booted or card}.get(of, of)
        self._led_by_script(card, wanted, way, method)

    @rule(card=cards, is_cut=some.booleans())
    def request_script_twice(self, card: str, is_cut: bool) -> None:
        """Request the script on two connections at once, or go away before the answer and request it again."""
        source, host = self.addresses[card], self.oracle.in_force.of_card(card)
        if is_cut:
            self.box.http_cut("GET", f"/boot/{card}.ipxe", source)
            if host is not None and host.name in self.oracle.armings:
                self.oracle.armings[host.name].is_uncertain = True
        for response in self.box.http_together([("GET", f"/boot/{card}.ipxe", source, b"")] * 2):
            token = self.oracle.check_script(response.body, source, (card,), now_s=self.box.clock.monotonic())
            self._note_led(token)
            if token is None:
                self.oracle.led_nowhere(source)

    # Documents and reports, with any token that was ever given, from any machine, at any time

    @precondition(lambda self: self.boots)
    @rule(data=some.data(), method=methods)
    def request_kickstart(self, data: some.DataObject, method: str) -> None:
        boot = self._a_boot(data)
        self._kickstart(boot, self._source(data, boot), method)

    @precondition(lambda self: any(boot.report for boot in self.boots))
    @rule(data=some.data(), report=some.sampled_from(REPORTS), is_cut=seldom)
    def report(self, data: some.DataObject, report: str, is_cut: bool) -> None:
        boot = self._a_boot(data, has_documents=True)
        self._report(boot, self._source(data, boot), report, is_cut=is_cut)

    @precondition(lambda self: any(boot.report for boot in self.boots))
    @rule(data=some.data(), method=methods, part=some.sampled_from(("", "/role", "/overlay")))
    def request_ignition(self, data: some.DataObject, method: str, part: str) -> None:
        boot = self._a_boot(data, has_documents=True)
        self._ignition(boot, self._source(data, boot), part, method)

    # A whole install, as far as it comes

    @rule(card=cards, firmware=firmwares, way=ways, attempts=some.sampled_from((1, 1, 2, 0)), data=some.data())
    def boot(self, card: str, firmware: wire.Firmware, way: str, attempts: int, data: some.DataObject) -> None:
        """Boot a machine from power-on, with `attempts` armed before."""
        host = self.oracle.in_force.of_card(card)
        if attempts and host is not None:
            self.arm(host.name, attempts, is_forced=False)
        self._booted = card
        self._boot(card, firmware, way, *data.draw(courses, label="course"))

    @precondition(lambda self: self._booted)
    @rule(way=ways, pause_s=some.sampled_from((5, 90)), data=some.data())
    def boot_again(self, way: str, pause_s: float, data: some.DataObject) -> None:
        """Boot the machine once more that booted last."""
        self.advance(pause_s)
        self._boot(self._booted, self.firmware[self._booted], way, *data.draw(courses, label="course"))

    def _boot(self, card: str, firmware: wire.Firmware, way: str, steps: int, between: str, at: int) -> None:
        """Boot, as far as `steps`; `between` happens before the step `at`, without an effect on the machine."""
        self._power_on(card, firmware)
        self._request_address(card)
        self._discover_as_ipxe(card)
        token, source = self._led_by_script(card, card, way), self.addresses[card]
        if token is None and (host := self.oracle.in_force.of_card(card)) is not None and steps > 1:
            self.confirm(host.name)
            token = self._led_by_script(card, card, way)
        if token is None:
            return
        boot = self.oracle.boots[token]
        actions = [
            lambda: self._kickstart(boot, source),
            lambda: self._report(boot, source, "started"),
            lambda: between == "lost done" or self._report(boot, source, "done"),
            lambda: self._power_on(card, firmware),
            lambda: self._ignition(boot, source, ""),
            lambda: self._ignition(boot, source, "/role"),
            lambda: self._ignition(boot, source, "/overlay"),
            lambda: self._report(boot, source, "ready"),
        ]
        for number, action in enumerate(actions[: steps - 1]):
            if number == at:
                self._interrupt(boot, source, between)
            action()
            if not boot.report:
                return

    def _interrupt(self, boot: Boot, source: str, between: str) -> None:
        match between:
            case "cancel":
                self.cancel(boot.host)
            case "edit":
                self.edit_hosts(EDIT_OF[boot.host], is_reloaded=True)
            case "failed checks" if boot.report:
                self._report(boot, source, between)
            case "kill":
                self.restart(is_killed=True)

    # The operator

    @rule(host=hosts, attempts=some.integers(1, 3), is_forced=seldom)
    def arm(self, host: str, attempts: int, is_forced: bool) -> None:
        if self.box.arm(host, attempts=attempts, force=is_forced) == 200:
            self.oracle.armed(host, attempts)

    @rule(host=hosts)
    def cancel(self, host: str) -> None:
        if self.box.cancel(host) == 200:
            self.oracle.end(host)

    @rule(host=hosts)
    def confirm(self, host: str) -> None:
        """Confirm the machine of a held install."""
        shown = self.box.confirm(host)
        if shown is not None:
            self.happened["confirmed"] += 1
            self.oracle.confirmed(host, Known(shown["mac"], uuid_in(shown["uuid"])))

    @rule(card=cards, board=some.integers(0, 1))
    def replace_the_board(self, card: str, board: int) -> None:
        """Give a machine a new mainboard, or the old one again: all of its cards show another UUID."""
        uuid = wire.uuid_of(A1 if card == A2 else card)
        for each in (A1, A2) if card in (A1, A2) else (card,):
            self.uuids[each] = uuid[:-1] + bytes([uuid[-1] + board])

    @rule(edit=some.sampled_from(sorted(EDITS)), is_reloaded=often)
    def edit_hosts(self, edit: str, is_reloaded: bool) -> None:
        self.oracle.written = EDITS[edit](self.oracle.written)
        self.box.edit_hosts(self.oracle.written.text())
        if is_reloaded:
            self._reload()

    def _reload(self) -> None:
        status = self.box.reload()
        assert (status == 200) is (not self.oracle.written.fault), status
        self.oracle.took_files()

    @rule(is_killed=some.booleans())
    def restart(self, is_killed: bool) -> None:
        self.box.restart(kill=is_killed)
        self.oracle.restarted(kill=is_killed)

    # Time

    @rule(seconds=some.sampled_from((0.1, 1, 4, 30, 80, 1000, 100_000)))
    def advance(self, seconds: float) -> None:
        self.box.advance(seconds)
        if seconds >= 1:
            self.oracle.written_behind()

    @rule(seconds=some.sampled_from((-86_400, -60, 60, 86_400)))
    def move_the_wall_clock(self, seconds: float) -> None:
        self.box.set_wall_clock(seconds)

    # Without chance

    def walk(self, card: str, steps: int, between: str, at: int) -> None:
        """Install a host that may be installed twice, boot it again, and try every script and token from everywhere."""
        host = self.oracle.in_force.of_card(card)
        assert host is not None
        for each in CARDS:
            self._power_on(each, wire.UEFI)
            self._request_address(each)
        self.arm(host.name, 2, is_forced=False)
        self._boot(card, wire.UEFI, "ipxe", steps, between, at)
        self._probe()
        for attempts in (0, 1):
            if attempts:
                self.arm(host.name, attempts, is_forced=False)
                self._probe()
            for again, way in ((1, "grub-http"), (2, "ipxe")):
                self.advance(90)
                self._boot(card, wire.UEFI, way, again, "", 0)
                self._probe()

    def _probe(self) -> None:
        sources = [(card, self.addresses[card]) for card in (A1, B, C, X)]
        for (_card, source), boot in product(sources, [boot for boot in self.boots if boot.report]):
            for part in ("", "/role", "/overlay"):
                self._ignition(boot, source, part, "HEAD" if part == "" else "GET")
            self._kickstart(boot, source)
        for boot in self.boots:
            own = next((card for card, _ in sources if self._is_of(card, boot.host)), None)
            if own is not None and boot.report and boot.arming.is_ended:
                self._report(boot, self.addresses[own], "started")
        for (card, _), (other, _) in product(sources, sources):
            if card != other:
                self._led_by_script(card, other, "ipxe")

    def _is_of(self, card: str, name: str) -> bool:
        host = self.oracle.in_force.of_card(card)
        return host is not None and host.name == name

    # How it is done

    def _power_on(self, card: str, firmware: wire.Firmware) -> None:
        self.firmware[card] = firmware
        self.oracle.power_ons[card] = self.oracle.power_ons.get(card, 0) + 1
        self._dhcp(67, wire.discover(firmware, card, next(self._xids), uuid=self.uuids[card]), card)

    def _request_address(self, card: str) -> None:
        self._dhcp(67, wire.lan_request(card, next(self._xids), self.addresses[card]), card)

    def _discover_as_ipxe(self, card: str) -> None:
        xid, uuid = next(self._xids), self.uuids[card]
        self._dhcp(67, wire.discover(self.firmware[card], card, xid, is_ipxe=True, uuid=uuid), card)

    def _dhcp(self, port: int, datagram: bytes, card: str, source: tuple[str, int] = ("0.0.0.0", 68)) -> None:
        address = self.addresses[card]
        self.sent = [*self.sent[-9:], (port, datagram, source, card, address)]
        self._deliver(port, datagram, source, card, address)

    def _deliver(self, port: int, datagram: bytes, source: tuple[str, int], card: str, address: str) -> None:
        if datagram[242] == wire.REQUEST:
            self.oracle.saw_address(card, address)
        if port == 4011 or datagram[242] == wire.DISCOVER:
            self.oracle.discovered(card, self.box.clock.monotonic())
            if (uuid := wire.shown_uuid(datagram)) is not None:
                self.oracle.identities.showed(card, uuid, self.box.clock.monotonic())
        for reply in self.box.dhcp(port, datagram, source):
            assert wire.read_reply(reply).xid == int.from_bytes(datagram[4:8], "big")
            self.oracle.check_reply(reply)

    def _led_by_script(self, card: str, wanted: str, way: str, method: str = "GET") -> str | None:
        """Request a script, check it, and return its token if it boots an installer."""
        source = self.addresses[card]
        expects = wanted == card and method == "GET" and self._expects(card)
        held = self._held(wanted)
        reported = self.uuids[card] if way == "ipxe-reports" else None
        body = self._script(source, wanted, way, method, reported)
        if reported is not None:
            self.oracle.identities.reported.setdefault(wanted, set()).add(reported)
        requested = (
            CARDS if way.startswith("grub-tftp") else (wanted,)
        )  # the name is only a hint: the address identifies the machine
        now_s = self.box.clock.monotonic()
        token = None
        if method == "GET":
            token = self.oracle.check_script(body, source, requested, now_s=now_s, reported=reported)
        if held and token is not None and self.oracle.boots[token].host == held:
            raise ViolationError(Invariant.IDENTITY, f"{held} is held and is led to an installer by {way}")
        if expects and token is None and way != "grub-tftp" and not held and not self.oracle.may_be_held(card, now_s):
            raise ViolationError(Invariant.PROGRESS, f"{card} at {source} got by {way}: {body.decode()}")
        self._note_led(token)
        if token is None and method == "GET":
            self.oracle.led_nowhere(source)
        return token

    def _note_led(self, token: str | None) -> None:
        if token is not None:
            self.happened["led"] += 1
            boot = self.oracle.boots[token]
            self.boots = [*(each for each in self.boots if each is not boot), boot]

    def _expects(self, card: str) -> bool:
        return self.oracle.expects_installer(card, self.addresses[card], self.box.clock.monotonic())

    def _held(self, card: str) -> str | None:
        """Return the host of this card if its armed install waits for a person."""
        host = self.oracle.in_force.of_card(card)
        is_armed = host is not None and host.name in self.oracle.armings
        return host.name if host is not None and is_armed and self.box.hold(host.name) else None

    def _script(self, source: str, of: str, way: str, method: str, reported: bytes | None) -> bytes:
        if reported is not None:
            return self.box.http(method, f"/boot/{of}.ipxe?uuid={UUID(bytes_le=reported)}&serial=", source).body
        if way == "ipxe":
            return self.box.http(method, f"/boot/{of}.ipxe", source).body
        if way == "grub-http":
            return self.box.http(method, f"/boot/{of}/grub.cfg", source).body
        name = f"grub/grub.cfg-01-{of.replace(':', '-')}" if way == "grub-tftp-mac" else "grub/grub.cfg"
        read = self.box.tftp(name, source)
        return b"" if isinstance(read, TftpError) else read

    def _a_boot(self, data: some.DataObject, *, has_documents: bool = False) -> Boot:
        known = [boot for boot in self.boots if boot.report or not has_documents]
        return known[-1 - data.draw(some.integers(0, min(len(known), 4) - 1), label="boots ago")]

    def _source(self, data: some.DataObject, boot: Boot) -> str:
        """Choose who requests: mostly a card of the host whose boot it is."""
        own = [card for card in CARDS if (host := self.oracle.in_force.of_card(card)) and host.name == boot.host]
        return self.addresses[
            data.draw(some.one_of(*[some.sampled_from(own)] * 2, cards) if own else cards, label="by")
        ]

    def _kickstart(self, boot: Boot, source: str, method: str = "GET") -> None:
        response = self.box.http(method, f"/ks/{boot.kickstart}", source)
        if not self._is_served(response, source):
            self.oracle.check_refusal(boot, source, is_kickstart=True)
        elif method == "GET":
            self.oracle.check_kickstart(boot.kickstart, response.body, source)

    def _report(self, boot: Boot, source: str, report: str, *, is_cut: bool = False) -> None:
        path, body = f"/report/{boot.report}/{report.split()[-1]}", BODIES.get(report, b"")
        if is_cut:
            self.box.http_cut("POST", path, source, body)
            boot.arming.is_uncertain = True
            return
        response = self.box.http("POST", path, source, body)
        accepted = 409 if report == "failed checks" else 200  # the machine may not be installed
        if response.status == 423:
            assert report == "started"
            assert self.box.hold(boot.host) is not None
            return
        if response.status == accepted or self._is_served(response, source):
            self.happened[report] += 1
            self.oracle.check_report(boot.report, report)

    def _ignition(self, boot: Boot, source: str, part: str, method: str = "GET") -> None:
        response = self.box.http(method, f"/ign/{boot.ignition}{part}", source)
        if not self._is_served(response, source):
            if part == "" or boot.is_installed:
                self.oracle.check_refusal(boot, source, is_kickstart=False)
        else:
            self.happened[f"ignition{part}"] += 1
            self.oracle.check_ignition(boot.ignition, part, response.body, source)

    def _is_served(self, response: Response, source: str) -> bool:
        assert response.status in (200, 403, 404), response
        if response.status != 200:
            self.oracle.check_other(response.body, source)
        return response.status == 200


def walk(shared: Path) -> None:
    """Cause each interruption of each host at each step of an install; then try every token."""
    interrupted = [(9, between, at) for between, at in product(("cancel", "edit", "kill", "failed checks"), range(3))]
    courses = [(9, "", 0), (2, "", 0), (4, "", 0), (6, "lost done", 0), (3, "failed checks", 1), *interrupted]
    for card, (steps, between, at) in product((A1, B, C), courses):
        rack = type("Walk", (Rack,), {"shared": shared, "happened": Counter()})()
        try:
            rack.start(unknown="ignore")
            rack.walk(card, steps, between, at)
        finally:
            rack.teardown()


def run(shared: Path, *, seed: int, examples: int, steps: int = STEPS, is_shrunk: bool = False) -> Counter[str]:
    """Run the model with this seed and return what happened in it.

    Raises the first ViolationError, with the calls that lead to it; the shortest ones if `is_shrunk`, which takes up to
    five minutes.
    """
    machine = type("SeededRack", (Rack,), {"shared": shared, "happened": (happened := Counter())})
    phases = (Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,)
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(seeded(seed)(machine), settings=chosen)
    return happened
