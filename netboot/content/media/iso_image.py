"""The files of an ISO 9660 image, by the names that a mount shows: Rock Ridge, otherwise UDF, Joliet, plain ISO 9660.

Uses pycdlib: no root, no mount, no loop device. Never writes to the image.
ECMA-119 §8.4 (primary volume descriptor), isomd5sum's libcheckisomd5 (the checksum that Oracle's media contain).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pycdlib
from pycdlib.pycdlibexception import PyCdlibException, PyCdlibInvalidInput

from netboot.content.library.disk import cannot_read
from netboot.content.library.progress import Progress
from netboot.errors import ContentError

CHUNK_BYTES: Final = 1 << 20
_SECTOR: Final = 2048
_DESCRIPTOR: Final = 16 * _SECTOR
_APPLICATION_USE: Final = slice(883, 883 + 512)


@dataclass(frozen=True, slots=True)
class Volume:
    """Fields of the primary volume descriptor."""

    identifier: str  # `OL-8-10-0-BaseOS-x86_64`
    size_bytes: int
    implanted: bytes  # its application use field: `ISO MD5SUM = …;SKIPSECTORS = 15;…`


def read_volume(path: Path) -> Volume:
    """Read the volume descriptor of an ISO; raise ContentError if the file is not an ISO, or is cut off."""
    try:
        with path.open("rb") as file:
            file.seek(_DESCRIPTOR)
            descriptor = file.read(_SECTOR)
        size = path.stat().st_size
    except OSError as error:
        raise ContentError(f"cannot read {path}: {error.strerror}") from error
    if len(descriptor) < _SECTOR or descriptor[1:6] != b"CD001":
        raise ContentError(f"{path} is not an ISO 9660 image ({size} bytes); use the ISO as it was downloaded")
    volume = Volume(
        identifier=descriptor[40:72].decode("ascii", "replace").strip(),
        size_bytes=int.from_bytes(descriptor[80:84], "little") * _SECTOR,
        implanted=descriptor[_APPLICATION_USE],
    )
    if size < volume.size_bytes:
        raise ContentError(
            f"{path} is cut off: {size} bytes of {volume.size_bytes}; continue the download (curl -C - -O URL)"
        )
    return volume


class IsoImage:
    """An open image; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._iso = pycdlib.PyCdlib()
        self._by = "iso_path"

    def __enter__(self) -> Self:
        with _explaining_pycdlib_errors(self.path):
            self._iso.open(str(self.path))
            namespaces = {
                "rr_path": self._iso.has_rock_ridge(),
                "udf_path": self._iso.has_udf(),
                "joliet_path": self._iso.has_joliet(),
            }
        self._by = next((name for name, is_present in namespaces.items() if is_present), "iso_path")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(Exception):  # of a damaged image; its file is closed already, or when this process ends
            self._iso.close()

    def size_of(self, name: str) -> int | None:
        """Return the size of a file (`images/install.img`) in bytes, -1 for a directory; None if there is none."""
        record = self._record(name)
        if record is None:
            return None
        with _explaining_pycdlib_errors(self.path):
            return -1 if record.is_dir() else int(record.get_data_length())

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read the beginning of a file; empty if there is none."""
        if (self.size_of(name) or -1) < 0:
            return b""
        with self._open(name) as file, _explaining_pycdlib_errors(self.path):
            return bytes(file.read(most_bytes))

    def copy(self, name: str, to: Path, progress: Progress) -> str:
        """Copy a file out of the image and return its SHA-256; raise ContentError if it ends early.

        The content of an existing `to`, of an interrupted copy, is compared and written only from the first difference.
        """
        digest = hashlib.sha256()
        size = left = self.size_of(name) or 0
        to.parent.mkdir(parents=True, exist_ok=True)
        to.parent.chmod(0o755)
        with self._open(name) as file, to.open("r+b" if to.exists() else "x+b") as copy:
            while left and (chunk := self._read(file, min(left, CHUNK_BYTES))):
                digest.update(chunk)
                if copy.read(len(chunk)) != chunk:
                    copy.seek(size - left)
                    copy.truncate()
                    copy.write(chunk)
                left -= len(chunk)
                progress.advance(len(chunk))
            copy.truncate(size - left)
        if left:
            raise ContentError(f"{self.path}: {name} ends after {size - left} of {size} bytes; download the ISO again")
        to.chmod(0o644)
        return digest.hexdigest()

    def _read(self, file: Any, most_bytes: int) -> bytes:
        with _explaining_pycdlib_errors(
            self.path
        ):  # errors of the image only; the caller handles those of writing the copy
            return bytes(file.read(most_bytes))

    @contextmanager
    def _open(self, name: str) -> Iterator[Any]:
        with _explaining_pycdlib_errors(self.path):
            reader: Any = self._iso.open_file_from_iso(**{self._by: self._spelled(name, is_directory=False)})
            opened = reader.__enter__()
        try:
            yield opened
        finally:
            with suppress(Exception):
                opened.close()

    def _record(self, name: str) -> Any:
        for is_directory in (False, True):
            with suppress(PyCdlibException), _explaining_pycdlib_errors(self.path):
                return self._iso.get_record(**{self._by: self._spelled(name, is_directory=is_directory)})
        return None

    def _spelled(self, name: str, *, is_directory: bool) -> str:
        """Return the name in the namespace that is read; in plain ISO 9660 it is upper case (ECMA-119 §7.5)."""
        if self._by != "iso_path":
            return f"/{name}"
        *directories, last = name.upper().split("/")
        if is_directory:
            return "/" + "/".join([*directories, last])
        stem, dot, ending = last.rpartition(".")
        plain = f"{stem}.{ending}" if dot else f"{last}."
        return "/" + "/".join([*directories, f"{plain};1"])


def implanted_checksum(volume: Volume) -> tuple[str, int] | None:
    """Read the MD5 that `implantisomd5` wrote into an image, and how many bytes it covers; None if there is none."""
    pairs = (part.partition("=") for part in volume.implanted.decode("ascii", "replace").split(";"))
    values = {key.strip(): value.strip() for key, _, value in pairs}
    checksum, skipped = values.get("ISO MD5SUM", ""), values.get("SKIPSECTORS", "0")
    if len(checksum) != 32 or not skipped.isdecimal():
        return None
    return checksum, volume.size_bytes - int(skipped) * _SECTOR


@dataclass(frozen=True, slots=True)
class Checksums:
    """Checksums of a whole image in hexadecimal, and whether the implanted one matches."""

    by_algorithm: dict[str, str]
    fits_implanted: bool | None  # None: none is implanted; MD5 detects damage, not forgery


def read_checksums(path: Path, volume: Volume, progress: Progress, *algorithms: str) -> Checksums:
    """Read a whole image once; raise ContentError if it cannot be read."""
    implanted = implanted_checksum(volume)
    checksum, covered = implanted or ("", 0)
    digests = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    md5 = hashlib.md5(usedforsecurity=False)
    blank = _DESCRIPTOR + _APPLICATION_USE.start
    at = 0
    try:
        progress.step(f"checking {path.name}", path.stat().st_size)
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                for digest in digests.values():
                    digest.update(chunk)
                if at <= blank < at + len(chunk):  # the field that contains the checksum counts as blanks
                    place = blank - at
                    chunk = chunk[:place] + b" " * 512 + chunk[place + 512 :]
                if at < covered:
                    md5.update(chunk[: covered - at])
                at += len(chunk)
                progress.advance(len(chunk))
    except OSError as error:
        raise cannot_read(path, error) from error
    fits = md5.hexdigest() == checksum and covered > 0 if implanted else None
    return Checksums({name: digest.hexdigest() for name, digest in digests.items()}, fits)


@contextmanager
def _explaining_pycdlib_errors(path: Path) -> Iterator[None]:
    """Raise each exception of pycdlib for a damaged image as ContentError: struct.error, IndexError, …"""
    try:
        yield
    except (ContentError, PyCdlibInvalidInput):  # the latter is also raised for a missing name
        raise
    except OSError as error:
        raise cannot_read(path, error) from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ContentError(f"{path} cannot be read as an ISO: {reason}; download it again") from error
