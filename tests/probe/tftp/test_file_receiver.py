"""What each client does with each reply, packet by packet."""

import os

import pytest
from fixtures.packets import vector

from netboot.probe.tftp.file_receiver import (
    FileReceiver,
    TransferEnding,
    TransferOutcome,
    acknowledgement,
    error_packet,
)
from netboot.probe.tftp.tftp_rules import BIOS_ROM, BIOS_ROM_PROBE, EDK2, EDK2_PROBE, GRUB, IPXE, SHIM, U_BOOT


def receiver(rules, **arguments):
    received = bytearray()
    made = FileReceiver(rules, "snponly.efi", received.extend, **arguments)
    return made, received


def oack(**options):
    return b"\0\6" + b"".join(f"{name}\0{value}\0".encode() for name, value in options.items())


def data(block, content):
    return b"\0\3" + (block % 65536).to_bytes(2, "big") + content


def error(code, text):
    return b"\0\5" + code.to_bytes(2, "big") + text.encode() + b"\0"


def test_the_probe_of_edk2_is_the_captured_one():
    assert receiver(EDK2_PROBE)[0].request == vector("lab-ovmf-pxe-probe")


@pytest.mark.parametrize(("capture", "tail"), [("rrq-tail-ff", b"\xff"), ("rrq-tail-82", b"\x52\x06")])
def test_the_first_request_of_a_rom_is_the_captured_one_whatever_follows_the_name(capture, tail):
    name = os.fsdecode(b"snponly.efi" + tail)

    assert FileReceiver(BIOS_ROM_PROBE, name, bytearray().extend).request == vector(capture)


@pytest.mark.parametrize(
    ("rules", "options"),
    [
        (EDK2, b"blksize\x001468\0windowsize\x004\0"),
        (BIOS_ROM_PROBE, b"tsize\x000\0"),
        (BIOS_ROM, b"blksize\x001456\0"),
        (IPXE, b"blksize\x001432\0tsize\x000\0"),
        (GRUB, b"blksize\x001024\0tsize\x000\0"),
        (U_BOOT, b"timeout\x005\0tsize\x000\0blksize\x001468\0"),
        (SHIM, b"blksize\x00512\0windowsize\x004\0"),
    ],
    ids=lambda value: getattr(value, "client", ""),
)
def test_each_client_requests_its_own_options(rules, options):
    assert receiver(rules)[0].request == b"\0\1snponly.efi\0octet\0" + options


def test_the_probe_ends_with_error_8_and_the_size():
    probe, _ = receiver(EDK2_PROBE)

    sent = probe.receive(oack(tsize=173792, blksize=1468, windowsize=4))

    assert sent == [error_packet(8, "User aborted the transfer")]
    assert probe.outcome == TransferOutcome(TransferEnding.SIZE_READ, 173792)


def test_a_window_is_acknowledged_once_and_the_end_at_once():
    edk2, received = receiver(EDK2)

    replies = [edk2.receive(oack(blksize=1468, windowsize=4))]
    replies += [edk2.receive(data(block, bytes(1468))) for block in range(1, 6)]
    replies += [edk2.receive(data(6, b"end"))]

    assert replies == [[acknowledgement(0)], [], [], [], [acknowledgement(4)], [], [acknowledgement(6)]]
    assert len(received) == 5 * 1468 + 3
    assert edk2.outcome == TransferOutcome(TransferEnding.COMPLETE, 5 * 1468 + 3)


def test_a_file_of_whole_blocks_ends_with_an_empty_one():
    rom, received = receiver(BIOS_ROM)

    rom.receive(oack(blksize=1456))
    rom.receive(data(1, bytes(1456)))
    assert rom.outcome is None
    rom.receive(data(2, b""))

    assert rom.outcome == TransferOutcome(TransferEnding.COMPLETE, 1456)
    assert len(received) == 1456


def test_a_server_without_options_sends_blocks_of_512_bytes():
    edk2, received = receiver(EDK2)

    assert edk2.receive(data(1, bytes(512))) == [acknowledgement(1)]
    assert edk2.receive(data(2, bytes(10))) == [acknowledgement(2)]

    assert len(received) == 522


def test_block_numbers_roll_over_to_0():
    client, received = receiver(IPXE)
    client.receive(oack(blksize=8, tsize=524_291))

    for block in range(1, 65537):
        client.receive(data(block, b"12345678"))
    assert client.receive(data(65537, b"end")) == [acknowledgement(65537)]

    assert client.outcome is not None
    assert client.outcome.ending is TransferEnding.COMPLETE
    assert len(received) == 65536 * 8 + 3


