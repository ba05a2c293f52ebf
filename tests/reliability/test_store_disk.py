"""The store's own disk, under a daemon that runs: it becomes read-only, or takes seconds to write."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import HOSTS, SETTINGS, write_files
from fixtures.rack import Rack, running
from reliability.faults import Faulted, answered_by_strace
from reliability.sound_files import faults_of_store

pytestmark = pytest.mark.integration

ON_A_DISK = SETTINGS.replace("sqlite+aiosqlite:///netboot.db", "sqlite+aiosqlite:///store/netboot.db")
WRITES = "pwrite64,pwritev,write,ftruncate,fallocate,fsync,fdatasync"
SYNCS = "fsync,fdatasync"
SLOW_S = 3
HANGING_S = 9  # longer than any request waits for the store


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    hosts = f"{HOSTS}  w2: {{role: worker, mac: 52:54:00:12:34:57}}\n"
    with running(write_files(tmp_path, hosts=hosts)) as rack:
        rack.netboot("install", "arm", "cp1")
        yield rack


def files_of(rack: Rack) -> list[Path]:
    """List the files that SQLite writes."""
    return [rack.directory / f"netboot.db{suffix}" for suffix in ("", "-wal", "-shm")]


@dataclass
class LoopDisk:
    """An ext4 file system in a file, which the kernel makes read-only after an error."""

    image: Path
    place: Path

    def mount(self) -> None:
        """Mount it; its loop device ends with its mount."""
        command = ["mount", "-o", "loop,errors=remount-ro", self.image, self.place]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if "failed to setup loop device" in done.stderr:
            pytest.skip("no loop device can be used here")
        assert done.returncode == 0, done.stderr

    @property
    def _device(self) -> str:
        mounts = Path("/proc/mounts").read_text().splitlines()
        return Path(next(line.split()[0] for line in mounts if str(self.place) in line)).name

    def fail(self) -> None:
        """Let the kernel find an error of the file system, as its driver has for tests."""
        with suppress(OSError):  # the file system is read-only then, also for this
            Path(f"/sys/fs/ext4/{self._device}/trigger_fs_error").write_text("of a test")

    def repair(self) -> None:
        """Unmount it, let fsck repair it, and mount it again, once no other mount namespace has it mounted."""
        state = Path(f"/sys/fs/ext4/{self._device}")
        subprocess.run(["umount", self.place], check=True, timeout=20)
        wait_until(lambda: not state.exists() or None, failed=lambda: f"{state} is still there")
        done = subprocess.run(["e2fsck", "-fy", self.image], capture_output=True, timeout=60, check=False)
        assert done.returncode in (0, 1), done.stdout  # 1: errors were corrected
        self.mount()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    found = LoopDisk(tmp_path / "image", tmp_path / "store")
    found.place.mkdir()
    with found.image.open("wb") as image:
        image.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", found.image], check=True, timeout=60)
    found.mount()
    try:
        yield found
    finally:
        subprocess.run(["umount", "--lazy", found.place], check=False, timeout=20)


def test_a_disk_that_the_kernel_makes_read_only_after_an_error(tmp_path: Path, disk: LoopDisk):
    with running(write_files(tmp_path, settings=ON_A_DISK)) as rack:
        rack.netboot("install", "arm", "cp1")
        faulted = Faulted(rack)
        faulted.begin()
        disk.fail()
        refused = rack.netboot("install", "arm", "w1", status=1)
        event = faulted.shows("store", "the store")
        faulted.serves_what_needs_no_write()
        faulted.serves_no_installer()
        faulted.is_alive_and_quiet()
        rack.kill()
        disk.repair()
        sound = faults_of_store(disk.place / "netboot.db", tmp_path / "scratch")
        rack.start()

        assert re.search("check its disk: dmesg|mount its file system writable", refused)
        assert re.search("check its disk: dmesg|mount its file system writable", event["reason"])
        assert sound == []
        assert [rack.install(host)["arming"] is not None for host in ("cp1", "w1")] == [True, False]
        Faulted(rack).serves_the_installer()


def test_a_disk_that_becomes_read_only_stops_writes_only_and_is_named_with_its_cure(rack: Rack):
    faulted = Faulted(rack)
    faulted.begin()
    with answered_by_strace(rack.pid, files_of(rack), calls=WRITES, answer="error=EROFS"):
        refused = rack.netboot("install", "arm", "w1", status=1)
        event = faulted.shows("store", "check its disk: dmesg")
        faulted.serves_what_needs_no_write()
        script = faulted.serves_no_installer()
        faulted.is_alive_and_quiet()

    assert "check its disk: dmesg" in refused
    assert "check its disk: dmesg" in event["reason"]
    assert "store" in script
    faulted.has_recovered("store")
    assert rack.install("w1")["arming"] is None
    faulted.serves_the_installer()
    rack.netboot("install", "arm", "w1")
    rack.kill()
    assert faults_of_store(files_of(rack)[0], rack.directory / "scratch") == []
    rack.start()
    assert rack.install("w1")["arming"] is not None


def test_a_disk_that_takes_seconds_to_write_delays_installers_only_and_is_shown(rack: Rack):
    faulted = Faulted(rack)
    faulted.begin()
    with answered_by_strace(rack.pid, files_of(rack), calls=SYNCS, answer=f"delay_enter={SLOW_S}s"):
        arming = threading.Thread(target=rack.netboot, args=("install", "arm", "w2"))
        arming.start()
        while arming.is_alive():  # offers, files and scripts of other hosts do not wait for it
            faulted.serves_what_needs_no_write()
        event = faulted.shows("store", "the store is slow: a transaction took")
        faulted.serves_the_installer()
        faulted.is_alive_and_quiet()

    assert "check the load of its disk" in event["reason"]
    assert rack.install("w2")["arming"] is not None
    faulted.has_recovered("store")
    faulted.is_alive_and_quiet()


def test_a_disk_that_hangs_is_a_store_that_does_not_answer_and_what_was_acknowledged_is_kept(rack: Rack):
    faulted = Faulted(rack)
    faulted.begin()
    with answered_by_strace(rack.pid, files_of(rack), calls=SYNCS, answer=f"delay_enter={HANGING_S}s"):
        refused = rack.netboot("install", "arm", "w2", status=1)  # which may be done nevertheless, later
        event = faulted.shows("store", "the store did not answer within")
        faulted.serves_what_needs_no_write()
        faulted.serves_no_installer()
        faulted.is_alive_and_quiet()

    assert "check the load of its disk" in refused
    assert "check the load of its disk" in event["reason"]
    faulted.has_recovered("store")
    faulted.serves_the_installer()
    rack.netboot("install", "arm", "w1")
    rack.kill()
    assert faults_of_store(files_of(rack)[0], rack.directory / "scratch") == []
