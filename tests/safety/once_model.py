"""What machines boot once, driven at random: rescues of a host, and wipes of a machine that is retired and registered.

Bytes in, bytes out, as `model.py`; the oracle is in this file, because it shares nothing with that of installs.
"""

import itertools
import re
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from safety import wire
from safety.appliance import Appliance, Response, link_shared
from safety.declared import A1, AT_FIRST, B, X
from safety.oracle import Invariant, ViolationError

_INSPECTS = ("wait", "inspect")
STEPS = 25  # calls in one example
SPARE = "52:54:00:aa:bb:06"  # the second card of the machine with X
ADDRESSES = {A1: "192.0.2.101", B: "192.0.2.52", X: "192.0.2.53", SPARE: "192.0.2.54"}
NEW1 = "  new1: {role: worker, mac: %s}\n"
FAULT = "  w9: {role: worker, mac: none}\n"
_INSPECTION = re.compile(rb"\binst\.ks=\S*?/inspect/([0-9a-f]{32})")

cards, sources = some.sampled_from((X, X, SPARE)), some.sampled_from((*[ADDRESSES[X]] * 3, *ADDRESSES.values()))
often = some.integers(0, 9).map(bool)


class OneTimeBoots(RuleBasedStateMachine):
    """The host cp1, which is rescued, and the machine with X, which is a host `old1` now and then."""

    shared: Path  # what all appliances serve

    @initialize(unknown=some.sampled_from(("ignore", *(f"{each}, inspect_media: ol8u10-x86_64" for each in _INSPECTS))))
    def start(self, unknown: str) -> None:
        self._directory = tempfile.TemporaryDirectory(dir=self.shared.parent)
        directory = Path(self._directory.name)
        link_shared(self.shared, directory)
        (directory / "boot").unlink()
        shutil.copytree(self.shared / "boot", directory / "boot")  # files are added to it
        (directory / "hosts.d").mkdir()
        self.box = Appliance(directory, AT_FIRST.text(), unknown=unknown, files="hosts.yaml, hosts.d")
        self.is_faulty = False
        self.wipe_is_open = False  # requested, and neither begun nor ended
        self.running = ""  # the token of the wipe that began last, until it ended
        self.begun_from = X  # the card with which that boot began
        self.tokens = [32 * "0"]
        self.rescue_is_open = False
        self._xids = itertools.count(1)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.close()
            self._directory.cleanup()

    # The operator

    @rule(is_wiped=some.booleans())
    def add_and_retire(self, is_wiped: bool) -> None:
        values = {"role": "worker", "mac": [X, SPARE], "disk": {"serial": "S1"}, "boot_media": "ol8u10-x86_64"}
        self._settled(self.box.api("POST", "/hosts", {"name": "old1", "values": values}))
        wanted = {"wipe": "old1"} if is_wiped else {}
        retired = self.box.api("POST", "/hosts/old1/retire", wanted)
        self._settled(retired)
        if b"the next network boot of its machine erases" in retired.body:
            self.wipe_is_open, self.running = True, ""

    @rule(card=cards)
    def retire_and_boot(self, card: str) -> None:
        """Let a wipe begin: of files without a fault, which do not declare the machine."""
        self.edit_hosts(card, is_declared=False, is_faulty=False, is_read=True)
        self.add_and_retire(is_wiped=True)
        self.boot_x(card, is_repeated=False)

    @rule(data=some.data(), card=cards)
    def inspect_instead_of_the_wipe(self, data: some.DataObject, card: str) -> None:
        """Inspect the machine that ended in its wipe: it was reset."""
        self.retire_and_boot(card)
        self.inspect(data, card, is_booted=True)

    @rule(card=cards, changes_boot_files=some.booleans())
    def retire_and_boot_with_a_fault(self, card: str, changes_boot_files: bool) -> None:
        """Boot the machine of a requested wipe after the hosts files got a fault."""
        self.edit_hosts(card, is_declared=False, is_faulty=False, is_read=True)
        self.add_and_retire(is_wiped=True)
        self.edit_hosts(card, is_declared=False, is_faulty=True, is_read=True)
        if changes_boot_files:
            self.change_boot_files("another.efi")
        self.boot_x(card, is_repeated=False)

    @rule()
    def retire_without_the_name(self) -> None:
        assert self.box.api("POST", "/hosts/cp1/retire", {"wipe": "cp2"}).status == 400

    @rule()
    def cancel_wipe(self) -> None:
        if self.box.api("DELETE", "/wipes/old1").status == 200:
            self.wipe_is_open, self.running = False, ""

    @rule(card=cards)
    def cancel_wipe_and_boot(self, card: str) -> None:
        self.edit_hosts(card, is_declared=False, is_faulty=False, is_read=True)
        self.add_and_retire(is_wiped=True)
        self.cancel_wipe()
        self.boot_x(card, is_repeated=False)

    @rule(
        card=cards,
        is_declared=some.integers(0, 2).map(lambda drawn: drawn == 0),
        is_faulty=some.integers(0, 3).map(lambda drawn: drawn == 0),
        is_read=often,
    )
    def edit_hosts(self, card: str, is_declared: bool, is_faulty: bool, is_read: bool) -> None:
        self.box.edit_hosts(AT_FIRST.text() + (NEW1 % card if is_declared else "") + (FAULT if is_faulty else ""))
        if is_read:
            self.box.reload()
            self._settled(None)

    @rule(name=some.sampled_from(("another.efi", "third.efi")))
    def change_boot_files(self, name: str) -> None:
        (self.box.directory / "boot" / name).write_bytes(b"loader")
        self.box.advance(2)

    @rule(data=some.data(), card=cards, is_booted=often)
    def inspect(self, data: some.DataObject, card: str, is_booted: bool) -> None:
        """Request an inspection of a card, and let it boot, and request its Kickstart, where `is_booted`."""
        is_requested = self.box.api("POST", "/inspections", {"machine": card}).status == 200
        if is_requested and self.wipe_is_open:
            raise ViolationError(Invariant.WIPE, "an inspection replaces a wipe that is requested")
        if is_requested and is_booted:
            self.boot_x(card, is_repeated=False)
            self.request_kickstart(data, ADDRESSES[card])

    @rule(is_killed=some.booleans())
    def restart(self, is_killed: bool) -> None:
        self.box.advance(2)
        self.box.restart(kill=is_killed)
        self.box.advance(100)
        self._settled(None)

    @rule()
    def rescue(self) -> None:
        if self.box.api("POST", "/rescues", {"hosts": ["cp1"]}).status == 200:
            self.rescue_is_open = True

    @rule()
    def cancel_rescue(self) -> None:
        assert self.box.api("POST", "/rescues/cancel", {"hosts": ["cp1"]}).status == 200
        self.rescue_is_open = False

    @rule()
    def arm_and_cancel(self) -> None:
        status = self.box.arm("cp1")
        if status == 200 and self.rescue_is_open:
            raise ViolationError(Invariant.ONCE, "cp1 is armed while its rescue is requested")
        self.box.cancel("cp1")

    # The machines

    @rule(card=cards, is_repeated=some.booleans())
    def boot_x(self, card: str, is_repeated: bool) -> None:
        """Boot the machine with X from one of its cards, and request its script, twice where `is_repeated`."""
        self.box.advance(90)
        may_begin = self.wipe_is_open and not self.is_faulty and not self._registered()
        self._announce(card)
        script = self._script(card, ADDRESSES[card])
        token = self._wipe_in(script)
        if token and not may_begin:
            raise ViolationError(Invariant.WIPE, f"a wipe begins: open {self.wipe_is_open}, {self._registered()}")
        if may_begin and not token:
            raise ViolationError(Invariant.PROGRESS, "a requested wipe does not begin")
        if token:
            self.wipe_is_open, self.running, self.begun_from = False, token, card
        elif self._token_in(script) and card == self.begun_from:
            self.running = ""  # it was inspected instead
        self.tokens += [each for each in (self._token_in(script),) if each]
        if is_repeated and self._wipe_in(self._script(card, ADDRESSES[card])) not in ("", self.running):
            raise ViolationError(Invariant.WIPE, "a repeated script begins another wipe")

    @rule(source=sources)
    def request_script_elsewhere(self, source: str) -> None:
        if source != ADDRESSES[X] and self._wipe_in(self._script(X, source)):
            raise ViolationError(Invariant.WIPE, f"the wipe of X begins at {source}")

    @rule(data=some.data(), source=sources)
    def request_kickstart(self, data: some.DataObject, source: str) -> None:
        """Request the Kickstart of any token, also of an inspection, late, repeated, and from any machine."""
        token = data.draw(some.sampled_from([*self.tokens[-3:], *self.tokens[-1:] * 3]), label="token")
        answer = self.box.http("GET", f"/inspect/{token}", source)
        if b"wipefs" in answer.body and not self._may_wipe(token, source):
            raise ViolationError(Invariant.WIPE, f"a Kickstart wipes: {token == self.running}, {self._registered()}")

    @rule(is_repeated=some.booleans())
    def boot_cp1(self, is_repeated: bool) -> None:
        self.box.advance(90)
        self._announce(A1)
        bodies = [self._script(A1, ADDRESSES[A1]) for _ in range(1 + is_repeated)]
        is_rescued = [b"inst.rescue" in body for body in bodies]
        if is_rescued != [self.rescue_is_open] * len(bodies):
            raise ViolationError(Invariant.ONCE, f"cp1 boots its rescue: {is_rescued}, not {self.rescue_is_open}")
        self.rescue_is_open = False

    @rule(data=some.data(), source=sources, mac=some.sampled_from((X, X, SPARE, A1)))
    def request_permission(self, data: some.DataObject, source: str, mac: str) -> None:
        """Request to write to the disk, with any token, from any machine, that reports any card."""
        token = data.draw(some.sampled_from([*self.tokens[-3:], *self.tokens[-1:] * 3]), label="token")
        self._request_permission(token, source, mac)

    @rule(card=cards, mac=some.sampled_from((X, A1)))
    def begin_a_wipe(self, card: str, mac: str) -> None:
        """Boot a machine into its wipe, and request to write to its disk, as one that has this card too."""
        self.retire_and_boot(card)
        self._request_permission(self.tokens[-1], ADDRESSES[card], mac)

    def _request_permission(self, token: str, source: str, mac: str) -> None:
        body = f"firmware uefi\ndisk sda\nnic eno1\nmac {mac}\n".encode()
        allowed = self.box.http("POST", f"/report/{token}/wiping", source, body).status == 200
        if allowed and not (self._may_wipe(token, source) and mac != A1):
            raise ViolationError(Invariant.WIPE, f"a disk may be wiped: {token == self.running}, {self._registered()}")
        if not allowed and token == self.running and source == ADDRESSES[self.begun_from]:
            self.running = ""  # a refusal ends it

    @rule(data=some.data(), card=cards, report=some.sampled_from(("wiped", "wipe-refused", "inspected")))
    def report(self, data: some.DataObject, card: str, report: str) -> None:
        token = data.draw(some.sampled_from([*self.tokens[-3:], *self.tokens[-1:] * 3]), label="token")
        accepted = self.box.http("POST", f"/report/{token}/{report}", ADDRESSES[card], b"sda\n").status == 200
        if accepted and report != "inspected":
            if token != self.running:
                raise ViolationError(Invariant.WIPE, "the result of an ended wipe is accepted")
            self.running = ""

    # How it is done

    def _announce(self, card: str) -> None:
        for datagram in (
            wire.discover(wire.UEFI, card, next(self._xids)),
            wire.lan_request(card, next(self._xids), ADDRESSES[card]),
            wire.discover(wire.UEFI, card, next(self._xids), is_ipxe=True),
        ):
            self.box.dhcp(67, datagram, ("0.0.0.0", 68))

    def _script(self, card: str, source: str) -> bytes:
        return self.box.http("GET", f"/boot/{card}.ipxe", source).body

    def _token_in(self, script: bytes) -> str:
        """Return the token of a script that inspects or wipes; empty for another one."""
        found = _INSPECTION.search(script)
        return found[1].decode() if found else ""

    def _wipe_in(self, script: bytes) -> str:
        """Return the token of a script that wipes; empty for another one."""
        return self._token_in(script) if b"its disk is wiped" in script else ""

    def _may_wipe(self, token: str, source: str) -> bool:
        """Whether the boot with this token, at this address, may wipe a disk now."""
        is_its_own = token == self.running and source == ADDRESSES[self.begun_from]
        return is_its_own and not self.is_faulty and not self._registered()

    def _registered(self) -> bool:
        """Whether a host in force has a card of the machine."""
        listed = self.box.api("GET", "/hosts").json()
        return any({X, SPARE} & set(host["macs"]) for host in listed)

    def _settled(self, _response: Response | None) -> None:
        """Note whether the files have a fault now. A machine that is registered now is not wiped any longer."""
        self.is_faulty = b"hosts.w9" in self.box.api("GET", "/status").body
        if self._registered():
            self.wipe_is_open, self.running = False, ""


def run(shared: Path, *, seed: int, examples: int, is_shrunk: bool = False) -> None:
    """Run the model with this seed; raises the first ViolationError. `is_shrunk` as in `model.run`."""
    machine = type("SeededBoots", (OneTimeBoots,), {"shared": shared})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if is_shrunk else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    run_state_machine_as_test(seeded(seed)(machine), settings=chosen)
