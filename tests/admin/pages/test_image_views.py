"""What the pages show of container images."""

from datetime import UTC, datetime
from typing import Any

from netboot.admin.pages.content.image_views import ImageRow, ImageView, image_rows, images_of_releases
from netboot.operate.content.image_listing import ImageDetails, ListedImage, ListedRepository
from netboot.operate.content.verifications import Verification, VerificationState

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DIGEST = f"sha256:{'ab' * 32}"
INDEX = "application/vnd.oci.image.index.v1+json"


def image(*tags: str, digest: str = DIGEST, releases: tuple[str, ...] = (), **more: Any) -> ListedImage:
    values = {"imported_at": NOON.isoformat(), "commit": None} | more
    return ListedImage(digest, tags, INDEX, ["linux/amd64", "linux/arm64"], 100, releases=releases, **values)


def repository(*images: ListedImage, name: str = "olcne/ui") -> ListedRepository:
    tags = [tag for each in images for tag in each.tags]
    return ListedRepository(name, tags, images, 100, NOON.isoformat(), [])


def row(listed: ListedImage, newest: dict[str, Verification] | None = None) -> ImageRow:
    return ImageRow.of("olcne/ui", listed, verify_refusal=None, newest=newest or {})


def verified(name: str, *, ok: bool) -> Verification:
    verdict = {"name": name, "ok": ok, "checked": 1, "faults": {}}
    return Verification("1", name, "alice", NOON, VerificationState.DONE, verdicts=[verdict])


def test_an_image_is_named_by_its_first_tag():
    found = row(image("1.33", "stable"))

    assert (found.name, found.url) == ("olcne/ui:1.33", "/content/-/image?name=olcne%2Fui%3A1.33")
    assert (found.architectures, found.imported_at) == (["amd64", "arm64"], NOON)
    assert found.verify.url == "/content/-/image/verify?name=olcne%2Fui%3A1.33"
    assert found.remove.url == "/content/-/image/remove?name=olcne%2Fui%3A1.33"


def test_an_image_without_a_tag_is_named_by_its_digest():
    found = row(image())

    assert (found.name, found.short_digest) == (f"olcne/ui@{DIGEST}", "abababababab")


def test_an_image_is_sound_if_it_or_its_repository_was_verified():
    assert row(image("1.33"), {"olcne/ui:1.33": verified("olcne/ui:1.33", ok=False)}).last_verified == "damaged"
    assert row(image("1.33"), {"olcne/ui": verified("olcne/ui", ok=True)}).last_verified == "sound"
    assert row(image("1.33"), {"olcne/other": verified("olcne/other", ok=True)}).last_verified == ""


def test_a_release_has_the_image_that_it_was_imported_from():
    rows = image_rows(
        [repository(image("1.33", releases=("ock-1.33", "stable")), image("1.32", digest=f"sha256:{'cd' * 32}"))],
        verify_refusal=None,
        newest={},
    )

    assert [each.name for each in rows] == ["olcne/ui:1.33", "olcne/ui:1.32"]
    assert images_of_releases(rows) == {"ock-1.33": rows[0], "stable": rows[0]}


def test_an_image_that_must_stay_is_not_removed():
    details = ImageDetails("olcne/ui:1.33", repository(image("1.33")), {DIGEST: 100}, ["w1 uses it", "w2 uses it"])

    found = ImageView.of(details, verify_refusal="busy", newest={})

    assert (found.remove.refusal, found.verify.refusal) == ("w1 uses it\nw2 uses it", "busy")
    assert [each.name for each in found.rows] == ["olcne/ui:1.33"]
    free = ImageView.of(ImageDetails("olcne/ui", repository(), {}, []), verify_refusal=None, newest={})
    assert (free.remove.refusal, free.remove.url) == (None, "/content/-/image/remove?name=olcne%2Fui")
