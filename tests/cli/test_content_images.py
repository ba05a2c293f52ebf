"""`netboot content` with container images, without a daemon."""

from pathlib import Path

import pytest
from fixtures.command_line import CommandLine
from fixtures.image_layouts import MANIFEST, Layout, mirrored

from netboot.content.images.image_store import ImageStore
from netboot.content.library.library import Library
from netboot.content.library.record import Record

RELEASE = "ock-1.31-amd64"
OCK = "olcne/ock-ostree"


def an_archive(directory: Path, text: str, name: str = "olcne/ui:1.33") -> tuple[Path, str]:
    layout = Layout()
    digest = layout.name(layout.image(text), name)
    return layout.archive(directory / f"{text}.tar"), digest


def test_images_are_imported_and_a_moved_tag_is_named(netboot: CommandLine, tmp_path: Path):
    old, old_digest = an_archive(tmp_path, "old")
    new, new_digest = an_archive(tmp_path, "new")

    imported = netboot.printed("content", "import-images", str(old)).splitlines()
    again = netboot.printed("content", "import-images", str(old)).splitlines()
    moved = netboot.json("content", "import-images", str(new))

    assert imported == [
        f"olcne/ui:1.33 is there now: {old_digest}, linux/amd64, 0.0 MB",
        "old.tar: 1 image, 0.0 MB new",
    ]
    assert again[0] == f"olcne/ui:1.33 was there already, the same: {old_digest}, linux/amd64, 0.0 MB"
    (image,) = moved["sources"][0]["images"]
    assert (image["name"], image["digest"], image["moved_from"], image["is_new"]) == (
        "olcne/ui:1.33",
        new_digest,
        old_digest,
        True,
    )
    assert moved["failed"] == {}


def test_of_several_sources_the_good_ones_are_imported(netboot: CommandLine, tmp_path: Path):
    good, _ = an_archive(tmp_path, "good")
    nameless, _ = an_archive(tmp_path, "nameless", "")

    found = netboot("content", "import-images", str(nameless), str(good))
    named = netboot.printed("content", "import-images", str(nameless), "--image", "docker.io/x/y:1")

    assert found.exit_code == 1
    assert found.stderr == (
        f"reading nameless.tar\nnetboot: {nameless} has no name for its image; give it: --image REPOSITORY:TAG\n"
        "reading good.tar\nwriting it to disk\n"
    )
    assert found.stdout.splitlines()[0].startswith("olcne/ui:1.33 is there now: ")
    assert named.startswith("x/y:1 is there now: ")


def test_a_mirrors_archive_is_imported_with_its_notes(netboot: CommandLine, tmp_path: Path):
    ock, ui = Layout(), Layout()
    ock.name(ock.image("ock", labels={"ostree.commit": "0" * 64}), "container-registry.oracle.com/olcne/ock-ostree:1")
    ui.name(ui.image("ui"), "container-registry.oracle.com/olcne/ui:1")

    printed = netboot.printed("content", "import-images", str(mirrored(tmp_path / "images.tgz", [ock, ui])))

    assert [line.split(" is ")[0] for line in printed.splitlines()] == [
        "olcne/ock-ostree:1",
        "note: olcne/ock-ostree:1: an OSTree commit",
        "olcne/ui:1",
        "images.tgz: 2 images, 0.0 MB new",
    ]


def test_a_wrong_name_is_a_wrong_use(netboot: CommandLine, tmp_path: Path):
    archive, _ = an_archive(tmp_path, "ui")

    wrong = netboot("content", "import-images", str(archive), "--image", "Upper")
    two = netboot("content", "import-images", str(archive), str(archive), "--image", "x")

    assert (wrong.exit_code, two.exit_code) == (2, 2)
    assert "'Upper' is not the name of a repository; write REPOSITORY[:TAG]" in wrong.stderr
    assert "--image names the image of one SOURCE" in two.stderr


