"""`netboot content import-image` on a library without a daemon: what it prints, and what it refuses."""

from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import ContentError

SAMPLE = str(Path(__file__).parents[1] / "fixtures/ostree_images/ock-image-tiny.tar")
COMMIT = "58a4a3e714ada7465a6e7e2d208cf0bc09fc3202d6b0e985009a36c1f59175c2"
DIGEST = "sha256:12fb6b1e149854f9a150c14ad5e07e3ba9237b6495ebd34e510cde4ab5e92c94"


def test_an_image_is_imported_and_printed(netboot: CommandLine):
    first = netboot.printed("content", "import-image", SAMPLE, "--name", "ock-1.33")
    again = netboot.printed("content", "import-image", SAMPLE, "--name", "ock-1.33")

    what = f"commit {COMMIT[:12]} on ock, 23 objects, 0.0 MB"
    image = f"image olcne/ock-ostree@{DIGEST}, tags 1.33, ock-1.33"
    assert first.splitlines() == [
        f"ock-1.33 is there now: {what}, 0.0 MB of it were there already, every object verified",
        image,
    ]
    assert again.splitlines() == [f"ock-1.33 was there already, the same: {what}, every object verified", image]
    assert netboot.printed("content", "verify", "ock-1.33") == "ock-1.33: sound, 23 objects\n"


def test_the_json_names_release_image_and_tags(netboot: CommandLine):
    done = netboot.json("content", "import-image", SAMPLE, "--image", "rack/os:blue")

    (release,) = done.pop("releases")
    assert done == {
        "name": "ock-image-tiny",
        "is_new": True,
        "image": f"rack/os@{DIGEST}",
        "tags": ["blue", "ock-image-tiny"],
        "notes": [],
    }
    assert (release["name"], release["commit"], release["is_new"]) == ("ock-image-tiny", COMMIT, True)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ("Rack/OS", "'Rack/OS' is not the name of a repository"),
        (f"rack/os@{DIGEST}", "a digest cannot be chosen; give REPOSITORY or REPOSITORY:TAG"),
    ],
)
def test_an_image_name_that_is_not_valid_is_refused(netboot: CommandLine, image: str, fault: str):
    refused = netboot("content", "import-image", SAMPLE, "--image", image)

    assert refused.exit_code != 0
    assert fault in f"{refused.output} {refused.exception}"


def test_a_missing_file_is_refused_with_the_command_that_makes_one(netboot: CommandLine):
    refused = netboot("content", "import-image", "docker://container-registry.oracle.com/olcne/ock-ostree:1.33")

    assert isinstance(refused.exception, ContentError)
    assert str(refused.exception) == (
        "there is no file docker:/container-registry.oracle.com/olcne/ock-ostree:1.33; copy the image into one: skopeo "
        "copy docker://container-registry.oracle.com/olcne/ock-ostree:1.33 oci-archive:ock.tar, and import that file"
    )
