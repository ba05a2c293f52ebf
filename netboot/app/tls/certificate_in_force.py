"""The certificate that new connections get. Follows its files; a faulty pair replaces nothing."""

import asyncio
import ssl
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from netboot.errors import CertificateError
from netboot.model.access.certificate_files import CertificateFiles

if TYPE_CHECKING:
    from netboot.operate.certificates.server_certificate import ServerCertificate  # slow to load

log = structlog.get_logger()


class CertificateInForce:
    """Read in a thread: at the start, and after a change once both files are the same at two looks."""

    def __init__(self, files: CertificateFiles | None, *, now: Callable[[], datetime]) -> None:
        """`files` are those of the settings; None: there are none, and no certificate."""
        self._files = files
        self._now = now
        self._read_of: list[object] = []  # what identifies the files that were read last
        self._seen: list[object] = []  # what identified them at the last look
        self._context: ssl.SSLContext | None = None
        self._certificate: ServerCertificate | None = None
        self._fault: str | None = None  # why the files are not in force

    @property
    def context(self) -> ssl.SSLContext | None:
        """The context of new connections."""
        return self._context

    def context_in_force(self) -> ssl.SSLContext:
        """Return the context of new connections, where nothing listens without one."""
        assert self._context is not None
        return self._context

    @property
    def ends_at(self) -> datetime | None:
        return None if self._certificate is None else self._certificate.ends_at

    def problems(self) -> list[str]:
        """List why the files are not in force, and why clients refuse the certificate that is."""
        ended = None if self._certificate is None else self._certificate.problem(self._now())
        return [each for each in (self._fault, ended) if each is not None]

    def warnings(self, wanted: Collection[str]) -> list[str]:
        """List what should be corrected; `wanted` are the host names and addresses at which it is served."""
        return [] if self._certificate is None else [*self._certificate.warnings(self._now(), wanted=wanted)]

    async def refresh(self) -> None:
        """Look at the files, and read them if they changed and do not change any more."""
        if self._files is not None:
            await asyncio.to_thread(self._refresh, self._files)

    def _refresh(self, files: CertificateFiles) -> None:
        from netboot.operate.certificates.server_certificate import read_server_certificate, tls_context

        found = [_identity(files.certificate), _identity(files.key)]
        is_settled = found == self._seen or not self._read_of
        self._seen = found
        if found == self._read_of or not is_settled:  # a renewal replaces one file after the other
            return
        self._read_of = found
        try:
            certificate = read_server_certificate(files)
            context = tls_context(files)
            self._check_replaces(certificate)
        except CertificateError as error:
            kept = "; the one that was read before stays in force" if self._context is not None else ""
            self._fault = f"{error}{kept}"
            log.error("tls.certificate_refused", setting=files.use.value, reason=self._fault)
            return
        self._context, self._certificate, self._fault = context, certificate, None
        about = {"file": str(files.certificate), "names": list(certificate.names)}
        log.info("tls.certificate_loaded", setting=files.use.value, **about, ends_at=certificate.ends_at.isoformat())

    def _check_replaces(self, certificate: "ServerCertificate") -> None:
        """Refuse a pair that clients refuse now, if they accept the one in force."""
        now = self._now()
        problem = certificate.problem(now)
        if problem is not None and self._certificate is not None and self._certificate.is_valid_at(now):
            raise CertificateError(problem)


def _identity(path: Path) -> object:
    """Return what changes with a file's content or with the right to read it."""
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