@pytest.fixture
def images(netboot: CommandLine, tmp_path: Path) -> dict[str, str]:
    """The image of the release, with its tags, and one of the cluster; return the digest of each."""
    ock, ui = Layout(), Layout()
    image = ock.image("ock", labels={"ostree.commit": "c" * 64})
    digests = {"ock": ock.name(image, f"{OCK}:1.31")}
    digests["ui"] = ui.name(ui.image("ui"), "olcne/ui:1")
    netboot("content", "import-images", str(mirrored(tmp_path / "images.tgz", [ock, ui])))
    library = Library(netboot.directory / "content")
    with library.changing() as staging:  # as import-image writes it
        tags = {RELEASE: digests["ock"]}
        ImageStore(library.directory).record(OCK, tags=tags, manifests={}, staging=staging.directory)
    Record("ock.tar", "", "2026-11-30T00:00:00+00:00", image=f"{OCK}@{digests['ock']}").write(
        netboot.directory / "content/ostree" / RELEASE
    )
    return digests


def tags(netboot: CommandLine) -> dict[str, list[str]]:
    return {each["name"]: each["tags"] for each in netboot.json("content", "list") if each["kind"] == "image"}


def test_images_are_listed_with_their_tags_and_users(netboot: CommandLine, images: dict[str, str]):
    printed = [line.split("\t") for line in netboot.printed("content", "list").splitlines()]
    listed = netboot.json("content", "list")

    assert [(line[0], *line[1:4], line[5]) for line in printed[-2:]] == [
        (OCK, "image", f"1.31, {RELEASE}", "0.0 MB", f"{RELEASE}, cp1, w1"),
        ("olcne/ui", "image", "1", "0.0 MB", "-"),
    ]
    assert [(each["name"], each["kind"], each["used_by"]) for each in listed[-2:]] == [
        (OCK, "image", [RELEASE, "cp1", "w1"]),
        ("olcne/ui", "image", []),
    ]
    (ock,) = listed[-2]["images"]
    assert (ock["digest"], ock["commit"], ock["releases"], ock["fault"]) == (images["ock"], "c" * 64, [RELEASE], None)


def test_an_image_is_shown_with_its_blobs(netboot: CommandLine, images: dict[str, str]):
    lines = netboot.printed("content", "show", "olcne/ui:1").splitlines()
    shown = netboot.json("content", "show", "olcne/ui")

    assert lines[:2] == ["name: olcne/ui:1", "kind: image"]
    assert lines[2].startswith(f"1: {images['ui']}; linux/amd64; {MANIFEST}; 0.0 MB; imported ")
    assert lines[3] == "size: 0.0 MB"
    assert len(lines) == 4 + 3
    assert (shown["name"], shown["kind"], len(shown["blobs"]), shown["reasons"]) == ("olcne/ui", "image", 3, [])
    assert netboot("content", "show", "olcne/ui:2").exit_code == 1
    assert "there is no image olcne/ui:2" in str(netboot("content", "show", "olcne/ui:2").exception)
    assert "there is no image Not/a name: 'Not/a name' is not" in str(
        netboot("content", "show", "Not/a name").exception
    )
    assert "there is no medium and no release olcne" in str(netboot("content", "show", "olcne").exception)


def test_a_damaged_image_is_named_and_repaired(netboot: CommandLine, images: dict[str, str], tmp_path: Path):
    blob = netboot.directory / "content/images/blobs/sha256" / images["ui"][7:]
    data = blob.read_bytes()
    blob.write_bytes(bytes(len(data)))

    bad = netboot("content", "verify", "olcne/ui:1")
    all_bad = netboot("content", "verify")
    repaired = netboot.json("content", "verify", "olcne/ui", "--repair-from", str(tmp_path / "images.tgz"))

    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[0].startswith(f"olcne/ui:1: {images['ui']}: its bytes have the checksum sha256:")
    assert bad.stdout.splitlines()[1] == "olcne/ui:1: 1 bad; netboot content verify olcne/ui:1 --repair-from SOURCE"
    assert f"{OCK}: sound, 3 blobs" in all_bad.stdout.splitlines()
    assert repaired == [
        {
            "name": "olcne/ui",
            "kind": "image",
            "ok": True,
            "checked": 3,
            "faults": {},
            "repaired": [images["ui"]],
            "notes": [],
        }
    ]
    assert blob.read_bytes() == data


def test_a_repository_whose_file_is_damaged_is_named(netboot: CommandLine, images: dict[str, str]):
    path = netboot.directory / "content/images/repositories/olcne/ui/_repository.json"
    path.write_text("{")

    found = netboot("content", "verify")

    assert found.exit_code == 1
    assert any(line.startswith("olcne/ui: .: ") and "is damaged" in line for line in found.stdout.splitlines())
    assert f"{OCK}: sound, 3 blobs" in found.stdout.splitlines()


