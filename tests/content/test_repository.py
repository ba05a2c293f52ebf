"""An archive of the real `ostree` is read; anything else is refused with its cure."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.content.ostree.repository import check_release, read_release
from netboot.errors import ContentError
from netboot.model.release import Release


def ostree(*arguments: str) -> str:
    done = subprocess.run(["ostree", *arguments], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects_on_disk(repo: Path) -> list[str]:
    return [str(path.relative_to(repo)) for path in (repo / "objects").glob("??/*")]


def test_the_walk_reaches_exactly_what_ostree_wrote(content_directory: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"
    commit = ostree("rev-parse", f"--repo={repo}", "ock").strip()

    release = read_release(content_directory, "ock-1")

    assert release == Release("ock-1", "ock", commit, len(objects_on_disk(repo)))


def test_objects_of_no_ref_are_not_counted(content_directory: Path, tmp_path: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"
    before = read_release(content_directory, "ock-1")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("other")
    ostree("commit", f"--repo={repo}", "--branch=other", f"--tree=dir={tmp_path / 'other'}", "-s", "other")

    assert read_release(content_directory, "ock-1") == before


def test_a_single_ref_of_any_name_is_taken(content_directory: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"
    ostree("refs", f"--repo={repo}", "--create=ol/8/x86_64", "ock")
    ostree("refs", f"--repo={repo}", "--delete", "ock")

    assert read_release(content_directory, "ock-1").ref == "ol/8/x86_64"


def test_several_refs_of_which_none_is_ock_are_refused(content_directory: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"
    ostree("refs", f"--repo={repo}", "--create=first", "ock")
    ostree("refs", f"--repo={repo}", "--create=second", "ock")
    ostree("refs", f"--repo={repo}", "--delete", "ock")

    with pytest.raises(
        ContentError, match=r"ock-1 has the refs first, second and none is ock; ostree refs --repo=.* --create=ock"
    ):
        read_release(content_directory, "ock-1")


@pytest.mark.parametrize("mode", ["bare", "bare-user"])
def test_the_error_for_a_repository_that_cannot_be_served_has_the_cure(tmp_path: Path, mode: str) -> None:
    (tmp_path / "ostree").mkdir()
    ostree("init", f"--repo={tmp_path / 'ostree' / 'r'}", f"--mode={mode}")

    with pytest.raises(
        ContentError, match=rf"in mode {mode}, which cannot be served over HTTP; ostree init .*pull-local"
    ):
        read_release(tmp_path, "r")


def test_what_is_not_there_is_named(content_directory: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"

    with pytest.raises(ContentError, match=r"cannot find release nope: .* import-archive FILE --name nope"):
        read_release(content_directory, "nope")

    commit = read_release(content_directory, "ock-1").commit
    path = repo / "objects" / commit[:2] / f"{commit[2:]}.commit"
    path.unlink()
    with pytest.raises(
        ContentError, match=rf"ock-1 lacks objects/{commit[:2]}/{commit[2:]}.commit .*; copy the archive"
    ):
        read_release(content_directory, "ock-1")

    (repo / "refs" / "heads" / "ock").write_text("nonsense\n")
    with pytest.raises(ContentError, match=r"refs/heads/ock contains no commit's checksum"):
        read_release(content_directory, "ock-1")

    (repo / "refs" / "heads" / "ock").unlink()
    with pytest.raises(ContentError, match=r"has no ref below .*refs/heads; copy refs/heads/ock"):
        read_release(content_directory, "ock-1")

    (repo / "config").unlink()
    with pytest.raises(ContentError, match=r"cannot read release ock-1: .*config.*; copy the whole OSTree archive"):
        read_release(content_directory, "ock-1")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_metadata_is_refused_with_the_name_of_the_object(
    archive: Path, tmp_path: Path, data: st.DataObject
) -> None:
    """A damaged dirtree may still be valid: then an object is missing, or only a name in it differs."""
    repo = tmp_path / "ostree" / "r"
    if not repo.exists():
        shutil.copytree(archive, repo)
    metadata = sorted([*repo.glob("objects/*/*.commit"), *repo.glob("objects/*/*.dirtree")])
    path = data.draw(st.sampled_from(metadata))
    good = path.read_bytes()
    cut = data.draw(st.integers(0, len(good) - 1))
    path.write_bytes(good[:cut] + data.draw(st.binary(max_size=8)) + good[cut + data.draw(st.integers(0, 4)) :])

    said = ""
    try:
        read_release(tmp_path, "r")
    except ContentError as error:
        said = str(error)
    finally:
        path.write_bytes(good)

    assert not said or "objects/" in said


def test_a_release_is_complete_enough_to_begin_with_ref_and_commit(content_directory: Path) -> None:
    repo = content_directory / "ostree" / "ock-1"
    (commit,) = repo.glob("objects/??/*.commit")
    check_release(content_directory, "ock-1")
    commit.unlink()

    with pytest.raises(ContentError, match=rf"^release ock-1 lacks {commit.relative_to(repo)} \(No such file"):
        check_release(content_directory, "ock-1")
    with pytest.raises(ContentError, match=r"^cannot find release ock-9: "):
        check_release(content_directory, "ock-9")
