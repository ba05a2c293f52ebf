"""Media and releases are verified, promoted and removed by the daemon; what is refused has its reason in the audit."""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fixtures.image_layouts import Layout
from fixtures.services import BuiltServices, WithServices

from netboot.content.images.image_import import import_images
from netboot.content.library.library import InvalidNameError, Library, NameUsedError, UnknownContentError
from netboot.content.library.progress import ProgressReport
from netboot.content.library.uploads import Uploads
from netboot.content.serving.withheld_files import WithheldFiles
from netboot.model.actor import Actor, Source
from netboot.model.host.host import HostSet
from netboot.model.release import EntryKind, EntryName
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.content.content_changes import ContentRefusedError
from netboot.operate.content.content_users import ContentUsers
from netboot.operate.content.scrubbing import Scrubbing
from netboot.operate.content.upload_imports import UploadImports
from netboot.operate.content.verifications import (
    UnknownVerificationError,
    Verification,
    Verifications,
    VerificationState,
)
from netboot.operate.content_uses import ContentUse, Use
from netboot.operate.running_daemon import RescanResult

OPERATOR = Actor("alice", Source.PAGE)
RELEASE, MEDIUM = "ock-1.31-amd64", "ol8u10-x86_64"
SOUND = """
import sys
print('{"progress": {"step": "checking", "done_bytes": 1, "total_bytes": 4}}', file=sys.stderr)
print('[{"name": "%s", "ok": true, "checked": 24, "faults": {}}]')
"""
DAMAGED = """
print('[{"name": "x", "ok": false, "checked": 2, "faults": {"a": "bad"}}]')
raise SystemExit(1)
"""
ENDLESS = """
import sys, time
print('{"progress": {"step": "checking", "done_bytes": 1, "total_bytes": 4}}', file=sys.stderr, flush=True)
time.sleep(60)
"""


@dataclass
class Daemon:
    """What the use cases request of the running daemon."""

    library: Library
    uses: list[ContentUse] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)
    rescanned: list[EntryName | None] = field(default_factory=list)
    program: str = SOUND % RELEASE

    async def rescan(self, entry: EntryName | None) -> RescanResult:
        self.rescanned.append(entry)
        return RescanResult([], [], [], ["w9"] if entry and entry[1] == "edge" else [])

    def command(self, _name: str | None) -> Sequence[str]:
        return [sys.executable, "-c", self.program]


Use_ = Callable[[ContentAdministration, Daemon, BuiltServices], Awaitable[Any]]


@pytest.fixture
def with_content(with_services: WithServices, content: Path, hosts: HostSet, tmp_path: Path) -> Callable[[Use_], Any]:
    def run(use: Use_) -> Any:
        async def scenario(services: BuiltServices) -> Any:
            own = tmp_path / "own"
            shutil.copytree(content, own, symlinks=True)
            daemon = Daemon(Library(own))

            async def users() -> ContentUsers:
                return ContentUsers(daemon.uses, hosts)

            administration = ContentAdministration(
                daemon.library,
                UploadImports(Uploads(own), lambda *_: [], events=services.event_bus, now=services.clock.now),
                Verifications(daemon.command, events=services.event_bus, now=services.clock.now),
                Scrubbing(
                    daemon.library,
                    WithheldFiles(),
                    days=0,
                    rate=0,
                    events=services.event_bus,
                    now=services.clock.now,
                    on_repair=lambda: None,
                    rescan=daemon.rescan,
                ),
                events=services.event_bus,
                users=users,
                users_in_force=users,
                pulls=lambda: daemon.pulls,
                image_pulls=lambda: (),
                rescan=daemon.rescan,
            )
            running = asyncio.create_task(administration.run())
            try:
                return await use(administration, daemon, services)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

        return with_services(scenario)

    return run


async def ended(administration: ContentAdministration) -> Verification:
    async with asyncio.timeout(20):
        while administration.verifications.running() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return administration.verifications.all()[0]


async def audited(services: BuiltServices) -> list[tuple[Any, ...]]:
    recorded = [event.data for event in await services.events() if event.name == "audit.recorded"]
    return [(each["action"], each["subject"], each["actor"], each["outcome"]) for each in recorded]


