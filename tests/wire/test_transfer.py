"""One TFTP read in virtual time: loss, repetition, reordering, rollover.

The machine at the other end is written here from the RFCs, with `struct` alone; it shares no code with the sender.
"""

import heapq
import struct
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netboot.wire.tftp.packet import Terms
from netboot.wire.tftp.transfer import LOW_WATER_BYTES, Outcome, Sender

HOP_S = 0.001
MACHINE_TIMEOUT_S = 4.0  # EDK2's


def some_bytes(size):
    return bytes(i * 7 % 251 for i in range(min(size, 251))) * (size // 251 + 1)


def a_file(size):
    return some_bytes(size)[:size]


def with_oack(**terms):
    return Terms(**terms, acknowledged={"blksize": str(terms.get("blksize", 512))})


def a_sender(content, terms):
    sender = Sender(terms, len(content))
    sender.supply(0, content)
    return sender


def data(block, payload=b""):
    return struct.pack("!HH", 3, block) + payload


def ack(block):
    return struct.pack("!HH", 4, block)


def error(code, text=b""):
    return struct.pack("!HH", 5, code) + text + b"\0"


class Machine:
    """A reader after RFC 1350 and 7440: one ACK at a window's end, at the first gap, after a long wait."""

    def __init__(self, terms):
        self.blksize, self.windowsize = terms.blksize, terms.windowsize
        self.content = bytearray()
        self.expected = 0 if terms.acknowledged else 1
        self.since_ack = 0
        self.gap = False
        self.is_done = False

    def receive(self, datagram):
        opcode, number = struct.unpack("!HH", datagram[:4]) if datagram[:2] == b"\0\3" else (6, 0)
        if number != self.expected % 65536 or (opcode == 6) != (self.expected == 0):
            if self.gap or self.expected == 0:
                return []
            self.gap, self.since_ack = True, 0
            return [self.last_ack()]
        self.expected += 1
        self.gap = False
        if opcode == 6:
            return [ack(0)]
        payload = datagram[4:]
        self.content += payload
        self.is_done = len(payload) < self.blksize
        self.since_ack += 1
        if self.is_done or self.since_ack == self.windowsize:
            self.since_ack = 0
            return [self.last_ack()]
        return []

    def last_ack(self):
        return ack((self.expected - 1) % 65536)


class Lan:
    """Carries datagrams in virtual time. `fate(n)` is the seconds of each copy of the n-th one; none is loss."""

    def __init__(self, sender, machine, fate):
        self.sender, self.machine, self.fate = sender, machine, fate
        self.now = 0.0
        self.events = []
        self.serial = count()
        self.carried = 0

    def carry(self, datagrams, to_machine):
        for datagram in datagrams:
            for way in self.fate(self.carried):
                heapq.heappush(self.events, (self.now + way, next(self.serial), to_machine, datagram))
            self.carried += 1

    def run(self, most_datagrams=100_000):
        machine_waits_until = self.now + MACHINE_TIMEOUT_S
        self.carry(self.sender.datagrams_to_send(self.now), True)
        while self.sender.outcome is None and self.carried < most_datagrams:
            deadline = self.sender.deadline()
            assert deadline is not None
            at = min(deadline, machine_waits_until, self.events[0][0] if self.events else deadline)
            self.now = at
            if self.events and self.events[0][0] <= at:
                _, _, to_machine, datagram = heapq.heappop(self.events)
                if to_machine:
                    machine_waits_until = self.now + MACHINE_TIMEOUT_S
                    self.carry(self.machine.receive(datagram), False)
                else:
                    self.sender.receive_datagram(datagram, self.now)
            elif deadline <= at:
                self.sender.handle_deadline(self.now)
            else:
                machine_waits_until = self.now + MACHINE_TIMEOUT_S
                if self.machine.expected > 0:
                    self.carry([self.machine.last_ack()], False)
            self.carry(self.sender.datagrams_to_send(self.now), True)


def transfer(content, terms, fate=lambda _: [HOP_S]):
    lan = Lan(a_sender(content, terms), Machine(terms), fate)
    lan.run()
    return lan


def dropping(*lost):
    return lambda n: [] if n in lost else [HOP_S]


@pytest.mark.parametrize("terms", [Terms(), *(with_oack(windowsize=size) for size in (1, 4, 16, 64))])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1024, 5120, 64 * 512, 100_000])
def test_a_file_of_any_size_arrives(size, terms):
    lan = transfer(a_file(size), terms)

    assert lan.machine.content == a_file(size)
    assert (lan.sender.outcome, lan.sender.retransmissions, lan.sender.bytes_sent) == (Outcome.SENT, 0, size)


