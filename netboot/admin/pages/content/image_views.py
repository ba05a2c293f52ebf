"""What the pages show of container images, as values. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlencode

from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.content.verification_views import verified_word
from netboot.operate.content.image_listing import ImageDetails, ListedImage, ListedRepository
from netboot.operate.content.verifications import Verification

IMAGE_PATH: Final = "/content/-/image"
_SHOWN_DIGITS: Final = 12
_OS: Final = "linux/"  # of every node, so it is not shown


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One image of a repository; `name` is by its first tag, or by its digest if it has none."""

    repository: str
    name: str
    image: ListedImage
    url: str
    short_digest: str
    architectures: Sequence[str]
    imported_at: datetime | None
    verify: ActionLink
    remove: ActionLink
    last_verified: str

    @classmethod
    def of(
        cls, repository: str, image: ListedImage, *, verify_refusal: str | None, newest: Mapping[str, Verification]
    ) -> Self:
        name = f"{repository}:{image.tags[0]}" if image.tags else f"{repository}@{image.digest}"
        names = [repository, *(f"{repository}:{tag}" for tag in image.tags), f"{repository}@{image.digest}"]
        return cls(
            repository,
            name,
            image,
            _url(name),
            image.digest.removeprefix("sha256:")[:_SHOWN_DIGITS],
            [platform.removeprefix(_OS) for platform in image.platforms],
            datetime.fromisoformat(image.imported_at) if image.imported_at else None,
            ActionLink("verify", "Verify", _url(name, "/verify"), verify_refusal),
            ActionLink("remove", "Remove", _url(name, "/remove")),
            next((found for each in names if (found := verified_word(each, newest))), ""),
        )


@dataclass(frozen=True, slots=True)
class ImageView:
    """The page of an image, or the confirmation of its removal; without a tag or digest, of a repository."""

    details: ImageDetails
    rows: Sequence[ImageRow]
    verify: ActionLink
    remove: ActionLink

    @classmethod
    def of(cls, details: ImageDetails, *, verify_refusal: str | None, newest: Mapping[str, Verification]) -> Self:
        return cls(
            details,
            image_rows([details.repository], verify_refusal=verify_refusal, newest=newest),
            ActionLink("verify", "Verify", _url(details.name, "/verify"), verify_refusal),
            ActionLink("remove", "Remove", _url(details.name, "/remove"), "\n".join(details.reasons) or None),
        )


def image_rows(
    repositories: Iterable[ListedRepository], *, verify_refusal: str | None, newest: Mapping[str, Verification]
) -> list[ImageRow]:
    """Return a row for each image of the repositories."""
    return [
        ImageRow.of(repository.name, image, verify_refusal=verify_refusal, newest=newest)
        for repository in repositories
        for image in repository.images
    ]


def images_of_releases(rows: Iterable[ImageRow]) -> dict[str, ImageRow]:
    """Return the image of each release that was imported from one."""
    return {release: row for row in rows for release in row.image.releases}


def _url(name: str, action: str = "") -> str:
    return f"{IMAGE_PATH}{action}?{urlencode({'name': name})}"