def test_entries_are_listed_with_their_users_and_why_they_stay(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, _daemon: Daemon, _services: BuiltServices) -> None:
        found = {each.entry.name: each for each in await administration.all()}

        assert set(found) == {MEDIUM, RELEASE}
        assert (found[RELEASE].entry.kind, found[RELEASE].entry.used_by) == ("release", ["cp1", "w1"])
        assert [reason[:17] for reason in found[RELEASE].reasons] == ["cp1 refers to it ", "w1 refers to it ("]
        shown = await administration.show(MEDIUM)
        assert (shown.entry, shown.reasons) == (found[MEDIUM].entry, found[MEDIUM].reasons)
        with pytest.raises(UnknownContentError, match="there is no medium and no release nothing"):
            await administration.show("nothing")

    with_content(use)


def test_an_unused_alias_is_promoted_moved_and_removed_and_the_daemon_reads_it_again(
    with_content: Callable[[Use_], Any],
):
    async def use(administration: ContentAdministration, daemon: Daemon, services: BuiltServices) -> None:
        promoted, armings_ended = await administration.promote(RELEASE, "edge", actor=OPERATOR)
        assert (promoted.name, armings_ended) == (RELEASE, ["w9"])
        removed = await administration.remove("edge", actor=OPERATOR)

        assert (removed.removed, removed.size_bytes) == ("edge", 0)
        assert daemon.rescanned == [(EntryKind.RELEASE, "edge")] * 2
        assert await audited(services) == [
            ("change content", f"promote {RELEASE} edge", "alice", "done"),
            ("change content", "remove edge", "alice", "done"),
        ]

    with_content(use)


def test_what_is_used_is_not_changed_and_every_reason_is_listed(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, daemon: Daemon, services: BuiltServices) -> None:
        await administration.promote(RELEASE, "stable", actor=OPERATOR)
        daemon.uses.append(ContentUse("release", "stable", Use.INSTALLING, "w1"))
        daemon.pulls.append(RELEASE)
        with pytest.raises(ContentRefusedError) as removal:
            await administration.remove(RELEASE, actor=OPERATOR)
        with pytest.raises(ContentRefusedError, match=r"^cannot move stable: .*wait until they have ended$"):
            await administration.promote(RELEASE, "stable", actor=OPERATOR)
        with pytest.raises(ContentRefusedError, match=r"^cannot collect: machines are pulling now"):
            await administration.collect(actor=OPERATOR)

        reasons = str(removal.value).splitlines()
        assert [reason.split(":")[0] for reason in reasons] == [f"cannot remove {RELEASE}"] * 3
        assert reasons[-1].endswith("it is also called stable; netboot content promote another, or remove it")
        assert [outcome for *_, outcome in await audited(services)] == ["done", "refused", "refused", "refused"]

    with_content(use)


def test_a_name_that_is_used_or_not_valid_becomes_no_alias(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, _daemon: Daemon, _services: BuiltServices) -> None:
        for alias, error in ((MEDIUM, NameUsedError), (RELEASE, NameUsedError), ("../x", InvalidNameError)):
            with pytest.raises(error):
                await administration.promote(RELEASE, alias, actor=OPERATOR)

    with_content(use)


def test_remains_are_counted_and_deleted(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, daemon: Daemon, _services: BuiltServices) -> None:
        remains = daemon.library.directory / ".staging/1-killed"
        remains.mkdir(parents=True)
        (remains / "file").write_bytes(bytes(100))
        disk = await administration.disk()
        collected = await administration.collect(actor=OPERATOR)

        assert (disk.remains, disk.remains_bytes) == (1, 100)
        assert (collected.deleted, collected.size_bytes) == (1, 100)
        assert (await administration.disk()).remains == 0

    with_content(use)


