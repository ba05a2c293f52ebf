"""What is learned of a firmware's local boot: each row is one machine that was led to its disk again and again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netboot.boot.firmware.local_boot_learning import (
    COMES_BACK,
    NO_OFFER_TAKES,
    REST,
    LocalBootFault,
    LocalBootVerdict,
    MethodChanged,
    MethodLearned,
    NoMethodLeft,
    began_again,
    booted,
    led_to_disk,
    method_for,
    stayed_unseen,
)
from netboot.model.host.firmware import LocalBoot, LocalBootMethod, LocalBootState, local_boot_reason

M, S = LocalBootMethod, LocalBootState
METHODS = (M.SANBOOT, M.EXIT, M.NO_OFFER)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


class Firmware:
    """One firmware of one machine, with a clock."""

    def __init__(self, methods: tuple[M, ...] = METHODS) -> None:
        self.methods, self.now = methods, NOW
        self.known: LocalBoot | None = None
        self.verdicts: list[LocalBootVerdict] = []

    def led(self) -> M:
        self.known = led_to_disk(self.known, self.methods, now=self.now)
        return self.known.method

    def _learn(self, found: tuple[LocalBoot, LocalBootVerdict | None]) -> None:
        self.known, verdict = found
        self.verdicts += [verdict] if verdict is not None else []

    def comes_back(self, after: timedelta = timedelta(seconds=20)) -> None:
        self.led()
        self.now += after
        assert self.known is not None
        self._learn(began_again(self.known, self.methods, now=self.now))

    def is_unseen(self) -> None:
        self.led()
        self.now += timedelta(minutes=10)
        assert self.known is not None
        self._learn(stayed_unseen(self.known, self.methods, now=self.now))

    def shows_itself(self, sign: str = "ignition") -> None:
        self.led()
        self.now += timedelta(minutes=2)
        assert self.known is not None
        self._learn(booted(self.known, sign, now=self.now))


def test_the_next_method_is_used_after_three_returns_at_once():
    machine = Firmware()
    for _ in range(2):
        machine.comes_back()
    assert (machine.known, machine.verdicts) == (
        LocalBoot(M.SANBOOT, S.DOUBTED, 2, since=machine.now),
        [],
    )

    machine.comes_back()

    assert machine.verdicts == [MethodChanged(LocalBootFault.CAME_BACK, M.SANBOOT, M.EXIT)]
    assert machine.known == LocalBoot(M.EXIT, S.UNTRIED, since=machine.now, why="came-back")
    assert machine.led() is M.EXIT


def test_a_machine_that_stays_away_is_counted_anew():
    machine = Firmware()
    for after in (20, 20, COMES_BACK.total_seconds() + 1, 20, 20):
        machine.comes_back(timedelta(seconds=after))

    assert (machine.known and machine.known.returns, machine.verdicts) == (2, [])


def test_without_an_offer_firmware_needs_a_minute_before_it_continues():
    machine = Firmware((M.NO_OFFER,))
    for _ in range(3):
        machine.comes_back(COMES_BACK + NO_OFFER_TAKES)

    assert machine.verdicts == [NoMethodLeft(LocalBootFault.CAME_BACK, M.NO_OFFER)]


@pytest.mark.parametrize("after", [timedelta(seconds=1), timedelta(seconds=-5)], ids=["forged", "clock-set-back"])
def test_what_no_machine_does_is_not_counted(after: timedelta):
    machine = Firmware()
    for _ in range(5):
        machine.comes_back(after)

    assert (machine.known and machine.known.method, machine.verdicts) == (M.SANBOOT, [])


def test_the_next_method_is_used_after_an_installed_system_was_unseen():
    machine = Firmware()

    machine.is_unseen()

    assert machine.verdicts == [MethodChanged(LocalBootFault.UNSEEN, M.SANBOOT, M.EXIT)]
    assert machine.led() is M.EXIT


def test_a_method_that_worked_is_changed_only_after_a_second_time():
    machine = Firmware()
    machine.shows_itself()
    machine.is_unseen()
    assert machine.known is not None
    assert machine.known.state is S.DOUBTED

    machine.is_unseen()

    assert machine.verdicts == [MethodLearned(M.SANBOOT), MethodChanged(LocalBootFault.UNSEEN, M.SANBOOT, M.EXIT)]


def test_a_sign_of_the_installed_system_verifies_the_method_once():
    machine = Firmware()
    machine.is_unseen()
    machine.shows_itself()
    machine.shows_itself("report")

    assert machine.verdicts == [
        MethodChanged(LocalBootFault.UNSEEN, M.SANBOOT, M.EXIT),
        MethodLearned(M.EXIT),
    ]
    assert machine.known == LocalBoot(M.EXIT, S.VERIFIED, since=machine.now, worked=M.EXIT, why="ignition")


def test_a_quick_restart_of_a_method_that_worked_is_forgotten_when_it_stays_away():
    machine = Firmware()
    machine.shows_itself()
    machine.comes_back()
    machine.comes_back(timedelta(hours=5))

    assert machine.known is not None
    assert (machine.known.state, machine.known.returns) == (S.VERIFIED, 0)


def test_a_sign_without_a_local_boot_teaches_nothing():
    known = LocalBoot(M.EXIT)

    assert booted(known, "report", now=NOW) == (known, None)
    assert began_again(known, METHODS, now=NOW) == (known, None)
    assert stayed_unseen(known, METHODS, now=NOW) == (known, None)


def test_after_the_last_method_the_one_that_worked_is_used_for_an_hour():
    machine = Firmware()
    machine.is_unseen()
    machine.shows_itself()  # by exit
    for _ in range(6):
        machine.comes_back()
    assert machine.verdicts[2:] == [
        MethodChanged(LocalBootFault.CAME_BACK, M.EXIT, M.NO_OFFER),
        NoMethodLeft(LocalBootFault.CAME_BACK, M.NO_OFFER),
    ]
    assert machine.known is not None
    assert (machine.known.method, machine.known.state) == (M.EXIT, S.RESTING)
    for _ in range(4):
        machine.comes_back()
        machine.is_unseen()
    assert len(machine.verdicts) == 4

    machine.now += REST
    machine.led()

    assert machine.known.state is S.UNTRIED


def test_a_machine_whose_disk_starts_again_after_every_method_had_failed_is_reported():
    machine = Firmware((M.EXIT,))
    machine.shows_itself()
    for _ in range(2):
        machine.is_unseen()
    assert machine.verdicts == [MethodLearned(M.EXIT), NoMethodLeft(LocalBootFault.UNSEEN, M.EXIT)]

    machine.shows_itself("report")

    assert machine.verdicts[2:] == [MethodLearned(M.EXIT)]


def test_a_machine_without_any_method_that_worked_begins_with_the_first_again():
    machine = Firmware()
    for _ in range(3):
        machine.is_unseen()

    assert machine.verdicts[-1] == NoMethodLeft(LocalBootFault.UNSEEN, M.NO_OFFER)
    assert machine.known is not None
    assert (machine.known.method, machine.known.state) == (M.SANBOOT, S.RESTING)
    assert local_boot_reason(machine.known) == "no method is left; this one is tried again"


def test_a_fixed_method_is_never_changed():
    machine = Firmware((M.EXIT,))
    for _ in range(3):
        machine.comes_back()

    assert machine.verdicts == [NoMethodLeft(LocalBootFault.CAME_BACK, M.EXIT)]
    assert machine.led() is M.EXIT


def test_a_method_that_may_not_be_used_any_longer_is_replaced_by_the_first():
    known = LocalBoot(M.GRUB, S.VERIFIED, worked=M.GRUB, why="ready")

    assert method_for(known, METHODS) is M.SANBOOT
    assert led_to_disk(known, METHODS, now=NOW) == LocalBoot(M.SANBOOT, led_at=NOW, since=NOW, worked=M.GRUB)


@pytest.mark.parametrize(
    "known",
    [
        LocalBoot(M.EXIT),
        LocalBoot(M.NO_FILE, S.RESTING, 2, NOW, NOW + timedelta(hours=1), M.SANBOOT, "unseen", NOW),
    ],
)
def test_what_is_stored_is_read_again(known: LocalBoot):
    assert LocalBoot.from_json(known.as_json()) == known


@pytest.mark.parametrize(
    "change", [{"method": "chant"}, {"state": 3}, {"returns": "x"}, {"led_at": "tomorrow"}, {"worked": "luck"}]
)
def test_what_another_version_stored_is_not_known(change: dict[str, object]):
    stored = replace(LocalBoot(M.EXIT), led_at=NOW).as_json()

    assert LocalBoot.from_json(stored | change) is None
    assert LocalBoot.from_json({}) is None


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (LocalBoot(M.EXIT), "the first method, tried"),
        (
            LocalBoot(M.EXIT, S.DOUBTED, 2, why="unseen"),
            "tried, because the installed system did not show itself after the method before; "
            "the machine came back at once, 2 times",
        ),
        (LocalBoot(M.EXIT, S.VERIFIED, why="ready"), "the installed system became ready after it"),
    ],
)
def test_the_reason_of_a_method_is_stated(known: LocalBoot, reason: str):
    assert local_boot_reason(known) == reason
