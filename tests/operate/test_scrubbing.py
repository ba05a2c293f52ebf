"""The scrub withholds what is damaged, and nothing that was imported anew or removed while a round runs."""

import asyncio
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netboot.content.library.disk import sha256
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.operate.content import scrubbing as module
from netboot.operate.content.scrub_process import ReadUnit, ScrubProcess
from netboot.operate.content.scrubbing import Scrubbing

NAMES = ("images/install.img", "initrd.img", "vmlinuz")
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Events:
    def __init__(self) -> None:
        self.emitted: list[tuple[str, Mapping[str, Any]]] = []
        self.ended = asyncio.Event()

    def emit(self, name: str, data: Mapping[str, Any], **_: object) -> None:
        self.emitted.append((name, data))
        if name == "content.scrubbed":
            self.ended.set()


def imported(medium: Path, version: str) -> None:
    """Put a medium there, in the place of the one before."""
    shutil.rmtree(medium, ignore_errors=True)
    for name in NAMES:
        (medium / name).parent.mkdir(parents=True, exist_ok=True)
        (medium / name).write_text(f"{name} of {version}")
    files = {name: sha256(medium / name) for name in NAMES}
    Record("a.iso", "", "2026-11-30T00:00:00+00:00", files=files).write(medium)


async def nothing(_entry: object) -> None:
    """Have nothing read again."""


def imported_anew(medium: Path) -> None:
    imported(medium, "v2")


def damaged(medium: Path) -> None:
    (medium / "vmlinuz").write_text("something else")


@pytest.mark.parametrize(
    ("change", "found"), [(imported_anew, []), (shutil.rmtree, []), (damaged, [("ol8", "vmlinuz")])]
)
def test_what_changes_while_a_round_runs_is_withheld_only_if_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], found: list[tuple[str, str]]
):
    monkeypatch.setattr(module, "START_S", 0.01)
    medium = tmp_path / "media/ol8"
    imported(medium, "v1")
    read, seen = ScrubProcess.read, list[Mapping[str, Any]]()

    async def read_after_a_change(self: ScrubProcess, request: Mapping[str, Any]) -> ReadUnit:
        if not seen:
            change(medium)
        seen.append(request)
        return await read(self, request)

    monkeypatch.setattr(ScrubProcess, "read", read_after_a_change)

    async def scenario() -> tuple[Events, WithheldFiles]:
        events, withheld = Events(), WithheldFiles()
        scrubbing = Scrubbing(
            Library(tmp_path),
            withheld,
            days=0,
            rate=0,
            events=events,  # type: ignore[arg-type]  # it is emitted to only
            now=lambda: NOW,
            on_repair=lambda: None,
            rescan=nothing,
        )
        scrubbing.request()
        running = asyncio.create_task(scrubbing.run())
        try:
            async with asyncio.timeout(60):
                await events.ended.wait()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return events, withheld

    events, withheld = asyncio.run(scenario())
    assert [(each.owner, each.member) for each in withheld.all()] == found
    emitted = [(data["content"], data["file"]) for name, data in events.emitted if name == "content.damaged"]
    assert emitted == found
    assert len(seen) >= len(NAMES)
