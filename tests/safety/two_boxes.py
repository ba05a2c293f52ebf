"""Two appliances on one PostgreSQL and one LAN, driven at random by the model of one: `model.Rack` with two boxes.

Both receive every broadcast. Requests go to one of them, which is chosen anew at any time; a box is killed at any
moment, also in the middle of a request, and started again. The oracle is that of one appliance: what two send together
must be what one may send. Bytes in, bytes out, as `model`.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import asyncpg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import seed as seeded
from hypothesis import strategies as some
from hypothesis.stateful import rule, run_state_machine_as_test
from postgresql import Server
from safety import wire
from safety.appliance import Appliance, Response, link_shared
from safety.declared import A1, AT_FIRST, CARDS, B, C
from safety.model import Rack, cards, ways

from netboot.store.changes.change_feed import ChangeFeed

SEEN_BY_BOTH_S = 4.0  # what one writes later is stored, and the other has read it
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
MOST_CHECKS, STEPS_PER_CHECK = 500, 20  # until both wait for the third writer
numbers = some.integers(0, 1)
installed_cards = some.sampled_from((A1, B, C))


class Pair:
    """Two boxes as one: `chosen` answers what is sent to one address, both what is broadcast."""

    def __init__(self, directories: Sequence[Path], url_of: Callable[[str], str], *, unknown: str) -> None:
        self._roles = ("box0", "box1")
        urls = [url_of(role) for role in self._roles]
        first = Appliance(directories[0], AT_FIRST.text(), unknown=unknown, store=urls[0])
        shutil.copy(directories[0] / "store.key", directories[1])
        self.boxes = [
            first,
            Appliance(directories[1], AT_FIRST.text(), unknown=unknown, store=urls[1], beside=first),
        ]
        self._admin_url = url_of("postgres").replace("postgresql+asyncpg", "postgresql")
        self.is_alive = [True, True]
        self.chosen = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.box, name)

    @property
    def box(self) -> Appliance:
        return self.boxes[self.chosen if self.is_alive[self.chosen] else 1 - self.chosen]

    @property
    def alive(self) -> list[Appliance]:
        return [box for box, is_alive in zip(self.boxes, self.is_alive, strict=True) if is_alive]

    def edit_hosts(self, text: str) -> None:
        """Write the hosts file of both, as their operator copies it."""
        for box in self.boxes:
            box.edit_hosts(text)

    def reload(self) -> int:
        """Have both read the files again; return the status of the answer, which is the same of both."""
        statuses = {box.reload() for box in self.alive}
        assert len(statuses) == 1, statuses
        return statuses.pop()

    def restart(self, *, kill: bool = False) -> None:
        number = self.boxes.index(self.box)
        if kill:
            self.kill(number)
            self.start_again(number)
        else:
            self.box.restart()

    def kill(self, number: int) -> None:
        """End a box so that nothing of it reaches the store any longer: its role may not log in, its sessions end."""
        role = self._roles[number]
        self._in_database(
            f"ALTER ROLE {role} NOLOGIN",
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '{role}'",
        )
        self.boxes[number].end_without_store()
        self.is_alive[number] = False

    def start_again(self, number: int) -> None:
        self._in_database(f"ALTER ROLE {self._roles[number]} LOGIN")
        self.boxes[number].start_again()
        self.is_alive[number] = True

    def begin_request(self, path: str, source: str, *, steps: int) -> None:
        """Send a request to the chosen box, and let it work on it for so many steps of its loop."""
        self.box.begin_http("GET", path, source, steps=steps)

    def hold(self, host: str) -> dict[str, Any] | None:
        """Ask the other box why an install waits: an answer, which is of the store, refreshes its box's memory."""
        other = 1 - self.boxes.index(self.box)
        return (self.boxes[other] if self.is_alive[other] else self.box).hold(host)

    def both_answer(self, path: str, source: str) -> list[Response]:
        """Send one request to each box at one time, while a third writer has the rows of all installs.

        So both come as far as they can before one of them writes.
        """
        with asyncio.Runner() as runner:
            third = runner.run(asyncpg.connect(self._admin_url))
            runner.run(third.execute("BEGIN; SELECT FROM installs FOR UPDATE"))
            requests = [box.request("GET", path, source) for box in self.boxes]
            for _ in range(MOST_CHECKS):
                self.boxes[0].work(STEPS_PER_CHECK)
                waiting = runner.run(third.fetchval(WAITING))
                if waiting + sum(bool(transport.output) for transport, _ in requests) == len(requests):
                    break
            runner.run(third.execute("COMMIT"))
            runner.run(third.close())
        return self.boxes[0].answers(requests)

    def close(self) -> None:
        for box in reversed(self.boxes):
            box.close()

    def _in_database(self, *statements: str) -> None:
        async def execute() -> None:
            connection = await asyncpg.connect(self._admin_url)
            try:
                for statement in statements:
                    await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(execute())


