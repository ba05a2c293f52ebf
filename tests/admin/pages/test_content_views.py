"""What the page of content shows of entries, uploads and verifications."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from netboot.admin.pages.content.content_views import ContentRow, ContentView, UploadRow, shortened
from netboot.admin.pages.content.verification_views import VerificationRow
from netboot.content.library.progress import ProgressReport
from netboot.content.library.uploads import Upload, UploadKind, UploadState
from netboot.content.serving.withheld_files import WithheldFile
from netboot.operate.content.content_administration import ContentDisk
from netboot.operate.content.library_listing import ContentDetails, ListedContent
from netboot.operate.content.scrubbing import ScrubProgress
from netboot.operate.content.verifications import Verification, VerificationState

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DISK = ContentDisk(100, 50, 0, 0)


def entry(name: str = "ock-1", kind: str = "release", **more: Any) -> ListedContent:
    values: dict[str, Any] = dict.fromkeys(ListedContent.__dataclass_fields__)
    values |= {"name": name, "kind": kind, "aliases": [], "what": "", "size_bytes": 1, "path": "/x", "used_by": []}
    return ListedContent(**values | more)


def row(details: ContentDetails, **more: Any) -> ContentRow:
    return ContentRow.of(details, **{"verify_refusal": None, "newest": {}} | more)


def upload(state: UploadState = UploadState.RECEIVING, **more: Any) -> Upload:
    return Upload("0" * 32, UploadKind.ISO, None, 200, NOON.isoformat(), state, **more)


def verification(state: VerificationState = VerificationState.DONE, **more: Any) -> Verification:
    return Verification("1", "ock-1", "alice", NOON, state, **more)


def test_an_entry_has_the_first_users_and_the_first_reason():
    details = ContentDetails(entry(used_by=["a", "b", "c", "d", "e"]), {}, ["a uses it", "b uses it", "c uses it"])

    found = row(details)

    assert (found.used_by, found.more_users) == (["a", "b", "c"], 2)
    assert found.remove.refusal == "a uses it (and 2 more)"
    assert (found.promote.refusal, found.verify.refusal) == (None, None)
    assert row(ContentDetails(entry(), {}, [])).remove.refusal is None


def test_each_damaged_file_has_its_fault_and_its_cure():
    file = WithheldFile("/x/objects/a", "", "ostree", "ock-1", "objects/a", "cut off", NOON)
    blob = WithheldFile("/x/b", "", "images", "sha256:ab", "blobs/sha256/ab", "cut off", NOON, ["olcne/ui:v2"])
    nobodys = replace(blob, images=())
    scrub = ScrubProgress(True, False, None, NOON, 0, 0, 0, [file, blob, nobodys])

    page = ContentView.of([], [], [], disk=DISK, verify_refusal=None, scrub=scrub)

    assert page.damaged == [
        ("objects/a of ock-1", "cut off", "netboot content verify ock-1 --repair-from SOURCE"),
        ("sha256:ab of olcne/ui:v2", "cut off", "netboot content verify olcne/ui:v2 --repair-from SOURCE"),
        ("sha256:ab", "cut off", "no image has it: netboot content gc deletes it"),
    ]


def test_an_entry_that_is_verified_now_is_not_removed():
    running = verification(VerificationState.RUNNING)

    found = row(ContentDetails(entry(), {}, []), verify_refusal="ock-1 is being verified", newest={"ock-1": running})

    assert (found.verify.refusal, found.remove.refusal) == ("ock-1 is being verified", "ock-1 is being verified now")


def test_the_result_of_the_last_verification_of_each_entry_is_shown():
    verdicts = [
        {"name": "a", "ok": True, "checked": 2, "faults": {}},
        {"name": "b", "ok": False, "checked": 1, "faults": {"f": "x"}},
    ]
    both = Verification("2", None, "alice", NOON, VerificationState.DONE, verdicts=verdicts)
    page = ContentView.of(
        [ContentDetails(entry(name), {}, []) for name in "abc"],
        [],
        [both],
        disk=DISK,
        verify_refusal=None,
    )

    assert [each.last_verified for each in page.releases] == ["sound", "damaged", ""]
    assert (page.media, page.is_running) == ([], False)


def test_an_upload_shows_how_far_it_or_its_import_is():
    receiving = UploadRow.of(upload(offset=50, expires_at=NOON.isoformat()))
    waiting = UploadRow.of(upload(UploadState.IMPORTING))
    importing = UploadRow.of(upload(UploadState.IMPORTING, progress=ProgressReport("unpacking", 1, 4)))
    unknown = UploadRow.of(upload(UploadState.IMPORTING, progress=ProgressReport("syncing", 1, 0)))
    done = UploadRow.of(upload(UploadState.DONE, result={"name": "ol9", "notes": ["a note"]}))

    assert [(each.percent, each.step) for each in (receiving, waiting, importing, unknown, done)] == [
        (25, "receiving"),
        (None, "waiting for its import"),
        (25, "unpacking"),
        (None, "syncing"),
        (None, ""),
    ]
    assert [each.title for each in (receiving, done)] == ["an ISO", "ol9"]
    assert ([*done.notes], done.is_running, receiving.is_running) == (["a note"], False, True)


def test_a_verification_is_one_sentence_with_the_damage_and_its_cure():
    bad = [{"name": "ock-1", "ok": False, "checked": 5, "faults": {"objects/a": "cut off"}}]
    damaged = VerificationRow.of(verification(verdicts=bad))

    assert (damaged.word, damaged.sentence) == ("damaged", "Verified ock-1: 1 damaged of 5 files and objects")
    assert damaged.damaged == [("ock-1: objects/a", "cut off")]
    assert damaged.cures == ["netboot content verify ock-1 --repair-from SOURCE"]
    sentences = [
        VerificationRow.of(each).sentence
        for each in (
            verification(VerificationState.RUNNING),
            verification(VerificationState.CANCELLED),
            verification(VerificationState.FAILED, error="the disk is gone"),
            verification(verdicts=[{"name": "ock-1", "ok": True, "checked": 5, "faults": {}}]),
        )
    ]
    assert sentences == [
        "Verifying ock-1",
        "The verification of ock-1 was cancelled",
        "The verification of ock-1 failed: the disk is gone",
        "Verified ock-1: sound, 5 files and objects",
    ]


def test_reasons_are_shortened_to_the_first():
    assert [shortened(reasons) for reasons in ([], ["a"], ["a", "b"])] == [None, "a", "a (and 1 more)"]
