"""Checks where the administration would listen, and its certificate, as the daemon does it."""

from datetime import datetime

from netboot.doctor.configuration.certificate_checks import check_certificate
from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.admin_listen import NO_CERTIFICATE, SEE_CERTIFICATE, LocalAddresses, expected_names, plan_listeners
from netboot.settings.settings import Settings


def check_admin(settings: Settings, here: LocalAddresses, *, now: datetime) -> CheckReport:
    """Check `admin.listen` against the addresses of this appliance, and the files of `admin.tls`."""
    report = CheckReport()
    admin = settings.admin
    without_tls: str | None = NO_CERTIFICATE
    if admin.tls is not None:
        wanted = expected_names(admin.listen, here, public_url=admin.public_url)
        is_served = check_certificate(admin.tls.files, wanted, now, report)
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