class TwoBoxes(Rack):
    """The rack of `model`, served by two appliances."""

    new_urls: ClassVar[Callable[[], Callable[[str], str]]]
    box: Pair  # type: ignore[assignment] - it does what an Appliance does

    def _opened(self, directory: Path, unknown: str) -> Pair:  # type: ignore[override] - as `box`
        directories = [directory / name for name in ("a", "b")]
        for each in directories:
            each.mkdir()
            link_shared(self.shared, each)
        return Pair(directories, type(self).new_urls(), unknown=unknown)

    @rule(number=numbers)
    def turn_to(self, number: int) -> None:
        """Send to the other box from now on, after it has read what this one has stored."""
        self.advance(SEEN_BY_BOTH_S)
        self.box.chosen = number

    @rule(number=numbers)
    def turn_at_once(self, number: int) -> None:
        """Send to the other box before it has read anything: it may lead less, and never more."""
        self._forget_what_one_saw_alone()
        self.box.chosen = number

    @rule(number=numbers, pause_s=some.sampled_from((0.0, 30.0)))
    def kill(self, number: int, pause_s: float) -> None:
        """Kill a box, let the other one go on alone for a while, and start it again."""
        self._killed(number, pause_s)

    @rule(card=cards, steps=some.integers(1, 60), number=numbers)
    def kill_in_a_request(self, card: str, steps: int, number: int) -> None:
        """Kill a box while it works on a script, which may or may not have spent a boot."""
        self.box.chosen = number
        self._forget_what_one_saw_alone()
        host = self.oracle.in_force.of_card(card)
        self.box.begin_request(f"/boot/{card}.ipxe", self.addresses[card], steps=steps)
        if host is not None and host.name in self.oracle.armings:
            self.oracle.armings[host.name].is_uncertain = True
        self._killed(number, 0.0)

    @rule(card=installed_cards, way=ways, is_cancelled=some.booleans())
    def arm_at_one_boot_at_the_other(self, card: str, way: str, is_cancelled: bool) -> None:
        """Arm at one box; the other one offers the boot, and leads the machine to its installer.

        It requests its script again there, perhaps at once after a cancellation at the first one.
        """
        if (host := self._armed_anew(card, 1)) is None:
            return
        self.turn_to(1)
        self._boot_begun(card)
        self._led_by_script(card, card, way)
        if is_cancelled:
            self.turn_at_once(0)
            self.cancel(host)
            self.turn_at_once(1)
        self._led_by_script(card, card, way)

    @rule(card=installed_cards, way=ways, attempts=some.integers(1, 2), is_new=some.booleans())
    def boot_at_one_again_at_the_other(self, card: str, way: str, attempts: int, is_new: bool) -> None:
        """Have a machine request its script at one box, then at the other, in the same boot or in a new one."""
        if self._armed_anew(card, attempts) is None:
            return
        self._boot_begun(card)
        self._led_by_script(card, card, way)
        self.turn_to(1)
        if is_new:
            self._boot_begun(card)
        self._led_by_script(card, card, way)

    @rule(card=installed_cards, attempts=some.integers(1, 2))
    def request_script_at_both(self, card: str, attempts: int) -> None:
        """Have both boxes answer the request for one script at one time; then both have the same boot."""
        if (host := self._armed_anew(card, attempts)) is None:
            return
        self._boot_begun(card)
        self._forget_what_one_saw_alone()
        source = self.addresses[card]
        for response in self.box.both_answer(f"/boot/{card}.ipxe", source):
            self._note_led(self.oracle.check_script(response.body, source, (card,), now_s=self.box.clock.monotonic()))
        last = self._led_by_script(card, card, "ipxe")
        if last is None:
            self.cancel(host)
        else:
            self.oracle.latest[host] = self.oracle.boots[last]

    def _armed_anew(self, card: str, attempts: int) -> str | None:
        """Arm the host of a card at the first box, also if it was armed, and name it."""
        self.turn_to(0)
        host = self.oracle.in_force.of_card(card)
        if host is None:
            return None
        self.cancel(host.name)
        self.arm(host.name, attempts, is_forced=False)
        return host.name

    def _boot_begun(self, card: str) -> None:
        self._power_on(card, wire.UEFI)
        self._request_address(card)

    def _killed(self, number: int, pause_s: float) -> None:
        self._forget_what_one_saw_alone()
        self.box.kill(number)
        if pause_s:
            self.advance(pause_s)
        self.box.start_again(number)
        self.oracle.restarted(kill=True)

    def _forget_what_one_saw_alone(self) -> None:
        """Let both answers be right where a box may not know what the other one has received or changed."""
        self.oracle.announced_s.clear()
        self.oracle.took.clear()
        self.oracle.shown = {address: {*cards, *CARDS} for address, cards in self.oracle.shown.items()}


