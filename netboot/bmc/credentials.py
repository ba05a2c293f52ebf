"""Reads and writes the files with the user and password of a BMC: YAML, for their owner alone.

A file names the BMCs that get them, by URL and certificate: who may only change hosts can lead them nowhere else. No
message, and no representation of a value, contains the password.
"""

import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.model.access.secret_file import cure_of, is_credential
from netboot.model.bmc.bmc import Bmc, one_url
from netboot.model.host.host import Host
from netboot.model.words import one_line
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Listing, Node, Scalar, find
from netboot.yamlfile.positions import parse

_LARGEST_FILE: Final = 1 << 16  # bytes; one of a group lists its BMCs
_LONGEST: Final = 255  # characters of a user or a password
_OTHERS: Final = 0o077
_ABOVE_THE_FILE: Final = 0o007  # a credential of systemd is root's, and its group's by an access control list
_TEXT: Final = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class BmcCredentials:
    """The user of a BMC, and its password."""

    username: str
    password: str = field(repr=False)


def credentials_path(host: Host, directory: Path) -> Path:
    """Return where the credentials of a host's BMC are: the file that it names, or its own in the directory."""
    named = host.bmc.credentials if host.bmc is not None else None
    return named or directory / host.name


def read_credentials(path: Path, bmc: Bmc) -> BmcCredentials:
    """Read a file for a BMC; raise BmcFaultError.

    A file is refused that others may read, that has no user and password, or that does not name this BMC.
    """
    try:
        # without O_NONBLOCK a FIFO instead of the file would block the thread
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            found = os.fstat(file.fileno())
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        is_denied = isinstance(error, PermissionError)
        cure = cure_of(path) or (f"chown netboot: {path}" if is_denied else "netboot bmc credentials HOST writes it")
        raise _fault(f"cannot read {path}: {error.strerror}", cure) from error
    if not stat.S_ISREG(found.st_mode):
        raise _fault(f"{path} is not a regular file", "netboot bmc credentials HOST writes one")
    if found.st_mode & (_ABOVE_THE_FILE if is_credential(path) else _OTHERS):
        mode = f"{found.st_mode & 0o777:04o}"
        raise _fault(f"other users may read {path} (mode {mode})", f"chmod 600 {path}, and change the password")
    if found.st_uid not in {0, os.geteuid(), path.parent.stat().st_uid}:
        raise _fault(f"{path} belongs to another user than its directory", f"chown netboot: {path}")
    return _parsed(path, data, bmc)


def write_credentials(path: Path, credentials: BmcCredentials, bmc: Bmc) -> None:
    """Write a file for a BMC, and for the owner of its directory alone, in place of one that exists.

    Raises BmcFaultError.
    """
    if is_credential(path):
        raise _fault(f"{path} is a credential of systemd", "change the file that LoadCredential= names, and restart")
    for noun, text in (("user", credentials.username), ("password", credentials.password)):
        if len(text) > _LONGEST or not _TEXT.fullmatch(text):
            raise _fault(f"this is no {noun}", f"write 1 to {_LONGEST} characters without control characters")
    values = {
        "username": credentials.username,
        "password": credentials.password,
        "url": bmc.url,
        "certificate": bmc.certificate.text,
    }
    text = "".join(f"{name}: {_quoted(value)}\n" for name, value in values.items())
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_private(draft, text.encode())
        draft.replace(path)
    except OSError as error:
        cure = f"let the daemon's user write there: install -d -m 700 -o netboot -g netboot {path.parent}"
        raise _fault(f"cannot write {path}: {error.strerror}", cure) from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:  # a command of root must not lock out the daemon's user
            parent = path.parent.stat()
            os.fchown(descriptor, parent.st_uid, parent.st_gid)
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def _quoted(text: str) -> str:
    """Write a text as YAML has it in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def _parsed(path: Path, data: bytes, bmc: Bmc) -> BmcCredentials:
    cure = "write username: admin and password: 'SECRET', url and certificate of the BMC, each on a line of its own"
    if len(data) > _LARGEST_FILE:
        raise _fault(f"{path} has more than {_LARGEST_FILE} bytes", cure)
    faults = Faults()
    try:
        tree = parse(data.decode(), str(path), faults)
    except UnicodeDecodeError as error:
        raise _fault(f"{path} is not UTF-8", "save it as UTF-8") from error
    username, password = (_text(find(tree, (name,))) for name in ("username", "password"))
    if faults or not username or not password:  # the faults can show lines of the file
        raise _fault(f"{path} has no username and password", cure)
    _refuse_other(path, tree, bmc)
    return BmcCredentials(username, password)


def _refuse_other(path: Path, tree: Node | None, bmc: Bmc) -> None:
    """Refuse to use a file for a BMC that it does not name: hosts files could lead its password anywhere."""
    urls, certificates = (_texts(find(tree, (name,))) for name in ("url", "certificate"))
    if bmc.url in map(_one_url, urls) and bmc.certificate.text in certificates:
        return
    named = f"is for {one_line(', '.join(urls))} ({one_line(', '.join(certificates)) or 'no certificate'})"
    cure = (
        f"if the hosts files are right, netboot bmc credentials HOST; or write url: {bmc.url} and certificate: "
        f"{bmc.certificate.text} into it"
    )
    is_for = named if urls else "names no url, which gets the password"
    raise _fault(f"{path} {is_for}, and not for {bmc.url} ({bmc.certificate.text})", cure)


def _one_url(text: str) -> str:
    try:
        return one_url(text)
    except ValueError:
        return text


def _texts(node: Node | None) -> list[str]:
    """List a text, or the texts of a list."""
    return [text for each in (node.items if isinstance(node, Listing) else (node,)) if (text := _text(each))]


def _text(node: object) -> str:
    return node.text if isinstance(node, Scalar) and not node.is_null else ""


def _fault(reason: str, cure: str) -> BmcFaultError:
    return BmcFaultError(BmcFault.CREDENTIALS, reason, cure)
