"""Refused requests are recorded in one place: a counter for each, a log line per address and minute, bounded."""

from dataclasses import dataclass, field

from netboot.servers.http_refused import LINE_INTERVAL_S, RefusalReason, RefusedRequests

R = RefusalReason


@dataclass
class Recorded:
    """A recorder on a clock that a test moves, and what came out of it."""

    now: float = 0.0
    counted: list[RefusalReason] = field(default_factory=list)
    lines: list[tuple[str, RefusalReason, int]] = field(default_factory=list)

    def recorder(self) -> RefusedRequests:
        recorder = RefusedRequests(self.counted.append, monotonic=lambda: self.now)
        recorder.observers.append(lambda *line: self.lines.append(line))
        return recorder


def test_the_first_refusal_of_an_address_is_logged_at_once_and_the_others_once_a_minute_with_their_number() -> None:
    seen = Recorded()
    recorder = seen.recorder()

    for reason in (R.HOST, R.EXPECT, R.NOT_HTTP):
        recorder.record("192.0.2.1", reason)
    recorder.record("192.0.2.2", R.HOST)
    seen.now = LINE_INTERVAL_S - 1
    recorder.flush()
    assert seen.lines == [("192.0.2.1", R.HOST, 1), ("192.0.2.2", R.HOST, 1)]
    seen.now = LINE_INTERVAL_S
    recorder.flush()

    assert seen.lines[2:] == [("192.0.2.1", R.NOT_HTTP, 2)]
    assert seen.counted == [R.HOST, R.EXPECT, R.NOT_HTTP, R.HOST]


def test_an_address_that_goes_on_has_one_line_a_minute() -> None:
    seen = Recorded()
    recorder = seen.recorder()

    for second in range(180):
        seen.now = float(second)
        recorder.record("192.0.2.1", R.HOST)
        recorder.flush()

    assert seen.lines == [("192.0.2.1", R.HOST, count) for count in (1, 60, 60)]


def test_addresses_beyond_the_bound_share_one_line() -> None:
    seen = Recorded()
    recorder = seen.recorder()

    for number in range(5000):
        recorder.record(f"10.0.{number // 256}.{number % 256}", R.HOST)

    assert len(seen.lines) == 1025
    assert seen.lines[-1] == ("others", R.HOST, 1)
    assert len(seen.counted) == 5000


def test_an_address_that_sent_nothing_more_is_forgotten() -> None:
    seen = Recorded()
    recorder = seen.recorder()
    recorder.record("192.0.2.1", R.HOST)
    seen.now = LINE_INTERVAL_S

    recorder.flush()
    recorder.record("192.0.2.1", R.EXPECT)

    assert seen.lines == [("192.0.2.1", R.HOST, 1), ("192.0.2.1", R.EXPECT, 1)]
