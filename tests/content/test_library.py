"""Changes of the content directory: names, aliases, removal, the remains of a crash."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.open_directories import let_every_user_enter

from netboot.content.library.library import Library, LibraryEntry, checked_name
from netboot.content.serving.index import ContentIndex
from netboot.errors import ContentError
from netboot.model.release import EntryKind


@pytest.fixture
def library(content_directory: Path) -> Library:
    """Medium `ol8` and release `ock-1`."""
    return Library(content_directory)


def promoted(library: Library, name: str, alias: str) -> None:
    with library.changing() as staging:
        staging.promote(library.find(name), alias)


def test_an_empty_library_has_nothing(tmp_path: Path) -> None:
    assert Library(tmp_path / "nothing").entries() == []


def test_media_releases_and_aliases_are_listed(library: Library) -> None:
    promoted(library, "ock-1", "stable")

    assert library.entries() == [
        LibraryEntry(EntryKind.MEDIUM, "ol8", library.directory / "media" / "ol8"),
        LibraryEntry(EntryKind.RELEASE, "ock-1", library.directory / "ostree" / "ock-1"),
        LibraryEntry(EntryKind.RELEASE, "stable", library.directory / "ostree" / "stable", alias_of="ock-1"),
    ]
    assert library.aliases_of(library.find("ock-1")) == ["stable"]


def test_a_release_is_served_under_its_alias(library: Library) -> None:
    promoted(library, "ock-1", "stable")
    content = ContentIndex(library.directory)
    content.refresh()

    ours, theirs = content.find("/ostree/stable/refs/heads/ock"), content.find("/ostree/ock-1/refs/heads/ock")

    assert content.names(EntryKind.RELEASE) == ["ock-1", "stable"]
    assert ours is not None
    assert theirs is not None
    assert (ours.path, ours.etag) == (theirs.path, theirs.etag)


def test_an_alias_moves_at_once_and_by_any_name_of_its_target(library: Library) -> None:
    (library.directory / "ostree" / "ock-2").mkdir()
    promoted(library, "ock-1", "stable")
    promoted(library, "ock-2", "stable")
    promoted(library, "stable", "newest")

    assert (library.directory / "ostree" / "stable").readlink() == Path("ock-2")
    assert (library.directory / "ostree" / "newest").readlink() == Path("ock-2")
    assert library.remains() == []


def test_an_alias_cannot_have_the_name_of_a_release(library: Library) -> None:
    (library.directory / "ostree" / "ock-2").mkdir()

    with pytest.raises(ContentError, match="ock-2 is a release itself"):
        promoted(library, "ock-1", "ock-2")


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "-x", "é", "x" * 64, "a\n"])
def test_a_name_that_is_invalid_in_a_url_is_refused(name: str) -> None:
    with pytest.raises(ContentError, match="is not a valid name"):
        checked_name(name)


def test_a_missing_name_is_refused(library: Library) -> None:
    with pytest.raises(ContentError, match="there is no medium and no release ock-9 in"):
        library.find("ock-9")


def test_a_removed_release_is_deleted(library: Library) -> None:
    promoted(library, "ock-1", "stable")

    with library.changing() as staging:
        staging.remove(library.find("stable"))
        staging.remove(library.find("ock-1"))

    assert [entry.name for entry in library.entries()] == ["ol8"]
    assert library.remains() == []


def test_the_remains_of_a_crash_are_collected(library: Library) -> None:
    killed = library.directory / ".staging" / "1234-killed" / "release"
    killed.mkdir(parents=True)
    (killed / "config").write_bytes(b"12345")

    with library.changing() as staging:
        assert staging.collect() == (1, 5)
        assert staging.collect() == (0, 0)


def weird_remains(library: Library, outside: Path) -> None:
    """Entries that no import leaves, and a link to another user's directory."""
    (outside / "release" / "objects").mkdir(parents=True)
    (outside / "release" / "config").write_bytes(b"12345")
    staging = library.directory / ".staging"
    staging.mkdir()
    (staging / "link").symlink_to(outside)
    (staging / "dangling").symlink_to("nowhere")
    (staging / "file").write_bytes(b"1")
    os.mkfifo(staging / "pipe")
    (staging / "1-killed").mkdir()
    (staging / "1-killed" / "medium").symlink_to(outside / "release")
    (staging / "1-killed" / "new").write_bytes(b"1")


def test_remains_of_any_type_are_collected_and_the_target_of_a_link_stays(library: Library, tmp_path: Path) -> None:
    weird_remains(library, tmp_path / "outside")

    with library.changing() as staging:
        assert staging.collect()[0] == 5
        assert staging.collect() == (0, 0)
    assert (tmp_path / "outside" / "release" / "config").read_bytes() == b"12345"


def test_no_remains_are_reused_through_a_link(library: Library, tmp_path: Path) -> None:
    weird_remains(library, tmp_path / "outside")

    with library.changing() as staging:
        assert staging.take_over() == []
        assert library.remains() == [staging.directory]
    assert (tmp_path / "outside" / "release" / "config").read_bytes() == b"12345"


def test_the_remains_of_another_user_stay(library: Library) -> None:
    """As root imports, is killed, and the daemon imports next; in a process that gives up root's rights."""
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    (library.directory / ".staging").mkdir()
    for path in (library.directory, library.directory / ".staging"):
        path.chmod(0o777)
    let_every_user_enter(library.directory.parent)
    left = library.directory / ".staging" / "1-killed"
    (left / "release").mkdir(parents=True)
    left.chmod(0o700)

    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            with library.changing() as staging:
                os._exit(0 if (staging.take_over(), staging.collect()) == ([], (0, 0)) else 1)
        except BaseException:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (left / "release").is_dir()


def test_the_lock_of_a_killed_process_is_free(library: Library) -> None:
    program = (
        "import sys, time; from pathlib import Path; from netboot.content.library.library import Library\n"
        "with Library(Path(sys.argv[1])).changing(): print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(library.directory)], stdout=subprocess.PIPE, cwd=root, text=True
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ContentError, match=f"is being changed by process {holder.pid}"), library.changing():
            pass
        holder.send_signal(signal.SIGKILL)

    with library.changing() as staging:
        assert staging.collect()[0] == 1


def test_a_published_directory_is_readable_by_the_daemon_whatever_the_umask(tmp_path: Path) -> None:
    library = Library(tmp_path / "content")
    library.directory.mkdir()
    umask = os.umask(0o077)
    try:
        with library.changing() as staging:
            made = staging.make("release")
            (made / "objects" / "ab").mkdir(parents=True)
            staging.publish(made, EntryKind.RELEASE, "ock-1")
    finally:
        os.umask(umask)

    directories = [path for path in library.directory.rglob("*") if path.is_dir() and ".staging" not in path.parts]
    assert {oct(path.stat().st_mode & 0o777) for path in directories} == {"0o755"}
    assert len(directories) == 4


def test_a_directory_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ContentError, match=r"cannot write below .*file"), Library(tmp_path / "file").changing():
        pass
