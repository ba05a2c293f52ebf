"""`netboot content` with container images, without a daemon."""

from pathlib import Path

from fixtures.command_line import CommandLine
from fixtures.image_layouts import Layout, mirrored


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
        "old.tar: 1 images, 0.0 MB of them new",
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
        "images.tgz: 2 images, 0.0 MB of them new",
    ]


def test_a_wrong_name_is_a_wrong_use(netboot: CommandLine, tmp_path: Path):
    archive, _ = an_archive(tmp_path, "ui")

    wrong = netboot("content", "import-images", str(archive), "--image", "Upper")
    two = netboot("content", "import-images", str(archive), str(archive), "--image", "x")

    assert (wrong.exit_code, two.exit_code) == (2, 2)
    assert "'Upper' is not the name of a repository; write REPOSITORY[:TAG]" in wrong.stderr
    assert "--image names the image of one SOURCE" in two.stderr