@pytest.mark.parametrize("size", [0, 512, 1024])
def test_a_full_last_block_and_an_empty_file_end_with_an_empty_block(size):
    sender = a_sender(a_file(size), Terms())
    last = size // 512 + 1
    for block in range(1, last):
        assert len(sender.datagrams_to_send(0.0)) == 1
        sender.receive_datagram(ack(block), 0.0)

    assert sender.datagrams_to_send(0.0) == [data(last)]


@pytest.mark.parametrize("windowsize", [1, 4, 16, 64])
def test_the_loss_of_any_one_datagram_is_survived(windowsize):
    terms, content = with_oack(windowsize=windowsize), a_file(20_000)
    datagrams = transfer(content, terms).carried

    for lost in range(datagrams - 1):
        lan = transfer(content, terms, dropping(lost))

        assert lan.machine.content == content, lost
        assert lan.sender.outcome in (Outcome.SENT, Outcome.UNCONFIRMED), lost


def test_the_loss_of_any_two_neighbours_is_survived():
    terms, content = with_oack(windowsize=4), a_file(10_000)

    for lost in range(transfer(content, terms).carried - 2):
        assert transfer(content, terms, dropping(lost, lost + 1)).machine.content == content, lost


@pytest.mark.parametrize("windowsize", [1, 16])
def test_a_lan_that_doubles_every_datagram_carries_no_more_than_double(windowsize):
    terms, content = with_oack(windowsize=windowsize), a_file(50_000)

    once = transfer(content, terms)
    twice = transfer(content, terms, lambda _: [HOP_S, HOP_S * 1.5])

    assert twice.machine.content == content
    assert twice.sender.retransmissions == 0
    assert twice.carried <= 2 * once.carried


@settings(deadline=None)
@given(
    st.integers(0, 6000),
    st.sampled_from([1, 2, 4, 16, 64]),
    st.integers(8, 700),
    st.lists(
        st.sampled_from([(), (HOP_S,), (HOP_S,), (HOP_S,), (HOP_S, 0.02), (0.015,), (0.3,)]), min_size=1, max_size=80
    ),
)
def test_whatever_the_lan_loses_doubles_or_reorders_the_file_is_right(size, windowsize, blksize, fates):
    terms, content = with_oack(windowsize=windowsize, blksize=blksize), a_file(size)

    lan = transfer(content, terms, lambda n: fates[n] if n < len(fates) else (HOP_S,))

    if lan.sender.outcome in (Outcome.SENT, Outcome.UNCONFIRMED):
        assert lan.machine.content == content
    else:  # no ACK for so long that machines give up too
        assert lan.sender.outcome in (Outcome.UNANSWERED, Outcome.TIMED_OUT)
        assert content.startswith(bytes(lan.machine.content))


@pytest.mark.parametrize("windowsize", [1, 64])
def test_blocks_roll_over_from_65535_to_0(windowsize):
    terms, content = with_oack(windowsize=windowsize, blksize=8), a_file(70_000 * 8)

    lan = Lan(a_sender(content, terms), Machine(terms), lambda _: [HOP_S])
    lan.run(most_datagrams=200_000)

    assert lan.machine.content == content
    assert lan.sender.outcome is Outcome.SENT


def test_a_loss_at_the_rollover_is_survived():
    terms, content = with_oack(windowsize=16, blksize=8), a_file(65_600 * 8)
    clean = Lan(a_sender(content, terms), Machine(terms), lambda _: [HOP_S])
    clean.run(most_datagrams=200_000)
    around = range(clean.carried - 100, clean.carried - 60)

    lan = Lan(a_sender(content, terms), Machine(terms), lambda n: [] if n in around and n % 7 == 0 else [HOP_S])
    lan.run(most_datagrams=200_000)

    assert lan.machine.content == content


