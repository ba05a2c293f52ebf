"""A lab that is killed leaves nothing that runs, and the next one removes the rest."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from pyroute2 import netns

from netboot.lab.lab import remove_remains
from netboot.lab.media.stand_ins import cache_directory
from netboot.lab.records import Records, work_directory

pytestmark = pytest.mark.e2e

ISOLATED = str(Path(__file__).resolve().parents[2] / ".ci" / "isolated")
UP_S = 120.0  # the media may have to be built first


async def netboot(*words: str, isolated: bool = False) -> Process:
    """Start a command that ends with this process."""
    command = ["setpriv", "--pdeathsig", "KILL", *([ISOLATED] if isolated else []), sys.executable, "-m", "netboot"]
    return await asyncio.create_subprocess_exec(*command, *words, stdin=DEVNULL, stdout=PIPE)


@asynccontextmanager
async def a_lab_that_is_up(name: str, *, isolated: bool = False) -> AsyncIterator[Process]:
    """Start a lab; end and remove it at the end of the block, also if the test fails there."""
    lab = await netboot("lab", "up", "--name", name, "--json", isolated=isolated)
    assert lab.stdout is not None
    try:
        async with asyncio.timeout(UP_S):
            json.loads(await lab.stdout.readline())
        yield lab
    finally:
        if lab.returncode is None:
            lab.kill()
        await lab.communicate()
        for namespace in namespaces(name):
            await asyncio.to_thread(wait_until_empty, namespace)
        await asyncio.to_thread(remove_remains)


def namespaces(name: str) -> list[str]:
    return [namespace for namespace in netns.listnetns() if namespace.startswith(f"nblab-{name}-")]


def processes_in(namespace: str) -> list[str]:
    """Name the processes whose network is this namespace; none if it was removed meanwhile."""
    try:
        inode = Path("/run/netns", namespace).stat().st_ino
    except FileNotFoundError:
        return []
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "ns/net").stat().st_ino == inode:
                found.append((process / "comm").read_text().strip().rstrip("0123456789."))
    return found


def wait_until_empty(namespace: str) -> None:
    deadline = time.monotonic() + 10
    while found := processes_in(namespace):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


async def test_a_killed_lab_takes_its_processes_along_and_the_next_command_removes_the_rest():
    async with a_lab_that_is_up("killed") as lab:
        records = Records("killed")
        work = records.work
        assert [processes_in(f"nblab-killed-{part}") for part in ("dhcp", "lan")] == [["dnsmasq"], ["python"]]

        lab.kill()
        await lab.communicate()
        for namespace in namespaces("killed"):
            await asyncio.to_thread(wait_until_empty, namespace)
        await (await netboot("lab", "down", "--name", "killed")).communicate()  # or a lab that started just now

        assert namespaces("killed") == []
        assert not work.exists()
        assert not records.directory.exists()


async def fail_while_a_lab_is_up() -> None:
    async with a_lab_that_is_up("failed"):
        assert namespaces("failed") != []
        raise AssertionError("a wrong process name")


async def test_a_test_that_fails_while_its_lab_is_up_leaves_nothing():
    with pytest.raises(AssertionError, match="a wrong process name"):
        await fail_while_a_lab_is_up()

    assert namespaces("failed") == []
    assert not Records("failed").directory.exists()


async def test_down_ends_a_running_lab_and_leaves_nothing():
    async with a_lab_that_is_up("ended") as lab:
        assert namespaces("ended") != []

        down = await netboot("lab", "down", "--name", "ended")
        await down.communicate()

        assert (down.returncode, await lab.wait()) == (0, 128 + signal.SIGTERM)
        assert namespaces("ended") == []
        assert not Records("ended").directory.exists()


async def test_a_lab_that_is_killed_with_its_namespaces_leaves_nothing_that_the_next_one_meets():
    for _ in range(2):  # as in a test run that is killed, and in the next
        async with a_lab_that_is_up("again", isolated=True) as lab:
            lab.kill()

    labs, deadline = cache_directory() / "labs", time.monotonic() + 10
    while list(labs.glob("again-*")):
        assert time.monotonic() < deadline
        with work_directory(labs, "next"):
            await asyncio.sleep(0.1)
