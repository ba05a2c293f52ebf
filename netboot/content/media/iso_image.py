"""The files of an ISO 9660 image, by the names that a mount shows: Rock Ridge, otherwise UDF, Joliet, plain ISO 9660.

Uses pycdlib: no root, no mount, no loop device. Never writes to the image.
ECMA-119 §8.4 (primary volume descriptor), isomd5sum's libcheckisomd5 (the checksum that Oracle's media contain).
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import pycdlib
from pycdlib.pycdlibexception import PyCdlibInvalidInput

from netboot.content.library.disk import cannot_read
from netboot.content.library.progress import Progress
from netboot.errors import ContentError
from netboot.model.words import printable_line

CHUNK_BYTES: Final = 1 << 20
_SECTOR: Final = 2048
_DESCRIPTOR: Final = 16 * _SECTOR
_APPLICATION_USE: Final = slice(883, 883 + 512)


@dataclass(frozen=True, slots=True)
class Volume:
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
        raise cannot_read(path, error) from error
    if len(descriptor) < _SECTOR or descriptor[1:6] != b"CD001":
        raise ContentError(f"{path} is not an ISO 9660 image ({size} bytes); use the ISO as it was downloaded")
    volume = Volume(
        identifier=printable_line(descriptor[40:72].decode("ascii", "replace").strip()),
        size_bytes=int.from_bytes(descriptor[80:84], "little") * _SECTOR,
        implanted=descriptor[_APPLICATION_USE],
    )
    if size < volume.size_bytes:
        raise ContentError(
            f"{path} is cut off: {size} bytes of {volume.size_bytes}; continue the download (curl -C - -O URL)"
        )
    return volume


class IsoImage:
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

    def __exit__(self, *_error: object) -> None:
        with suppress(Exception):  # of a damaged image; its file is closed already, or when this process ends
            self._iso.close()

    def size_of(self, name: str) -> int | None:
        """Return the size of a file (`images/install.img`) in bytes, -1 for a directory; None if there is none."""
        for is_directory in (False, True):
            with _explaining_pycdlib_errors(self.path), suppress(PyCdlibInvalidInput):  # there is no such name
                record = self._iso.get_record(**self._place(name, is_directory=is_directory))
                return -1 if record.is_dir() else int(record.get_data_length())
        return None

    def has_file(self, name: str) -> bool:
        """Return whether there is a file that is not empty."""
        return (self.size_of(name) or -1) > 0

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read the beginning of a file; empty if there is none."""
        return b"".join(self._pieces(name, min(self.size_of(name) or 0, most_bytes)))

    def copy(self, name: str, to: Path, progress: Progress) -> str:
        """Copy a file out of the image and return its SHA-256; raise ContentError if it ends early.

        The content of an existing `to`, of an interrupted copy, is compared and written only from the first difference.
        """
        digest = hashlib.sha256()
        size, done = self.size_of(name) or 0, 0
        to.parent.mkdir(parents=True, exist_ok=True)
        to.parent.chmod(0o755)
        with to.open("r+b" if to.exists() else "x+b") as copy:
            for piece in self._pieces(name, size):
                digest.update(piece)
                if copy.read(len(piece)) != piece:
                    copy.seek(done)
                    copy.truncate()
                    copy.write(piece)
                done += len(piece)
                progress.advance(len(piece))
            copy.truncate(done)
        if done < size:
            raise ContentError(f"{self.path}: {name} ends after {done} of {size} bytes; download the ISO again")
        to.chmod(0o644)
        return digest.hexdigest()

    def _pieces(self, name: str, size_bytes: int) -> Iterator[bytes]:
        if size_bytes <= 0:
            return
        place = self._place(name, is_directory=False)
        with _explaining_pycdlib_errors(self.path), self._iso.open_file_from_iso(**place) as file:
            while size_bytes and (piece := bytes(file.read(min(size_bytes, CHUNK_BYTES)))):
                size_bytes -= len(piece)
                yield piece

    def _place(self, name: str, *, is_directory: bool) -> dict[str, str]:
        """Return the name in the namespace that is read; in plain ISO 9660 it is upper case (ECMA-119 §7.5)."""
        if self._by == "iso_path":
            name = name.upper()
            if not is_directory:
                name += ";1" if "." in name.rpartition("/")[2] else ".;1"
        return {self._by: f"/{name}"}


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
    """Read a whole image once; raise OSError if it cannot be read."""
    implanted = implanted_checksum(volume)
    checksum, covered = implanted or ("", 0)
    digests = {algorithm: hashlib.new(algorithm) for algorithm in algorithms}
    md5 = hashlib.md5(usedforsecurity=False)
    blank = _DESCRIPTOR + _APPLICATION_USE.start
    at = 0
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
    fits = md5.hexdigest() == checksum and covered > 0 if implanted else None
    return Checksums({name: digest.hexdigest() for name, digest in digests.items()}, fits)


@contextmanager
def _explaining_pycdlib_errors(path: Path) -> Iterator[None]:
    """Raise each exception of pycdlib for a damaged image as ContentError: struct.error, IndexError, …"""
    try:
        yield
    except ContentError:
        raise
    except OSError as error:
        raise cannot_read(path, error) from error
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ContentError(f"{path} cannot be read as an ISO: {reason}; download it again") from error
