"""Damaged files of releases are out of service until they are sound again: with their twins, deltas and messages."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from operate.test_scrubbing import NOW, Events, running, until
from structlog.testing import capture_logs

from netboot.content.library.disk import sha256
from netboot.content.library.library import Library
from netboot.content.ostree.deltas import DIGESTS
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.errors import ContentError
from netboot.operate.content import scrubbing as module
from netboot.operate.content.scrubbing import Scrubbing
from netboot.telemetry.health import PartState

OCK, TWIN = "ock-1.31-amd64", "twin"


@dataclass
class Scrubbed:
    """A library whose release has a twin of the same files, and its scrub."""

    directory: Path
    events: Events = field(default_factory=Events)
    withheld: WithheldFiles = field(default_factory=WithheldFiles)
    repaired: list[str] = field(default_factory=list)
    rescanned: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def rescan(entry: object) -> None:
            self.rescanned.append(entry)

        self.scrubbing = Scrubbing(
            Library(self.directory),
            self.withheld,
            days=0,
            rate=0,
            events=self.events,  # type: ignore[arg-type]  # it is emitted to only
            now=lambda: NOW,
            on_repair=lambda: self.repaired.append("made again"),
            rescan=rescan,
        )

    @property
    def release(self) -> Path:
        return self.directory / "ostree" / OCK

    @property
    def damaged(self) -> list[tuple[str, str]]:
        return [(file.owner, file.member) for file in self.scrubbing.damaged()]

    def named(self, name: str) -> list[tuple[str, str]]:
        return [(data["content"], data["file"]) for each, data in self.events.emitted if each == name]

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def inside() -> None:
            async with running(self.scrubbing):
                await scenario()

        asyncio.run(inside())

    async def round(self) -> None:
        self.events.ended.clear()
        self.scrubbing.request()
        await self.events.ended.wait()


@pytest.fixture
def scrubbed(content: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scrubbed:
    monkeypatch.setattr(module, "START_S", 0.01)
    own = Path(shutil.copytree(content, tmp_path / "own", symlinks=True))
    shutil.rmtree(own / "media")
    return Scrubbed(own)


def test_a_damaged_object_is_withheld_in_each_release_that_has_the_file_until_it_is_repaired(scrubbed: Scrubbed):
    shutil.copytree(scrubbed.release, scrubbed.directory / "ostree" / TWIN, copy_function=os.link)
    [file, *_] = sorted((scrubbed.release / "objects").rglob("*.filez"))
    member, sound = str(file.relative_to(scrubbed.release)), file.read_bytes()
    file.write_bytes(b"damaged")

    async def scenario() -> None:
        await scrubbed.round()
        both = [(OCK, member), (TWIN, member)]
        assert (scrubbed.damaged, scrubbed.named("content.damaged")) == (both, both)
        assert [(part.name, part.state) for part in scrubbed.scrubbing.parts()] == [
            (OCK, PartState.DEGRADED),
            (TWIN, PartState.DEGRADED),
        ]
        assert [problem.partition(" is damaged and not served: ")[1] != "" for problem in scrubbed.scrubbing.problems()]
        assert [reading.value for reading in scrubbed.scrubbing.readings()] == [2, NOW.timestamp()]
        progress = scrubbed.scrubbing.progress()
        assert (progress.is_running, progress.ended_at, len(progress.damaged)) == (False, NOW, 2)

        file.write_bytes(sound)
        scrubbed.scrubbing.content_changed()
        await until(lambda: len(scrubbed.named("content.repaired")) == 2)
        assert (scrubbed.damaged, scrubbed.scrubbing.parts()) == ([], [])

    scrubbed.run(scenario)


def test_what_is_removed_while_it_is_withheld_is_no_damage(scrubbed: Scrubbed):
    [file, *_] = sorted((scrubbed.release / "objects").rglob("*.filez"))
    file.write_bytes(b"damaged")

    async def scenario() -> None:
        await scrubbed.round()
        assert len(scrubbed.damaged) == 1
        shutil.rmtree(scrubbed.release)
        scrubbed.scrubbing.content_changed()
        await until(lambda: scrubbed.damaged == [])

    scrubbed.run(scenario)


def test_a_delta_with_a_damaged_part_is_withheld_with_its_superblock_removed_and_made_again(scrubbed: Scrubbed):
    command = ["ostree", "static-delta", "generate", "--empty", "--to=ock", f"--repo={scrubbed.release}"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    files = [file for file in (scrubbed.release / "deltas").rglob("*") if file.is_file()]
    digests = {str(file.relative_to(scrubbed.release)): sha256(file) for file in files}
    (scrubbed.release / DIGESTS).write_text(json.dumps(digests))
    [part] = [file for file in files if file.name == "0"]
    part.write_bytes(b"damaged")

    async def scenario() -> None:
        await scrubbed.round()

    scrubbed.run(scenario)

    members = {member.rpartition("/")[2] for _, member in scrubbed.named("content.damaged")}
    assert members == {"0", "superblock"}
    assert (scrubbed.damaged, scrubbed.repaired) == ([], ["made again"])
    assert not part.exists()


def test_a_library_that_cannot_be_read_ends_the_round_with_a_warning_and_the_next_one_is_tried(
    scrubbed: Scrubbed, monkeypatch: pytest.MonkeyPatch
):
    units, faults = module.scrub_units, [ContentError("cannot read it")]

    def fails_once(*arguments: Any, **options: Any) -> Any:
        if faults:
            raise faults.pop()
        return units(*arguments, **options)

    monkeypatch.setattr(module, "scrub_units", fails_once)

    async def scenario() -> None:
        await scrubbed.round()

    with capture_logs() as logs:
        scrubbed.run(scenario)

    assert [(each["event"], each["reason"]) for each in logs] == [("content.scrub_failed", "cannot read it")]
    assert [name for name, _ in scrubbed.events.emitted] == ["content.scrubbed"]


def test_a_library_that_is_changed_now_is_repaired_later(scrubbed: Scrubbed):
    [file, *_] = sorted((scrubbed.release / "objects").rglob("*.filez"))
    file.write_bytes(b"damaged")

    async def scenario() -> None:
        with Library(scrubbed.directory).changing():
            await scrubbed.round()

    with capture_logs() as logs:
        scrubbed.run(scenario)

    assert "content.not_repaired" in {each["event"] for each in logs}
    assert len(scrubbed.damaged) == 1


def test_of_many_damaged_files_the_first_are_named_with_the_number_of_the_others(scrubbed: Scrubbed):
    files = sorted((scrubbed.release / "objects").rglob("*.filez"))
    for file in files:
        file.write_bytes(b"damaged")

    async def scenario() -> None:
        await scrubbed.round()

    scrubbed.run(scenario)

    assert len(scrubbed.damaged) == len(files) > 5
    assert scrubbed.scrubbing.problems()[5:] == [f"{len(files) - 5} more damaged files are not served"]
