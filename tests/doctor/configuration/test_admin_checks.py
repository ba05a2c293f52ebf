"""`netboot check` finds what keeps the administration from being served beyond loopback, before the daemon starts."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from doctor.configuration.conftest import Write
from fixtures.certificates import server_pair
from fixtures.files import SETTINGS

from netboot.doctor.configuration.admin_checks import check_admin
from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.admin_listen import NO_CERTIFICATE

HERE = {"lo": [ip_address("127.0.0.1")], "s0": [ip_address("192.0.2.10")], "s1": [ip_address("10.9.0.1")]}
NOW = datetime.now(UTC) + timedelta(days=1)  # after the creation of each certificate, however long the run is


def checked(appliance: Write, admin: str, *, now: datetime = NOW) -> CheckReport:
    listen = "listen: 127.0.0.1:8470"
    rest = SETTINGS.partition("\n")[2].replace(listen, admin)
    return check_admin(appliance(rest=rest).settings, HERE, now=now)


def test_loopback_needs_nothing(appliance: Write):
    assert checked(appliance, "listen: [127.0.0.1:8470, 127.0.0.2:8470, lo:8471]") == CheckReport()


def test_beyond_loopback_a_certificate_is_missing(appliance: Write):
    assert checked(appliance, "listen: [127.0.0.1:8470, s1:8470]") == CheckReport(
        problems=[f"admin.listen: s1:8470 is beyond loopback, where only TLS is served; {NO_CERTIFICATE}"]
    )


def test_with_a_certificate_what_remains_are_addresses_and_interfaces(appliance: Write, tmp_path: Path):
    server_pair(tmp_path, "10.9.0.1")
    tls = "tls: {certificate: own.pem, key: own.key}"

    report = checked(appliance, f"listen: [s1:8470, 192.0.2.10:8470, 10.9.9.9:8470, s7:8470], {tls}")

    assert report == CheckReport(
        problems=[
            "admin.listen: 192.0.2.10:8470 is an address of s0, on which machines boot (network.interfaces); "
            "write s0:8470 if the administration shall listen there, or name another interface's address",
            "admin.listen: this appliance has no interface s7; it has lo, s0, s1; "
            "correct the name, or add the interface",
            "admin.listen: no interface of this appliance has 10.9.9.9; give it to one, or correct it",
        ],
        warnings=[
            f"admin.tls: the certificate {tmp_path}/own.pem is not for 10.9.9.9, 192.0.2.10, so browsers refuse it "
            "there; netboot ca issue, with all names"
        ],
    )


def test_a_pair_that_cannot_be_served_is_one_problem_and_its_listener_another(appliance: Write, tmp_path: Path):
    report = checked(appliance, "listen: s1:8470, tls: {certificate: own.pem, key: own.key}")

    assert report == CheckReport(
        problems=[
            f"admin.tls.certificate: cannot read {tmp_path}/own.pem: No such file or directory; "
            "netboot ca issue makes a certificate and its key, or correct admin.tls.certificate",
            "admin.listen: s1:8470 is beyond loopback, where only TLS is served; see admin.tls",
        ]
    )


@pytest.mark.parametrize(("days", "problems", "warnings"), [(10, 0, 0), (80, 0, 1), (91, 1, 0)])
def test_the_end_of_a_certificate_is_a_warning_first(
    appliance: Write, tmp_path: Path, days: int, problems: int, warnings: int
):
    server_pair(tmp_path, "10.9.0.1", days=90)

    admin = "listen: s1:8470, tls: {certificate: own.pem, key: own.key}"
    report = checked(appliance, admin, now=NOW + timedelta(days=days))

    assert (len(report.problems), len(report.warnings)) == (problems, warnings)


def test_what_this_user_may_not_read_is_a_note(appliance: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, key = server_pair(tmp_path, "10.9.0.1")
    monkeypatch.setattr("os.access", lambda path, *_: Path(path) != key)  # root may read every file

    report = checked(appliance, "listen: s1:8470, tls: {certificate: own.pem, key: own.key}")

    assert report == CheckReport(
        notes=[f"not checked: the certificate of the administration: this user may not read {key}"]
    )
