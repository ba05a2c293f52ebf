"""Checks a certificate as the daemon would serve it: that of the administration, or of the registry."""

import os
from collections.abc import Collection, Iterable
from datetime import datetime
from ipaddress import IPv4Address
from pathlib import Path

from netboot.doctor.configuration.check_report import CheckReport
from netboot.errors import CertificateError
from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.model.access.secret_file import cure_of, is_elsewhere
from netboot.settings.settings import Settings

_NAMES = {CertificateUse.ADMIN: "the administration", CertificateUse.REGISTRY: "the registry"}


def check_registry(settings: Settings, addresses: Iterable[IPv4Address], *, now: datetime) -> CheckReport:
    """Check the files of the section `registry`; `addresses` are those at which machines reach this appliance."""
    report = CheckReport()
    if settings.registry.files is not None:
        check_certificate(settings.registry.files, [*map(str, addresses)], now, report)
    return report


def check_certificate(files: CertificateFiles, wanted: Collection[str], now: datetime, report: CheckReport) -> bool:
    """Return whether the daemon can serve the pair; what its user may read is checked by `box_access`."""
    if is_elsewhere(files.key):
        what = f"the certificate of {_NAMES[files.use]}: no key, {files.key}"
        report.notes.append(f"not checked: {what}; {cure_of(files.key)}")
        return True
    unreadable = [path for path in (files.certificate, files.key) if _is_closed(path)]
    if unreadable:
        names = " and ".join(map(str, unreadable))
        report.notes.append(f"not checked: the certificate of {_NAMES[files.use]}: this user may not read {names}")
        return True
    from netboot.operate.certificates.server_certificate import read_server_certificate, tls_context  # slow to load

    try:
        certificate = read_server_certificate(files)
        tls_context(files)
    except CertificateError as error:
        report.problems.append(str(error))
        return False
    if (problem := certificate.problem(now)) is not None:
        report.problems.append(problem)
    report.warnings += certificate.warnings(now, wanted=wanted)
    return True


def _is_closed(path: Path) -> bool:
    """Return whether this user may not read a file that may exist."""
    try:
        return path.exists() and not os.access(path, os.R_OK)
    except PermissionError:
        return True