class TestTheFirstAnswer:
    def test_settled_options_are_acknowledged_and_ack_0_starts_the_data(self):
        sender = a_sender(b"abc", Terms(1468, acknowledged={"blksize": "1468", "tsize": "3"}))

        assert sender.datagrams_to_send(0.0) == [b"\0\6blksize\x001468\0tsize\x003\0"]
        assert sender.datagrams_to_send(0.0) == []
        sender.receive_datagram(ack(0), 0.1)
        assert sender.datagrams_to_send(0.1) == [data(1, b"abc")]

    def test_without_options_data_1_comes_at_once(self):
        assert a_sender(b"abc", Terms()).datagrams_to_send(0.0) == [data(1, b"abc")]

    @pytest.mark.parametrize(
        "stray", [ack(1), ack(65535), b"\0\4\0", b"\0\5\0", b"", data(1), b"\0\6", b"\0\1a\0octet\0"]
    )
    def test_nothing_but_ack_0_starts_the_data(self, stray):
        sender = a_sender(b"abc", with_oack())
        sender.datagrams_to_send(0.0)

        sender.receive_datagram(stray, 0.1)

        assert sender.datagrams_to_send(0.1) == []
        assert sender.deadline() == 1.0

    def test_a_repeated_request_gets_the_first_answer_again(self):
        for terms in (with_oack(), Terms()):
            sender = a_sender(b"abc", terms)
            first = sender.datagrams_to_send(0.0)

            sender.repeat_first_answer()

            assert sender.datagrams_to_send(0.5) == first

    def test_a_repeated_request_in_mid_transfer_gets_nothing(self):
        sender = a_sender(a_file(2000), Terms())
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(1), 0.0)
        sender.datagrams_to_send(0.0)

        sender.repeat_first_answer()

        assert sender.datagrams_to_send(0.1) == []


class TestAcks:
    @pytest.fixture
    def sender(self):
        sender = a_sender(a_file(20 * 512), with_oack(windowsize=4))
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(0), 0.0)
        assert numbers(sender.datagrams_to_send(0.0)) == [1, 2, 3, 4]
        return sender

    def test_the_end_of_a_window_brings_the_next(self, sender):
        sender.receive_datagram(ack(4), 0.0)

        assert numbers(sender.datagrams_to_send(0.0)) == [5, 6, 7, 8]

    def test_an_ack_inside_a_window_restarts_behind_it_once(self, sender):
        sender.receive_datagram(ack(2), 0.0)
        restarted = sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(2), 0.0)

        assert numbers(restarted) == [3, 4, 5, 6]
        assert sender.datagrams_to_send(0.0) == []
        assert sender.retransmissions == 2

    @pytest.mark.parametrize("number", [0, 3, 4, 9, 65535])
    def test_repeated_older_and_unsent_numbers_get_nothing(self, sender, number):
        sender.receive_datagram(ack(4), 0.0)
        sender.datagrams_to_send(0.0)

        sender.receive_datagram(ack(number), 0.0)

        assert sender.datagrams_to_send(0.0) == []

    def test_the_last_ack_ends_it(self, sender):
        for number in (4, 8, 12, 16, 20, 21):
            sender.receive_datagram(ack(number), 0.0)
            sender.datagrams_to_send(0.0)

        assert (sender.outcome, sender.deadline(), sender.bytes_sent) == (Outcome.SENT, None, 20 * 512)


def numbers(datagrams):
    return [struct.unpack("!HH", datagram[:4])[1] for datagram in datagrams]


def resend_times(sender, now=0.0):
    times = []
    while (deadline := sender.deadline()) is not None:
        sender.handle_deadline(deadline)
        if sender.datagrams_to_send(deadline):
            times.append(round(deadline - now, 3))
        now = deadline
    return times


