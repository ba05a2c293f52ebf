"""Files that root imports then belong to the daemon's user, who makes their deltas."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from netboot.cli.commands.content.changed_content import hand_over, handed_over
from netboot.errors import ContentError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")

DAEMON = 65534


def owners(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.lstat().st_uid for path in directory.rglob("*")}


def test_what_root_put_there_becomes_the_owners_and_nothing_behind_a_link(tmp_path: Path):
    content, outside = tmp_path / "content", tmp_path / "outside"
    (content / "ostree" / "two").mkdir(parents=True)
    (content / "ostree" / "two" / "config").touch()
    (content / "ostree" / "stable").symlink_to("two")
    outside.touch()
    (content / "elsewhere").symlink_to(outside)
    os.chown(content, DAEMON, DAEMON)

    hand_over(content)

    assert owners(content) == dict.fromkeys(
        ("elsewhere", "ostree", "ostree/stable", "ostree/two", "ostree/two/config"), DAEMON
    )
    assert outside.stat().st_uid == 0


def test_what_belongs_to_a_third_stays_his(tmp_path: Path):
    (tmp_path / "mirror").touch()
    os.chown(tmp_path / "mirror", 1000, 1000)
    os.chown(tmp_path, DAEMON, DAEMON)

    hand_over(tmp_path)

    assert owners(tmp_path) == {"mirror": 1000}


def test_where_root_owns_the_directory_or_none_is_there_nothing_changes(tmp_path: Path):
    (tmp_path / "config").touch()

    hand_over(tmp_path)
    hand_over(tmp_path / "none")

    assert owners(tmp_path) == {"config": 0}


def test_what_a_refused_import_left_is_handed_over_too(tmp_path: Path):
    os.chown(tmp_path, DAEMON, DAEMON)

    with suppress(ContentError), handed_over(tmp_path):
        (tmp_path / ".lock").touch()
        raise ContentError("refused")

    assert owners(tmp_path) == {".lock": DAEMON}
