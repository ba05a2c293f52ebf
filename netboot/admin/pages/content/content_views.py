"""What the page of content shows, as values: entries with their actions, uploads and verifications. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from urllib.parse import quote

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.content.image_views import ImageRow, image_rows, images_of_releases
from netboot.admin.pages.content.verification_views import VerificationRow, newest_of_each, verified_word
from netboot.content.library.uploads import Upload, UploadKind, UploadState
from netboot.operate.content.content_administration import ContentDisk
from netboot.operate.content.image_listing import ListedRepository
from netboot.operate.content.library_listing import ContentDetails, ListedContent
from netboot.operate.content.scrubbing import ScrubProgress
from netboot.operate.content.verifications import Verification, VerificationState

SHOWN_USERS: Final = 3
SHOWN_VERIFICATIONS: Final = 3
_KINDS: Final = {
    UploadKind.ISO: "an ISO",
    UploadKind.ARCHIVE: "an archive",
    UploadKind.IMAGE: "an image",
    UploadKind.IMAGES: "container images",
}


@dataclass(frozen=True, slots=True)
class ContentRow:
    """One medium, release or alias; `verify` is requested by a form, the others have a page that confirms them."""

    entry: ListedContent
    url: str
    imported_at: datetime | None
    used_by: Sequence[str]
    more_users: int
    verify: ActionLink
    promote: ActionLink
    remove: ActionLink
    last_verified: str
    image: ImageRow | None  # that a release was imported from

    @classmethod
    def of(
        cls,
        details: ContentDetails,
        *,
        verify_refusal: str | None,
        newest: Mapping[str, Verification],
        image: ImageRow | None = None,
    ) -> Self:
        entry = details.entry
        url = f"/content/{quote(entry.name, safe='')}"
        running = newest.get(entry.name)
        is_verified = running is not None and running.state is VerificationState.RUNNING
        reasons = [*details.reasons, *([f"{entry.name} is being verified now"] if is_verified else [])]
        return cls(
            entry,
            url,
            datetime.fromisoformat(entry.imported_at) if entry.imported_at else None,
            entry.used_by[:SHOWN_USERS],
            max(0, len(entry.used_by) - SHOWN_USERS),
            ActionLink("verify", "Verify", f"{url}/verify", verify_refusal),
            ActionLink("promote", "Promote", f"{url}/promote"),
            ActionLink("remove", "Remove", f"{url}/remove", shortened(reasons)),
            verified_word(entry.name, newest),
            image,
        )


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One upload, and the import of it."""

    upload: Upload
    title: str
    created_at: datetime
    expires_at: datetime | None
    percent: int | None
    step: str

    @classmethod
    def of(cls, upload: Upload) -> Self:
        expires_at = datetime.fromisoformat(upload.expires_at) if upload.expires_at else None
        created_at = datetime.fromisoformat(upload.created_at)
        percent: int | None = None
        match upload.state:
            case UploadState.RECEIVING:
                percent, step = upload.offset * 100 // upload.length, "receiving"
            case UploadState.IMPORTING if upload.progress is not None:
                percent, step = upload.progress.percent, upload.progress.step
            case UploadState.IMPORTING:
                step = "waiting for its import"
            case _:
                step = ""
        return cls(upload, _title(upload), created_at, expires_at, percent, step)

    @property
    def is_running(self) -> bool:
        return not self.upload.has_ended

    @property
    def notes(self) -> Sequence[str]:
        """What the import remarked."""
        of_images = [f"{image['name']}: {note}" for image in _imported_images(self.upload) for note in image["notes"]]
        return [*(str(note) for note in (self.upload.result or {}).get("notes", ())), *of_images]


@dataclass(frozen=True, slots=True)
class ContentView:
    """The page of content."""

    media: Sequence[ContentRow]
    releases: Sequence[ContentRow]
    images: Sequence[ImageRow]
    uploads: Sequence[UploadRow]
    verifications: Sequence[VerificationRow]
    verify_all: ActionLink
    disk: ContentDisk
    scrub: ScrubProgress | None = None
    damaged: Sequence[tuple[str, str, str]] = ()  # what each damaged file is, its fault, and what repairs it

    @classmethod
    def of(
        cls,
        details: Sequence[ContentDetails],
        uploads: Sequence[Upload],
        verifications: Sequence[Verification],
        repositories: Sequence[ListedRepository] = (),
        *,
        disk: ContentDisk,
        verify_refusal: str | None,
        scrub: ScrubProgress | None = None,
    ) -> Self:
        newest = newest_of_each(verifications)
        images = image_rows(repositories, verify_refusal=verify_refusal, newest=newest)
        of_releases = images_of_releases(images)
        rows = [
            ContentRow.of(each, verify_refusal=verify_refusal, newest=newest, image=of_releases.get(each.entry.name))
            for each in details
        ]
        return cls(
            [row for row in rows if row.entry.kind == "boot medium"],
            [row for row in rows if row.entry.kind == "release"],
            images,
            [UploadRow.of(upload) for upload in reversed(uploads)],
            [VerificationRow.of(each) for each in verifications[:SHOWN_VERIFICATIONS]],
            ActionLink("verify", "Verify everything", "/content/-/verify", verify_refusal),
            disk,
            scrub,
            [(each.title, each.fault, each.cure) for each in scrub.damaged] if scrub else [],
        )

    @property
    def is_running(self) -> bool:
        """Something changes without an event, so the page is fetched again and again."""
        return any(row.is_running for row in self.uploads) or any(row.is_running for row in self.verifications)


def shortened(reasons: Sequence[str]) -> str | None:
    """Return the first reason, and how many more there are; None without a reason."""
    if not reasons:
        return None
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{reasons[0]}{more}"


def _title(upload: Upload) -> str:
    """Name what was imported; before its import, what the upload is."""
    if images := _imported_images(upload):
        more = f" and {len(images) - 1} more" if len(images) > 1 else ""
        return f"{images[0]['name']}{more}"
    imported = (upload.result or {}).get("name")
    return str(imported or upload.name or upload.image or _KINDS[upload.kind])


def _imported_images(upload: Upload) -> list[Mapping[str, Any]]:
    """List the images of an upload of several, as `netboot content import-images --json` prints them."""
    return [image for source in (upload.result or {}).get("sources", ()) for image in source["images"]]
