"""Checks what the use of BMCs needs: sushy, the files of credentials, certificates. Sends nothing to a BMC."""

import os
from collections.abc import Iterator
from pathlib import Path

from netboot.bmc.bmc_fault import INSTALL_SUSHY, NO_SUSHY, BmcFaultError, has_sushy
from netboot.bmc.credentials import credentials_path, read_credentials
from netboot.bmc.quirks import read_quirks
from netboot.doctor.configuration.check_report import CheckReport
from netboot.doctor.configuration.host_findings import and_others
from netboot.errors import ConfigError
from netboot.model.access.secret_file import is_elsewhere
from netboot.model.bmc.bmc import BmcTrust
from netboot.model.host.host import Host, HostSet


def check_bmcs(hosts: HostSet, directory: Path, *, quirks: Path | None) -> CheckReport:
    """Find what prevents the use of BMCs, and where a password can be read. `directory` is `bmc.credentials`."""
    users = [host for host in hosts if host.bmc is not None]
    report = CheckReport()
    if quirks is not None:
        try:
            read_quirks(quirks)
        except ConfigError as error:
            report.problems += map(str, error.problems)
    if not users:
        return report
    if not has_sushy():
        report.problems.append(f"hosts.{users[0].name}.bmc: {NO_SUSHY}{and_others(users[1:])}; {INSTALL_SUSHY}")
    report.problems += _unusable_credentials(users, directory)
    report.warnings += _warnings(users)
    return report


def _unusable_credentials(users: list[Host], directory: Path) -> Iterator[str]:
    """Yield each fault of a file once for all its hosts."""
    faults: dict[tuple[str, str], list[Host]] = {}
    for host in users:
        path = credentials_path(host, directory)
        if host.bmc and (os.access(path, os.R_OK) or not (os.access(path, os.F_OK) or is_elsewhere(path))):
            try:
                read_credentials(path, host.bmc)
            except BmcFaultError as error:
                faults.setdefault((error.reason, error.cure), []).append(host)
    for (reason, cure), (first, *others) in faults.items():
        yield f"hosts.{first.name}.bmc: {reason}{and_others(others)}; {cure.replace('HOST', first.name)}"


def _warnings(users: list[Host]) -> Iterator[str]:
    unverified = [host for host in users if host.bmc and host.bmc.certificate.trust is BmcTrust.NONE]
    clear = [host for host in users if host.bmc and not host.bmc.is_encrypted]
    if unverified:
        what = "the certificate of the BMC is not verified: whatever answers at its address gets the password"
        cure = "write certificate: sha256:DIGEST, which netboot bmc probe prints"
        yield f"hosts.{unverified[0].name}.bmc.certificate: {what}{and_others(unverified[1:])}; {cure}"
    if clear:
        what, cure = "the password is sent in clear", "write https:"
        yield f"hosts.{clear[0].name}.bmc.url: {what}{and_others(clear[1:])}; {cure}"
