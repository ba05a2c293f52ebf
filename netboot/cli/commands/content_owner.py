"""Gives files that root made in the content directory to the directory's owner: the daemon's user.

The daemon makes deltas beside releases and imports uploads; files that only root may change would prevent both.
Follows no link: below a directory that another user owns, none can be trusted.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from netboot.errors import ContentError


@contextmanager
def handed_over(directory: Path) -> Iterator[None]:
    """Run the block, then give new files in `directory` to its owner; print a note if that fails."""
    try:
        yield
    finally:
        try:
            hand_over(directory)
        except ContentError as error:
            click.echo(f"note: {error}", err=True)


def hand_over(directory: Path) -> None:
    """Give root's files below `directory` to its owner; does nothing if the user is not root, or if root owns it."""
    if os.geteuid() != 0 or not directory.is_dir():
        return
    owner = directory.stat()
    if owner.st_uid == 0:
        return
    try:
        for _, directories, files, descriptor in os.fwalk(directory):
            for name in (*directories, *files):
                with suppress(FileNotFoundError):  # the daemon works here too
                    if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_uid == 0:
                        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=descriptor, follow_symlinks=False)
    except OSError as error:
        raise ContentError(
            f"cannot give the files in {directory} to its owner: {error.strerror}; "
            f"chown -R {owner.st_uid}:{owner.st_gid} {directory}"
        ) from error
