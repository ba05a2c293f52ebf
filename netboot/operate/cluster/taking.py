"""Puts an Ignition file of `ocne` in the place that a role names: atomically, mode 0600, with a record of the time.

The file that it replaces stays beside it as `NAME.previous`. No content is logged.
"""

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from netboot.boot.documents.role_files import RoleFileRead, TakenRecord, read_record, record_path
from netboot.errors import RoleFileError, read_only_cure
from netboot.model.clock import RandomBytes
from netboot.model.host.role_ignition import LIFETIMES, RoleFile, SecretKind

PREVIOUS_SUFFIX: Final = ".previous"

_SALT_BYTES: Final = 16
_MOST_SECRETS: Final = 32  # whose first time is remembered
_DRAFT_BYTES: Final = 8
_ABANDONED_S: Final = 60.0  # after its last write, a draft is of a command that was killed


def record_for(
    path: Path,
    content: bytes,
    file: RoleFile,
    *,
    before: RoleFileRead | None,
    now: datetime,
    is_renewed: bool,
    random_bytes: RandomBytes,
) -> TakenRecord:
    """Return the record of a file that is taken now; raise RoleFileError for a secret that has ended.

    A secret that this path had before keeps its first time, unless it `is_renewed`: the cluster was given it again.
    """
    earlier = read_record(path) or TakenRecord("", now, random_bytes(_SALT_BYTES))
    known = dict(earlier.since)
    if before is not None:
        for deadline in before.deadlines:
            known.setdefault(earlier.fingerprint(deadline.secret, before.file.secrets[deadline.secret]), deadline.since)
    for kind, digest in file.secrets.items():
        name = earlier.fingerprint(kind, digest)
        since = None if is_renewed else known.pop(name, None)
        if since is not None and since + LIFETIMES[kind] <= now:
            raise _ended(kind, since)
        known[name] = since or now  # last, so that it is remembered longest
    kept = dict(list(known.items())[-_MOST_SECRETS:])
    return replace(earlier, sha256=hashlib.sha256(content).hexdigest(), taken_at=now, since=kept)


def _ended(kind: SecretKind, since: datetime) -> RoleFileError:
    return RoleFileError(
        f"it has the {kind} that came here at {since:%Y-%m-%d %H:%M} UTC and ended at "
        f"{since + LIFETIMES[kind]:%Y-%m-%d %H:%M} UTC; run ocne cluster join again for a new file; "
        "if you ran the commands that it printed again for this file, add --renewed"
    )


def put_in_place(path: Path, content: bytes, record: TakenRecord) -> None:
    """Replace the file at `path`, keep the previous one, and record the time; raise RoleFileError."""
    try:
        keep_previous(path, unless=content)
        _write(record_path(path), record.as_text().encode())
        _write(path, content)
    except OSError as error:
        raise _cannot_write(path, error) from error


def keep_previous(path: Path, *, unless: bytes) -> None:
    """Copy the file at `path` to `NAME.previous`, unless it is set again; raise OSError.

    Of a link nothing is copied: the daemon's user may write in this directory, so root must not copy what it leads to.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return
        raise
    with os.fdopen(descriptor, "rb") as file:
        content = file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    if content not in (None, unless):
        _write(_previous(path), content)


@contextmanager
def put_aside(paths: Sequence[Path]) -> Iterator[None]:
    """Rename files of an earlier cluster to `NAME.previous`; rename them back if this or the block fails."""
    renamed: list[Path] = []
    try:
        for path in paths:
            try:
                path.replace(_previous(path))
            except OSError as error:
                raise _cannot_write(path, error) from error
            renamed.append(path)
        yield
    except RoleFileError:
        for path in renamed:
            with suppress(OSError):
                _previous(path).replace(path)
        raise


def _previous(path: Path) -> Path:
    return path.with_name(path.name + PREVIOUS_SUFFIX)


def _write(path: Path, content: bytes) -> None:
    """Write a file of mode 0600, and replace `path` by it."""
    _remove_drafts(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(_DRAFT_BYTES)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            _give_to_the_daemon(file.fileno(), path.parent)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _remove_drafts(path: Path) -> None:
    """Delete what commands left that were killed while they wrote: it has the secrets of a file."""
    is_draft = re.compile(rf"{re.escape(f'.{path.name}.')}[0-9a-f]{{{2 * _DRAFT_BYTES}}}").fullmatch
    for draft in [each for each in path.parent.iterdir() if is_draft(each.name)]:
        with suppress(OSError):
            if time.time() - draft.lstat().st_mtime > _ABANDONED_S:
                draft.unlink()


def _give_to_the_daemon(descriptor: int, directory: Path) -> None:
    """Let the directory's group, the daemon's, read a file that root writes while no daemon runs."""
    status = directory.stat()
    if os.geteuid() == 0 and status.st_uid != 0:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    elif os.geteuid() == 0 and status.st_gid != 0:
        os.fchown(descriptor, 0, status.st_gid)
        os.fchmod(descriptor, 0o640)


def _cannot_write(path: Path, error: OSError) -> RoleFileError:
    cure = (
        f"let the daemon write to {path.parent}: "
        f"chgrp netboot {path.parent} && chmod g+w {path.parent}, and ReadWritePaths={path.parent} in the unit"
    )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        cure = "free some space"
    elif error.errno == errno.EROFS:
        cure = read_only_cure(path.parent)
    return RoleFileError(f"cannot write {path}: {error.strerror}; {cure}")
