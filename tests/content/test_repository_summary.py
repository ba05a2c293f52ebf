"""A summary that disagrees with its ref, made by the real ostree, is refused or left out, never served."""

import asyncio
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.imports.archive_import import import_archive
from netboot.content.imports.verify import verify
from netboot.content.library.library import Library
from netboot.content.ostree.deltas import lacking_deltas
from netboot.content.ostree.repository import read_ref, summary_fault, summary_refs
from netboot.content.serving.index import ContentIndex
from netboot.content.serving.trees import ReleaseTree
from netboot.errors import ContentError
from netboot.model.release import EntryKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ostree(*arguments: str | Path) -> str:
    return subprocess.run(["ostree", *map(str, arguments)], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Make fails/15: the summary is of commit A, the ref of commit B."""
    directory = tmp_path_factory.mktemp("stale")
    root, tree = directory / "repository", directory / "tree"
    tree.mkdir()
    ostree("init", f"--repo={root}", "--mode=archive")
    commits = []
    for text in ("A", "B"):
        (tree / "file").write_text(text)
        commits.append(
            ostree("commit", f"--repo={root}", "--branch=ock", f"--tree=dir={tree}", "--no-xattrs", f"--subject={text}")
        )
        if text == "A":
            ostree("summary", "-u", f"--repo={root}")
    return root, commits[0], commits[1]


def stale(made: tuple[Path, str, str], place: Path, *, prune: bool = False, sign: bool = False) -> Path:
    shutil.copytree(made[0], place)
    if prune:
        ostree("prune", f"--repo={place}", "--refs-only", "--depth=0")
    if sign:
        (place / "summary.sig").write_text("no signature")
    return place


def test_the_commits_that_a_summary_names_are_read_as_ostree_writes_them(made: tuple[Path, str, str], tmp_path: Path):
    root = stale(made, tmp_path / "repository")
    assert summary_refs((root / "summary").read_bytes()) == {"ock": made[1]}
    for number in range(20):
        ostree("refs", f"--repo={root}", f"--create=other/ref{number:0{number + 1}}", made[1])
    ostree("summary", "-u", f"--repo={root}")

    refs = summary_refs((root / "summary").read_bytes())

    assert refs == {"ock": made[2]} | {f"other/ref{number:0{number + 1}}": made[1] for number in range(20)}
    assert summary_fault(root) is None


@pytest.mark.parametrize("prune", [False, True])
def test_an_import_leaves_a_stale_summary_out_and_says_so(made: tuple[Path, str, str], tmp_path: Path, prune: bool):
    source = stale(made, tmp_path / "source", prune=prune)
    library = Library(tmp_path / "content")

    done = import_archive(library, source, "ock", now=NOW)

    assert done.commit == made[2]
    assert done.notes == (
        f"its summary is not imported: it names commit {made[1]} for ock, and refs/heads/ock is {made[2]}",
    )
    assert not (tmp_path / "content/ostree/ock/summary").exists()


def test_an_import_refuses_a_stale_summary_that_is_signed(made: tuple[Path, str, str], tmp_path: Path):
    source = stale(made, tmp_path / "source", sign=True)
    library = Library(tmp_path / "content")

    with pytest.raises(ContentError, match=f"signed summary .*{made[1]} for ock, and refs/heads/ock is {made[2]}"):
        import_archive(library, source, "ock", now=NOW)

    assert library.entries() == []


@pytest.mark.parametrize("sign", [False, True])
def test_a_stale_summary_of_an_archive_that_was_copied_in_is_not_served_and_verify_names_it(
    made: tuple[Path, str, str], tmp_path: Path, sign: bool
):
    root = stale(made, tmp_path / "ostree" / "ock", sign=sign)
    content = ContentIndex(tmp_path)
    content.refresh()
    library = Library(tmp_path)
    entry = library.get(EntryKind.RELEASE, "ock")
    assert entry is not None

    async def served() -> list[bool]:
        paths = ("/ostree/ock/summary", "/ostree/ock/summary.sig", "/ostree/ock/config")
        return [(content.find(path) or await content.find_new(path)) is not None for path in paths]

    assert asyncio.run(served()) == [False, False, True]
    assert [problem for problem in content.problems if f"{root}/summary is not served: it names commit" in problem]
    assert verify(entry).faults.keys() == {"summary"}
    assert bool(lacking_deltas(library)) is not sign

    ostree("summary", "-u", f"--repo={root}")
    assert asyncio.run(served()) == [True, False, True]  # ostree removes the signature, which is of the old one
    assert verify(entry).is_sound
    (root / "refs/heads/ock").write_text(made[1] + "\n")  # by hand, while the daemon runs
    assert asyncio.run(served()) == [False, False, True]


def test_a_publication_leaves_it_out(made: tuple[Path, str, str], tmp_path: Path):
    stale(made, tmp_path / "ostree" / "ock")

    tree = ReleaseTree.read(tmp_path, "ock")

    assert tree is not None
    assert "summary" not in tree.files
    assert read_ref(tree.root, "ock")[1] == made[2]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_summary_or_refused(data: bytes):
    try:
        refs = summary_refs(data)
    except ContentError:
        return
    assert all(len(commit) == 64 for commit in refs.values())
