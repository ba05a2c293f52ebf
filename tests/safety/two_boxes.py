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
from safety import wire
from safety.appliance import Appliance, link_shared
from safety.declared import A1, AT_FIRST, CARDS, B, C
from safety.model import Rack, cards, hosts, ways

from netboot.store.changes.change_feed import ChangeFeed

SEEN_BY_BOTH_S = 4.0  # what one writes later is stored, and the other has read it
numbers = some.integers(0, 1)


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

    @rule(host=hosts, card=some.sampled_from((A1, B, C)), way=ways)
    def arm_at_one_boot_at_the_other(self, host: str, card: str, way: str) -> None:
        """Arm at one box; the other one offers the boot, and leads the machine to its installer."""
        self.turn_to(0)
        self.arm(host, 1, is_forced=False)
        self.turn_to(1)
        self._power_on(card, wire.UEFI)
        self._request_address(card)
        self._led_by_script(card, card, way)

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


@contextmanager
def changes_are_polled() -> Iterator[None]:
    """Cut the connection that is notified, so that each box reads what changed once a second of the fake clock."""

    async def cut(_feed: ChangeFeed, _connection: object) -> None:
        raise OSError("the connection is cut")

    with mock.patch.object(ChangeFeed, "_listen", cut):
        yield


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