class TestDrops:
    def test_before_the_first_ack_there_are_few_tries(self):
        sender = a_sender(b"abc", with_oack())
        sender.datagrams_to_send(0.0)

        assert resend_times(sender) == [1.0, 2.0]
        assert (sender.outcome, sender.bytes_sent) == (Outcome.UNANSWERED, 0)

    def test_waits_double_to_eight_seconds_and_end_after_six_tries(self):
        sender = a_sender(a_file(2000), Terms())
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(1), 0.0)
        sender.datagrams_to_send(0.0)

        assert resend_times(sender) == [1.0, 2.0, 4.0, 8.0, 8.0]
        assert (sender.outcome, sender.block) == (Outcome.TIMED_OUT, 1)

    @pytest.mark.parametrize(("requested", "expected"), [(3, [3, 6, 8, 8, 8]), (20, [20, 20, 20, 20, 20])])
    def test_a_settled_timeout_holds(self, requested, expected):
        sender = a_sender(a_file(2000), with_oack(timeout_s=requested))
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(0), 0.0)
        sender.datagrams_to_send(0.0)

        assert resend_times(sender) == expected

    def test_a_lost_final_ack_is_unconfirmed_and_not_failed(self):
        sender = a_sender(b"abc", with_oack())
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(0), 0.0)
        sender.datagrams_to_send(0.0)

        resend_times(sender)

        assert (sender.outcome, sender.bytes_sent) == (Outcome.UNCONFIRMED, 3)

    def test_nothing_is_resent_before_its_time(self):
        sender = a_sender(b"abc", Terms())
        sender.datagrams_to_send(0.0)

        sender.handle_deadline(0.999)

        assert sender.datagrams_to_send(0.999) == []

    def test_an_ack_ends_the_doubling(self):
        sender = a_sender(a_file(2000), Terms())
        sender.datagrams_to_send(0.0)
        sender.receive_datagram(ack(1), 0.0)
        sender.datagrams_to_send(0.0)
        for at in (1.0, 3.0):
            sender.handle_deadline(at)
            sender.datagrams_to_send(at)

        sender.receive_datagram(ack(2), 3.5)
        sender.datagrams_to_send(3.5)

        assert sender.deadline() == 4.5


class TestAdaptiveRetransmission:
    def after_round_trips(self, trips, round_trip_s):
        sender = a_sender(a_file(512 * 100), Terms())
        now = 0.0
        for block in range(1, trips + 1):
            sender.datagrams_to_send(now)
            now += round_trip_s
            sender.receive_datagram(ack(block), now)
        sender.datagrams_to_send(now)
        return sender.deadline() - now

    def test_a_few_quick_round_trips_change_nothing(self):
        assert self.after_round_trips(10, 0.001) == pytest.approx(1.0)

    def test_many_quick_ones_bring_the_resend_forward(self):
        assert self.after_round_trips(20, 0.001) == pytest.approx(0.2)

    def test_the_resend_follows_the_round_trip(self):
        assert 0.4 <= self.after_round_trips(60, 0.4) <= 0.5

    def test_a_slow_line_gets_more_than_a_second_from_its_first_answer_on(self):
        assert self.after_round_trips(1, 0.9) == pytest.approx(0.9 + 4 * 0.45)

    def test_a_resent_block_is_no_measure_of_the_round_trip(self):
        sender = a_sender(a_file(2000), Terms())
        sender.datagrams_to_send(0.0)
        sender.handle_deadline(1.0)
        sender.datagrams_to_send(1.0)

        sender.receive_datagram(ack(1), 1.9)
        sender.datagrams_to_send(1.9)

        assert sender.deadline() == pytest.approx(2.9)


@pytest.mark.parametrize(
    ("code", "acked", "expected"),
    [
        pytest.param(8, [], Outcome.PROBED, id="edk2-ends-its-probe"),
        pytest.param(0, [], Outcome.PROBED, id="wanted-the-size-alone"),
        pytest.param(0, [0, 1], Outcome.CLOSED, id="grub-done-early"),
        pytest.param(3, [], Outcome.CLOSED, id="buffer-too-small"),
        pytest.param(3, [0, 1], Outcome.CLOSED, id="buffer-full"),
        pytest.param(4, [], Outcome.REFUSED_BY_PEER, id="oack-not-understood"),
        pytest.param(4711, [0], Outcome.REFUSED_BY_PEER, id="code-of-no-rfc"),
    ],
)
def test_an_error_of_the_machine_ends_the_transfer_without_a_reply(code, acked, expected):
    sender = a_sender(a_file(2000), with_oack())
    sender.datagrams_to_send(0.0)
    for number in acked:
        sender.receive_datagram(ack(number), 0.0)
        sender.datagrams_to_send(0.0)

    sender.receive_datagram(error(code, b"so be it"), 0.0)

    assert (sender.outcome, sender.datagrams_to_send(0.0), sender.deadline()) == (expected, [], None)
    assert (sender.peer_error.code, sender.peer_error.message) == (code, "so be it")


