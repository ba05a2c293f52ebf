"""Version and time of a commit, read from its file in the archive."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.ostree_images.commits import TIMESTAMP, ostree

from netboot.content.ostree.commit_facts import CommitFacts, commit_facts

DATED = datetime.fromisoformat(TIMESTAMP).astimezone(UTC)


@pytest.mark.parametrize(
    ("metadata", "version"),
    [
        (["rpmostree.inputhash=x", "version=1.33.5-1"], "1.33.5-1"),
        (["version=1.33\u202e"], ""),
        (["rpmostree.inputhash=x"], ""),
        ([], ""),
    ],
)
def test_a_commit_has_its_version_and_time(tmp_path: Path, metadata: list[str], version: str):
    repo, tree = tmp_path / "repo", tmp_path / "tree"
    tree.mkdir()
    ostree("init", f"--repo={repo}", "--mode=archive")
    added = [f"--add-metadata-string={each}" for each in metadata]
    made = (f"--tree=dir={tree}", f"--timestamp={TIMESTAMP}", "-s", "a subject", *added)
    commit = ostree("commit", f"--repo={repo}", "--branch=ock", *made).strip()

    assert commit_facts(repo, commit) == CommitFacts(version, DATED)


@pytest.mark.parametrize("data", [None, b"", b"\xff" * 40])
def test_nothing_is_known_of_a_commit_that_cannot_be_read(tmp_path: Path, data: bytes | None):
    file = tmp_path / "objects" / "00" / f"{'0' * 62}.commit"
    file.parent.mkdir(parents=True)
    if data is not None:
        file.write_bytes(data)

    assert commit_facts(tmp_path, "0" * 64) == CommitFacts()