def test_a_verification_ends_with_its_verdicts_and_an_event(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, daemon: Daemon, services: BuiltServices) -> None:
        await administration.verify(RELEASE, actor=OPERATOR)
        sound = await ended(administration)
        daemon.program = DAMAGED
        await administration.verify(None, actor=OPERATOR)
        damaged = await ended(administration)

        assert (sound.state, sound.is_sound, sound.subject, sound.actor) == ("done", True, RELEASE, "alice")
        assert (damaged.state, damaged.is_sound, damaged.subject) == ("done", False, "all content")
        assert administration.verifications.all() == [damaged, sound]
        verified = [event.data for event in await services.events() if event.name == "content.verified"]
        assert verified == [
            {"subject": RELEASE, "state": "done", "is_sound": True},
            {"subject": "all content", "state": "done", "is_sound": False},
        ]

    with_content(use)


def test_one_verification_runs_at_a_time_shows_its_progress_and_is_cancelled(with_content: Callable[[Use_], Any]):
    async def use(administration: ContentAdministration, daemon: Daemon, services: BuiltServices) -> None:
        daemon.program, verifications = ENDLESS, administration.verifications
        begun = await administration.verify(RELEASE, actor=OPERATOR)
        async with asyncio.timeout(20):
            while verifications.all()[0].progress is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert verifications.all()[0].progress == ProgressReport("checking", 1, 4)
        with pytest.raises(ContentRefusedError, match=f"^{RELEASE} is being verified now; wait until that has ended"):
            await administration.verify(None, actor=OPERATOR)

        cancelled = await verifications.cancel(begun.id, actor=OPERATOR)

        assert (cancelled.state, cancelled.progress) == (VerificationState.CANCELLED, None)
        assert verifications.refusal() is None
        with pytest.raises(ContentRefusedError, match="only a running one can be cancelled"):
            await verifications.cancel(begun.id, actor=OPERATOR)
        with pytest.raises(UnknownVerificationError):
            await verifications.cancel("0" * 16, actor=OPERATOR)
        assert (await audited(services))[:3] == [
            ("verify content", RELEASE, "alice", "done"),
            ("verify content", "all", "alice", "refused"),
            ("cancel verification", begun.id, "alice", "done"),
        ]

    with_content(use)


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("import sys; sys.exit('netboot: the disk is gone')", "the disk is gone"),
        ("print('no JSON')", "the verification ended with 0: it printed nothing"),
        ("import sys; sys.exit(3)", "the verification ended with 3: it printed nothing"),
    ],
)
def test_a_verification_that_fails_has_its_reason(with_content: Callable[[Use_], Any], program: str, error: str):
    async def use(administration: ContentAdministration, daemon: Daemon, _services: BuiltServices) -> None:
        daemon.program = program
        await administration.verify(None, actor=OPERATOR)
        failed = await ended(administration)

        assert (failed.state, failed.error, failed.verdicts) == (VerificationState.FAILED, error, ())

    with_content(use)


def test_images_are_listed_verified_removed_and_collected_and_the_audit_names_them(
    with_content: Callable[[Use_], Any], tmp_path: Path
):
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1")
    archive = layout.archive(tmp_path / "ui.tar")

    async def use(administration: ContentAdministration, daemon: Daemon, services: BuiltServices) -> None:
        import_images(daemon.library, archive)

        assert [each.name for each in await administration.images()] == ["olcne/ui"]
        assert (await administration.show_image("olcne/ui:1")).reasons == []
        verified = await administration.verify("olcne/ui:1", actor=OPERATOR)
        assert (await ended(administration)).id == verified.id
        with pytest.raises(UnknownContentError, match="there is no image olcne/ui:2"):
            await administration.verify("olcne/ui:2", actor=OPERATOR)
        removed = await administration.remove_image("olcne/ui:1", actor=OPERATOR)
        assert (removed.removed, removed.entry, daemon.rescanned) == ("olcne/ui:1", None, [])
        collected = await administration.collect(actor=OPERATOR)
        assert (collected.images.manifests, collected.images.blobs, daemon.rescanned) == (1, 3, [None])
        with pytest.raises(UnknownContentError, match="there is no image olcne/ui"):
            await administration.remove_image("olcne/ui", actor=OPERATOR)
        assert await audited(services) == [
            ("verify content", "olcne/ui:1", "alice", "done"),
            ("change content", "remove olcne/ui:1", "alice", "done"),
            ("change content", "gc", "alice", "done"),
            ("change content", "remove olcne/ui", "alice", "refused"),
        ]

    with_content(use)