@pytest.mark.parametrize(
    ("rules", "reply", "ending", "detail"),
    [
        (EDK2, oack(blksize=1468, tsize=9), TransferEnding.WRONG_OACK, "tsize, which was not requested"),
        (EDK2, oack(blksize=1469), TransferEnding.WRONG_OACK, "blksize 1469, larger than 1468"),
        (EDK2, oack(windowsize=5), TransferEnding.WRONG_OACK, "windowsize 5, larger than 4"),
        (U_BOOT, oack(timeout=6), TransferEnding.WRONG_OACK, "timeout 6 instead of 5"),
        (IPXE, oack(blksize=1433), TransferEnding.WRONG_OACK, "blksize 1433"),
        (IPXE, oack(blksize=0), TransferEnding.WRONG_OACK, "size of 0"),
        (GRUB, oack(blksize="x"), TransferEnding.WRONG_OACK, "blksize with the value 'x'"),
        (EDK2, b"\0\6blksize\0", TransferEnding.WRONG_OACK, "without a value"),
        (EDK2, b"\0\6blksize", TransferEnding.WRONG_OACK, "zero byte"),
        (EDK2_PROBE, oack(blksize=1468), TransferEnding.NO_SIZE, "no tsize"),
        (EDK2_PROBE, data(1, b"loader"), TransferEnding.NO_OACK, "DATA"),
        (GRUB, data(1, b"config"), TransferEnding.NO_OACK, "DATA"),
        (EDK2, error(1, "File not found"), TransferEnding.REFUSED, "File not found"),
    ],
)
def test_a_reply_that_ends_the_transfer(rules, reply, ending, detail):
    client, received = receiver(rules)

    client.receive(reply)

    assert client.outcome is not None
    assert client.outcome.ending is ending
    assert detail in client.outcome.detail
    assert received == b""
    assert client.receive(data(1, b"late")) == []


def test_an_option_that_was_not_requested_stops_only_edk2():
    for rules in (IPXE, GRUB, U_BOOT, BIOS_ROM):
        client, _ = receiver(rules)
        assert client.receive(oack(windowsize=4)) == [acknowledgement(0)]


def test_a_repeated_block_is_acknowledged_as_each_client_does():
    replies = {}
    for rules in (EDK2, IPXE, GRUB, U_BOOT):
        client, _ = receiver(rules)
        client.receive(oack(blksize=8) if rules in (EDK2, U_BOOT) else oack(blksize=8, tsize=99))
        for block in (1, 2, 3):
            client.receive(data(block, b"12345678"))
        replies[rules.client] = client.receive(data(2, b"12345678"))
        assert client.received_bytes == 24

    assert replies == {
        "EDK2": [acknowledgement(3)],
        "iPXE": [acknowledgement(3)],
        "GRUB": [acknowledgement(2)],  # also an older one: the Sorcerer's Apprentice, if the server repeats too
        "U-Boot": [],
    }


def test_a_later_block_is_kept_by_ipxe_alone():
    for rules, size_bytes in ((IPXE, 19), (GRUB, 8), (EDK2, 8)):
        client, received = receiver(rules)
        client.receive(oack(blksize=8) if rules is EDK2 else oack(blksize=8, tsize=19))
        client.receive(data(2, b"abcdefgh"))
        client.receive(data(3, b"end"))
        client.receive(data(1, b"12345678"))
        assert len(received) == size_bytes, rules.client


def test_a_lost_packet_is_repeated_until_the_tries_are_over():
    rom, _ = receiver(BIOS_ROM)

    assert [rom.expire() for _ in range(4)] == [[rom.request]] * 3 + [[]]

    assert rom.outcome == TransferOutcome(TransferEnding.NO_REPLY, detail="4 tries, 0 bytes received")


def test_the_last_acknowledgement_is_repeated_and_a_block_begins_a_new_count():
    rom, _ = receiver(BIOS_ROM)
    rom.receive(oack(blksize=8))

    assert [rom.expire() for _ in range(3)] == [[acknowledgement(0)]] * 3
    rom.receive(data(1, b"12345678"))
    assert [rom.expire() for _ in range(4)] == [[acknowledgement(1)]] * 3 + [[]]

    assert rom.outcome is not None
    assert rom.outcome.ending is TransferEnding.STALLED


def test_shim_ends_a_file_that_is_larger_than_its_buffer_with_error_3():
    shim, _ = receiver(SHIM)
    shim.receive(oack(blksize=512, windowsize=4))

    for block in range(1, 8193):
        shim.receive(data(block, bytes(512)))
    sent = shim.receive(data(8193, b"x"))

    assert sent == [error_packet(3, "User provided memory block is too small")]
    assert shim.outcome == TransferOutcome(TransferEnding.TOO_SMALL, (4 << 20) + 1)


def test_a_machine_that_is_switched_off_sends_nothing_any_more():
    client, _ = receiver(IPXE, aborts_at_bytes=10)
    client.receive(oack(blksize=8, tsize=20))

    assert client.receive(data(1, b"12345678")) == [acknowledgement(1)]
    assert client.receive(data(2, b"12345678")) == []

    assert client.outcome == TransferOutcome(TransferEnding.ABORTED, 20)


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\3\0", b"\0\7\0\0", b"\0\1a\0octet\0", b"\xff" * 600])
def test_other_packets_change_nothing(packet):
    client, received = receiver(EDK2)

    assert client.receive(packet) == []
    assert (client.outcome, received) == (None, b"")
