"""A file that a simulated machine read: its size and digest, and its first bytes. Memory per file is bounded."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from netboot.model.install.event import Step
from netboot.model.words import shown_size
from netboot.probe.boot_failed import BootFailedError

KEPT_BYTES: Final = 256 << 10  # the longest script
HEAD_BYTES: Final = 16 << 10  # the headers of a program, so that 500 machines hold 30 MB
_PROGRAMS: Final = frozenset({Step.LOADER, Step.KERNEL, Step.INITRD})
_LARGEST_PROGRAM: Final = 2 << 30  # a firmware reads it into memory
_LARGEST_SCRIPT: Final = 16 << 20  # of which no loader reads more than a part


def kept_bytes(step: Step) -> int:
    """Return how much of a file is kept that is read in a step."""
    return HEAD_BYTES if step in _PROGRAMS else KEPT_BYTES


def largest_bytes(step: Step) -> int | None:
    """Return how many bytes a machine reads of one file in a step; None: it does not keep the file in memory."""
    if step in _PROGRAMS:
        return _LARGEST_PROGRAM
    return _LARGEST_SCRIPT if step is Step.SCRIPT else None


def absolute_url(base: str, target: str) -> str:
    """Resolve a URL against the file that names it (RFC 3986 §5); also for tftp, which `urljoin` leaves out."""
    if not base.startswith("tftp://") or "://" in target:
        return urljoin(base, target)
    return "tftp" + urljoin(f"http{base[4:]}", target)[4:]


class FileTooLargeError(ValueError):
    """The file does not end where the machine has no more memory for it; the text is the reason."""


class FileMissingError(BootFailedError):
    """The server does not have the file: TFTP ERROR 1, HTTP 404. For an optional file the machine goes on."""


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """One file. `url` is `tftp://SERVER/NAME` for TFTP; `content` has at most `KEPT_BYTES`."""

    name: str
    url: str
    size_bytes: int
    sha256: str
    content: bytes = b""

    @property
    def is_whole(self) -> bool:
        """True if `content` is the whole file."""
        return len(self.content) == self.size_bytes

    @property
    def text(self) -> str:
        """Return the kept content as text, for scripts; bytes that are not UTF-8 become U+FFFD."""
        return self.content.decode("utf-8", "replace")


class FileRecorder:
    """Computes size and SHA-256 of a file while it arrives, keeps its first bytes, hands all of them to `sink`."""

    def __init__(
        self,
        sink: Callable[[bytes], object] | None = None,
        *,
        kept_bytes: int = KEPT_BYTES,
        largest_bytes: int | None = None,
    ) -> None:
        self.size_bytes = 0
        self.content = bytearray()
        self._digest = hashlib.sha256()
        self._sink = sink
        self._kept_bytes = kept_bytes
        self._largest_bytes = largest_bytes

    def write(self, data: bytes) -> None:
        """Add the next bytes of the file; raise FileTooLargeError behind the largest size."""
        self.size_bytes += len(data)
        if self._largest_bytes is not None and self.size_bytes > self._largest_bytes:
            raise FileTooLargeError(f"it has more than {shown_size(self._largest_bytes)}, which no machine reads")
        self._digest.update(data)
        if (missing := self._kept_bytes - len(self.content)) > 0:
            self.content += data[:missing]
        if self._sink is not None:
            self._sink(data)

    @property
    def sha256(self) -> str:
        """Return the digest of what arrived until now, in hexadecimal."""
        return self._digest.hexdigest()

    def loaded(self, name: str, url: str) -> LoadedFile:
        """Return the file that arrived."""
        return LoadedFile(name, url, self.size_bytes, self.sha256, bytes(self.content))


def recorder_of(step: Step, sink: Callable[[bytes], object] | None = None) -> FileRecorder:
    """Return the recorder of a file that is read in a step."""
    return FileRecorder(sink, kept_bytes=kept_bytes(step), largest_bytes=largest_bytes(step))
