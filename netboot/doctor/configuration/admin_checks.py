"""Checks where the administration would listen, and its certificate, as the daemon does it."""

import os
from datetime import datetime
from pathlib import Path

from netboot.doctor.configuration.check_report import CheckReport
from netboot.errors import CertificateError
from netboot.model.admin_listen import NO_CERTIFICATE, SEE_CERTIFICATE, LocalAddresses, expected_names, plan_listeners
from netboot.settings.admin_setting import AdminTls
from netboot.settings.settings import Settings


def check_admin(settings: Settings, here: LocalAddresses, *, now: datetime) -> CheckReport:
    """Check `admin.listen` against the addresses of this appliance, and the files of `admin.tls`."""
    report = CheckReport()
    admin = settings.admin
    without_tls: str | None = NO_CERTIFICATE
    if admin.tls is not None:
        wanted = expected_names(admin.listen, here, public_url=admin.public_url)
        is_served = _check_certificate(admin.tls, wanted, now, report)
        without_tls = None if is_served else SEE_CERTIFICATE
    boot_interfaces = [each.name for each in settings.network.interfaces]
    planned = plan_listeners(admin.listen, here, boot_interfaces=boot_interfaces, without_tls=without_tls)
    report.problems += [each.problem for each in planned if each.problem is not None]
    ours = {address for addresses in here.values() for address in addresses}
    report.problems += [
        f"admin.listen: no interface of this appliance has {each.address}; give it to one, or correct it"
        for plan in planned
        for each in plan.addresses
        if each.address not in ours and not each.address.is_loopback
    ]
    return report


def _check_certificate(tls: AdminTls, wanted: list[str], now: datetime, report: CheckReport) -> bool:
    """Return whether the daemon can serve the pair; what its user may read is checked by `box_access`."""
    unreadable = [path for path in (tls.certificate, tls.key) if _is_closed(path)]
    if unreadable:
        names = " and ".join(map(str, unreadable))
        report.notes.append(f"not checked: the certificate of the administration: this user may not read {names}")
        return True
    from netboot.operate.certificates.server_certificate import read_server_certificate, tls_context  # slow to load

    try:
        certificate = read_server_certificate(tls.certificate, tls.key)
        tls_context(tls.certificate, tls.key)
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
