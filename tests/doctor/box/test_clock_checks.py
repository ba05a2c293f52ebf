"""The clock against dates of what exists, the kernel's state, and time servers on sockets of this test."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest

from netboot.doctor.box.clock_checks import (
    DatedThing,
    KernelClock,
    check_time_servers,
    judge_clock,
    read_kernel_clock,
)
from netboot.doctor.doctor_finding import Level

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SYNCHRONISED, UNSYNCHRONISED = KernelClock(0, 0x2001), KernelClock(5, 0x0040)
RELEASE = DatedThing("the import of ostree ock", NOW - timedelta(days=3))
LOOPBACK = IPv4Address("127.0.0.1")
NTP_TO_UNIX_S = 2_208_988_800


@contextmanager
def time_server(ahead_s: float) -> Iterator[int]:
    """Answer one request with a time that is `ahead_s` ahead of ours, as RFC 5905 has it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((str(LOOPBACK), 0))
        server.settimeout(5)

        def answer() -> None:
            _, client = server.recvfrom(100)
            server.sendto(bytes(40) + struct.pack("!II", int(time.time() + ahead_s + NTP_TO_UNIX_S), 0), client)

        answering = threading.Thread(target=answer)
        answering.start()
        yield server.getsockname()[1]
        answering.join()


def test_a_synchronised_clock_behind_every_date_is_no_finding():
    assert list(judge_clock(SYNCHRONISED, NOW, [RELEASE])) == []


def test_a_clock_that_is_not_synchronised_is_a_warning():
    [finding] = judge_clock(UNSYNCHRONISED, NOW, [])

    assert (finding.level, finding.evidence) == (
        Level.WARNING,
        ("adjtimex: state 5, status 0x0040 (STA_UNSYNC)",),
    )
    assert "chronyd" in (finding.cure or "")


def test_a_clock_before_what_was_imported_is_a_problem():
    [finding] = judge_clock(SYNCHRONISED, NOW - timedelta(days=400), [RELEASE])

    assert (finding.check, finding.level) == ("box.clock", Level.PROBLEM)
    assert finding.sentence.startswith(
        "the clock is wrong: it has 2025-10-25 12:00 UTC, which is before the import of ostree ock; "
    )


def test_the_state_of_the_kernel_is_read():
    clock = read_kernel_clock()

    assert 0 <= clock.state <= 5


def test_a_right_time_server_is_no_finding():
    with time_server(0) as port:
        assert list(check_time_servers([LOOPBACK], port=port)) == []


@pytest.mark.parametrize(("ahead_s", "level"), [(60, Level.WARNING), (-4000, Level.PROBLEM)])
def test_a_clock_that_differs_from_a_time_server_is_found(ahead_s: int, level: Level):
    with time_server(ahead_s) as port:
        [finding] = check_time_servers([LOOPBACK], port=port)

    where = "behind" if ahead_s > 0 else "ahead of"
    assert finding.level is level
    assert f" s {where} the time server 127.0.0.1" in finding.sentence


def test_a_time_server_that_does_not_answer_is_a_warning():
    [finding] = check_time_servers([LOOPBACK], port=9)

    assert (finding.level, finding.sentence.partition(";")[0]) == (
        Level.WARNING,
        "the time server 127.0.0.1 does not answer",
    )