def urls_on(server: Server) -> Callable[[], Callable[[str], str]]:
    """Return what makes a database, and the URL of it for a role of each box."""

    def make() -> Callable[[str], str]:
        url = server.new_database(roles=("box0", "box1"))
        return lambda role: url.replace("postgres@", f"{role}@")

    return make


@contextmanager
def changes_are_polled() -> Iterator[None]:
    """Cut the connection that is notified, so that each box reads what changed once a second of the fake clock."""

    async def cut(_feed: ChangeFeed, _connection: object) -> None:
        raise OSError("the connection is cut")

    with mock.patch.object(ChangeFeed, "_listen", cut):
        yield


def walk(shared: Path, new_urls: Callable[[], Callable[[str], str]]) -> None:
    """Boot a machine by both boxes in each way that the rules have, without chance."""
    rack = type("Walk", (TwoBoxes,), {"shared": shared, "new_urls": staticmethod(new_urls), "happened": Counter()})()
    with changes_are_polled():
        try:
            rack.start(unknown="ignore")
            rack.request_script_at_both(A1, 1)
            for attempts, is_new, is_cancelled in ((1, False, False), (2, True, True)):
                rack.boot_at_one_again_at_the_other(B, "ipxe", attempts, is_new)
                rack.arm_at_one_boot_at_the_other(C, "ipxe", is_cancelled)
            rack.kill(0, 0.0)
            rack.request_script_at_both(B, 2)
        finally:
            rack.teardown()


def run(
    shared: Path, new_urls: Callable[[], Callable[[str], str]], *, seed: int, examples: int, steps: int
) -> Counter[str]:
    """Run the model with this seed and return what happened in it; raise the first ViolationError."""
    machine = type(
        "SeededBoxes",
        (TwoBoxes,),
        {"shared": shared, "new_urls": staticmethod(new_urls), "happened": (happened := Counter())},
    )
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate,),  # an example takes seconds; the calls that led to a violation are printed
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    with changes_are_polled():
        run_state_machine_as_test(seeded(seed)(machine), settings=chosen)
    return happened
