"""A serial line is searched as it comes, in pieces, with terminal codes in it."""

import asyncio

import pytest

from netboot.errors import LabError
from netboot.lab.machines.console import Console

OVMF_BANNER = b"\x1b[2J\x1b[01;01H\x1b[=3h>>Start PXE over IPv4."


def test_terminal_codes_are_taken_off():
    console = Console("cp1")

    console.feed(OVMF_BANNER + b"\r\n  Station IP address is \x1b[0m\x1b[37m192.0.2.100\r\n")

    assert console.text == ">>Start PXE over IPv4.\n  Station IP address is 192.0.2.100\n"


@pytest.mark.parametrize("cut", range(len(OVMF_BANNER)))
def test_a_code_cut_in_two_by_the_pipe_is_still_one(cut):
    console = Console("cp1")

    console.feed(OVMF_BANNER[:cut])
    console.feed(OVMF_BANNER[cut:])

    assert console.text == ">>Start PXE over IPv4."


def test_waiting_ends_with_the_marker_that_came_first_even_in_an_unfinished_line():
    async def wait() -> str:
        console = Console("cp1")
        waiting = asyncio.create_task(console.wait_for("ready", "emergency", timeout_s=10))
        await asyncio.sleep(0)
        console.feed(b"netboot-lab: emer")
        console.feed(b"gency: no root, never ready")
        return await waiting

    assert asyncio.run(wait()) == "emergency"


def test_a_marker_said_before_anyone_waited_is_found():
    async def wait() -> str:
        console = Console("cp1")
        console.feed(b"netboot-lab: ready cp1\n")
        return await console.wait_for("netboot-lab: ready", timeout_s=10)

    assert asyncio.run(wait()) == "netboot-lab: ready"


def test_a_marker_is_found_again_behind_its_first_place():
    async def wait() -> str:
        console = Console("cp1")
        console.feed(b"cp1 waits\n")
        waiting = asyncio.create_task(console.wait_for("waits", timeout_s=10, after=console.text.index("waits") + 1))
        await asyncio.sleep(0)
        assert not waiting.done()
        console.feed(b"cp1 waits\n")
        return await waiting

    assert asyncio.run(wait()) == "waits"


def test_a_machine_that_goes_off_ends_the_wait_with_its_last_lines():
    async def wait() -> str:
        console = Console("cp1")
        console.feed(b"first\r\n\r\nlast\r\n")
        console.close()
        return await console.wait_for("ready", timeout_s=10)

    with pytest.raises(LabError) as failure:
        asyncio.run(wait())

    assert str(failure.value) == "cp1 did not print 'ready' before it was switched off; its console ends:\nfirst\nlast"


def test_a_machine_that_says_nothing_is_named_after_the_time_limit():
    async def wait() -> str:
        return await Console("cp1").wait_for("ready", "failed", timeout_s=0)

    with pytest.raises(LabError, match="cp1 did not print 'ready' or 'failed' within 0 s"):
        asyncio.run(wait())