def test_what_comes_after_the_end_changes_nothing():
    sender = a_sender(b"abc", Terms())
    sender.datagrams_to_send(0.0)
    sender.receive_datagram(ack(1), 0.0)

    for late in (ack(1), ack(0), error(8), data(1)):
        sender.receive_datagram(late, 1.0)
    sender.handle_deadline(9.0)
    sender.end(Outcome.STOPPED)

    assert (sender.outcome, sender.datagrams_to_send(9.0)) == (Outcome.SENT, [])


class TestAFileInPieces:
    SIZE = 3 * LOW_WATER_BYTES

    def read_by_pieces(self, windowsize, keeping_up):
        content, terms = a_file(self.SIZE), with_oack(blksize=1400, windowsize=windowsize)
        sender, machine = Sender(terms, len(content)), Machine(terms)
        requested, now = [], 0.0
        while sender.outcome is None:
            wanted = sender.wanted()
            sent = sender.datagrams_to_send(now)
            if wanted and (keeping_up or not sent):
                requested.append(wanted)
                sender.supply(wanted[0], content[wanted[0] : wanted[0] + wanted[1]])
            for datagram in sent:
                for answer in machine.receive(datagram):
                    sender.receive_datagram(answer, now)
        return bytes(machine.content) == content, sender, requested

    @pytest.mark.parametrize("windowsize", [1, 64])
    @pytest.mark.parametrize("keeping_up", [True, False], ids=["ahead", "only-when-it-stands-still"])
    def test_arrives_whole_without_a_resend(self, windowsize, keeping_up):
        is_whole, sender, requested = self.read_by_pieces(windowsize, keeping_up)

        assert is_whole
        assert sender.retransmissions == 0
        assert requested[0] == (0, self.SIZE)

    def test_no_deadline_runs_while_the_disk_is_waited_for(self):
        sender = Sender(Terms(), 10_000_000)

        assert (sender.datagrams_to_send(0.0), sender.deadline()) == ([], None)
        assert sender.wanted() == (0, 4 * LOW_WATER_BYTES)

    def test_the_next_piece_is_due_when_less_than_a_low_water_is_left(self):
        blksize = LOW_WATER_BYTES // 64
        sender = Sender(Terms(blksize=blksize), 10 * LOW_WATER_BYTES)
        sender.supply(0, bytes(4 * LOW_WATER_BYTES))
        due = []

        for block in range(1, 195):
            sender.datagrams_to_send(0.0)
            sender.receive_datagram(ack(block), 0.0)
            due.append(sender.wanted())

        assert due == [None] * 192 + [(193 * blksize, 4 * LOW_WATER_BYTES), (194 * blksize, 4 * LOW_WATER_BYTES)]

    def test_a_file_that_cannot_be_read_ends_with_an_error(self):
        sender = Sender(Terms(), 10_000_000)

        sender.fail("the file can no longer be read")

        assert sender.datagrams_to_send(0.0) == [b"\0\5\0\0the file can no longer be read\0"]
        assert (sender.outcome, sender.datagrams_to_send(1.0)) == (Outcome.UNREADABLE, [])


def test_the_size_is_that_of_the_file_however_much_of_it_is_supplied_or_sent():
    sender = Sender(Terms(), 1200)
    sender.supply(0, a_file(1200)[:600])

    before = sender.size_bytes, sender.bytes_sent
    sender.datagrams_to_send(0.0)
    sender.receive_datagram(ack(1), 0.1)

    assert before == (1200, 0)
    assert (sender.size_bytes, sender.bytes_sent) == (1200, 512)
