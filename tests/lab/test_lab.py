"""A lab without its media: the LAN, its DHCP server, the real daemon, and a machine's firmware."""

import asyncio
import json
import signal
import sys
import threading
import time
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from pathlib import Path

import pytest
from pyroute2 import netns

from netboot.content.assets import assets_directory
from netboot.errors import LabError
from netboot.lab.lab import Lab, remove_remains, running_lab
from netboot.lab.lab_hosts import BIOS1
from netboot.lab.lan.namespaces import Lan
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.media.stand_ins import MEDIUM, media_key
from netboot.lab.records import RUN_DIRECTORY, Records
from netboot.model.install.event import Step

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a cache whose media are an empty kernel and initrd: no machine of these tests reads them."""
    monkeypatch.setenv("NETBOOT_LAB_CACHE", str(tmp_path))
    medium = tmp_path / "media" / media_key(assets_directory() / "lab") / "media" / MEDIUM
    medium.mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img"):
        (medium / name).touch()
    return tmp_path


def lab_namespaces() -> list[str]:
    """List the namespaces of labs; a LAN that other tests share may exist beside them."""
    return sorted(name for name in netns.listnetns() if name.startswith("nblab-"))


def say(_line: str) -> None:
    """Take the progress of a build that does not happen."""


async def test_a_lab_runs_the_daemon_on_its_lan_and_removes_everything_at_its_end(cache: Path):
    async with running_lab((BIOS1,), say=say, name="one") as lab:
        assert lab_namespaces() == ["nblab-one-dhcp", "nblab-one-lan"]
        assert Records("one").is_running
        async with lab.appliance.control() as daemon:
            assert await daemon.last_event_id() >= 0
        with pytest.raises(LabError, match="the lab has no machine w9; it has bios1"):
            lab.guest("w9")

    assert_removed("one", cache)


class SlowLan(Lan):
    """A LAN that is being made when the lab is stopped."""

    begun, ended = threading.Event(), threading.Event()

    def create(self) -> None:
        self.begun.set()
        time.sleep(0.3)  # the lab is cancelled meanwhile
        super().create()
        self.ended.set()


async def test_a_lab_that_is_stopped_again_and_again_while_its_lan_is_made_removes_it(cache: Path):
    async def run() -> None:
        async with running_lab((BIOS1,), say=say, name="slow", lan_type=SlowLan):
            pass

    running = asyncio.create_task(run())
    assert await asyncio.to_thread(SlowLan.begun.wait, 30)
    async with asyncio.timeout(60):
        while not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=0.01)
    assert running.cancelled()

    assert await asyncio.to_thread(SlowLan.ended.wait, 30)
    assert_removed("slow", cache)


@pytest.mark.parametrize("again", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
async def test_a_lab_that_is_stopped_by_a_signal_again_and_again_removes_everything(
    cache: Path, first: signal.Signals, again: signal.Signals
):
    command = [sys.executable, "-m", "netboot", "lab", "up", "--name", "signals", "--json"]
    process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE)
    assert process.stdout is not None
    ended = asyncio.create_task(process.wait())
    try:
        async with asyncio.timeout(60):
            assert json.loads(await process.stdout.readline())["name"] == "signals"
            process.send_signal(first)
            while not ended.done():
                await asyncio.wait({ended}, timeout=0.05)
                with suppress(ProcessLookupError):
                    process.send_signal(again)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await ended

    assert_removed("signals", cache)


def assert_removed(name: str, cache: Path) -> None:
    assert lab_namespaces() == []
    assert list((cache / "labs").iterdir()) == []
    assert not (RUN_DIRECTORY / name).exists()


async def test_a_name_of_a_running_lab_is_refused_with_the_cure(cache: Path):
    async with running_lab((BIOS1,), say=say, name="one"):
        with pytest.raises(LabError, match="a lab named one is up already; end it with `netboot lab down`"):
            async with running_lab((BIOS1,), say=say, name="one"):
                pass

        assert Records("one").is_running


async def test_the_next_lab_removes_the_namespaces_and_records_of_a_killed_one(cache: Path):
    work = cache / "labs" / "killed-1"
    work.mkdir(parents=True)
    killed = Lab(Records.create("killed", work), (BIOS1,))
    try:
        await asyncio.to_thread(killed.lan.create)

        assert await asyncio.to_thread(remove_remains) == ("killed",)
    finally:
        await asyncio.to_thread(killed.lan.remove)

    assert lab_namespaces() == []
    assert not work.exists()


async def test_a_daemon_that_cannot_start_is_reported_with_its_log(cache: Path):
    work = cache / "labs" / "faulty-1"
    work.mkdir(parents=True)
    lab = Lab(Records.create("faulty", work), (BIOS1,))
    try:
        with pytest.raises(LabError, match=r"(?s)the appliance ended with 2 at its start:.*attempts"):
            await lab.start(next((cache / "media").iterdir()), attempts=-1)
    finally:
        await lab.stop()


async def test_a_machine_that_is_switched_off_stalls_and_its_console_and_step_are_reported(cache: Path):
    shown: list[tuple[str, Step]] = []
    async with running_lab((BIOS1,), say=say) as lab, lab.appliance.control() as daemon:
        guest = lab.guest("bios1")
        switched_off: list[asyncio.Task[None]] = []

        def switch_off_at_the_first_step(_timelines: object, step: object) -> None:
            if step is not None and not switched_off:
                shown.append((step.host, step.step))
                switched_off.append(asyncio.create_task(guest.power_off()))

        with pytest.raises(LabError, match=r"(?s)bios1 stalled at .*: it went off; its console ends:\n.*iPXE"):
            await boot_to_the_end(daemon, [guest], on_change=switch_off_at_the_first_step, limit_s=120)

        assert not guest.is_on
        assert (lab.work / "bios1" / "console-1.log").stat().st_size > 0
    assert shown == [("bios1", Step.OFFER)]  # of its ROM, which is an iPXE