def test_an_image_is_removed_and_its_blobs_are_freed_by_gc(netboot: CommandLine, images: dict[str, str]):
    removed = netboot.printed("content", "remove", "olcne/ui:1")
    listed = [line for line in netboot.printed("content", "list").splitlines() if line.startswith("olcne/ui\t")]
    collected = netboot.printed("content", "gc").splitlines()
    again = netboot.json("content", "gc")

    assert removed == "olcne/ui:1 is removed; netboot content gc frees what no other image has\n"
    assert listed[0].split("\t")[2] == "1 without a tag"
    assert collected == ["1 image without a name and 3 blobs deleted, 0.0 MB freed"]
    assert again["images"] == {"manifests": 0, "blobs": 0, "size_bytes": 0, "pulled": 0}
    assert tags(netboot) == {OCK: ["1.31", RELEASE]}


def test_a_repository_or_a_digest_is_removed_with_its_tags(netboot: CommandLine, images: dict[str, str]):
    assert netboot.json("content", "remove", f"olcne/ui@{images['ui']}")["removed"] == f"olcne/ui@{images['ui']}"
    assert tags(netboot) == {OCK: ["1.31", RELEASE]}
    assert netboot("content", "remove", "olcne/ui").exit_code == 1


@pytest.mark.parametrize("name", [OCK, f"{OCK}:1.31", f"{OCK}:{RELEASE}"])
def test_the_image_of_a_release_is_not_removed(netboot: CommandLine, images: dict[str, str], name: str):
    refused = netboot("content", "remove", name)

    assert refused.exit_code == 1
    assert f"cannot remove {name}: the release {RELEASE} is this image; netboot content remove {RELEASE}" in str(
        refused.exception
    )


def test_a_tag_by_which_hosts_are_updated_is_not_removed(netboot: CommandLine, images: dict[str, str]):
    (netboot.directory / "content/ostree" / RELEASE / ".netboot.json").unlink()

    refused = netboot("content", "remove", f"{OCK}:{RELEASE}")

    assert refused.exit_code == 1
    assert f"cp1 is updated by the tag {RELEASE} (" in str(refused.exception)
    assert netboot("content", "remove", f"{OCK}:1.31").exit_code == 0


def test_a_promotion_moves_alias_and_tag_and_a_removal_ends_both(netboot: CommandLine, images: dict[str, str]):
    promoted = netboot.printed("content", "promote", RELEASE, "stable").splitlines()
    both = tags(netboot)[OCK], str((netboot.directory / "content/ostree/stable").readlink())
    removed = netboot.printed("content", "remove", "stable")

    assert promoted == [f"stable is {RELEASE} now", f"the tag {OCK}:stable is {images['ock']} now"]
    assert both == (["1.31", RELEASE, "stable"], RELEASE)
    assert removed == "stable is removed\n"
    assert tags(netboot)[OCK] == ["1.31", RELEASE]
    assert netboot.json("content", "promote", RELEASE, "edge")["tags"] == [
        {"repository": OCK, "tag": "edge", "before": "", "after": images["ock"]}
    ]


def test_a_release_that_was_an_image_is_shown_with_it(netboot: CommandLine, images: dict[str, str]):
    assert f"image: {OCK}@{images['ock']}" in netboot.printed("content", "show", RELEASE).splitlines()


def test_the_board_names_a_commit_by_its_release(netboot: CommandLine, images: dict[str, str]):
    netboot.config.write_text(netboot.config.read_text() + "updates: {registry: true}\n")
    (netboot.directory / "content/ostree" / RELEASE / "refs/heads/ock").write_text("c" * 64)  # that of the image

    row = netboot.printed("updates").splitlines()[1].split("\t")
    promoted = netboot.printed("content", "promote", RELEASE, "next").splitlines()

    assert row[:6] == ["cp1", "control-plane", "unknown", "–", "–", f"{RELEASE}: {RELEASE}"]
    assert [line.partition(" (")[0] for line in promoted] == [
        f"next is {RELEASE} now",
        f"the tag {OCK}:next names {RELEASE}",
    ]


def test_an_unknown_name_is_refused_once(netboot: CommandLine):
    netboot.printed("updates")  # there is a store then, from which the effects would be read

    refused = netboot("content", "promote", "nothing", "stable")

    assert refused.exit_code == 1
    assert "there is no medium and no release nothing" in str(refused.exception)
    assert "note:" not in refused.output
