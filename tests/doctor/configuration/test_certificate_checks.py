"""`netboot check` finds what keeps the registry from being served with TLS, before the daemon starts."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from doctor.configuration.conftest import Write
from fixtures.certificates import server_pair
from fixtures.files import SETTINGS

from netboot.doctor.configuration.certificate_checks import check_registry
from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.access.secret_file import OF_UNIT

NOW = datetime.now(UTC) + timedelta(days=1)  # after the creation of each certificate, however long the run is
TLS = "registry: {tls_port: 8443, certificate: own.pem, key: own.key}\n"


def checked(appliance: Write, section: str = TLS, *, now: datetime = NOW) -> CheckReport:
    settings = appliance(rest=SETTINGS.partition("\n")[2] + section).settings
    return check_registry(settings, [IPv4Address("192.0.2.10")], now=now)


def test_without_tls_nothing_is_needed(appliance: Write):
    assert checked(appliance, "") == CheckReport()


def test_a_certificate_for_the_address_of_machines_is_sound(appliance: Write, tmp_path: Path):
    server_pair(tmp_path, "192.0.2.10")

    assert checked(appliance) == CheckReport()


def test_a_missing_certificate_is_a_problem_with_its_command(appliance: Write, tmp_path: Path):
    assert checked(appliance) == CheckReport(
        problems=[
            f"registry.certificate: cannot read {tmp_path}/own.pem: No such file or directory; "
            "netboot ca issue --registry makes a certificate and its key, or correct registry.certificate"
        ]
    )


def test_a_key_that_is_a_credential_of_a_unit_that_does_not_run_is_not_checked(appliance: Write, tmp_path, monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    server_pair(tmp_path, "192.0.2.10")
    key = OF_UNIT / "registry-key"

    assert checked(appliance, TLS.replace("own.key", '"credential:registry-key"')) == CheckReport(
        notes=[
            f"not checked: the certificate of the registry: no key, {key}; systemd keeps credentials only while "
            "netboot.service runs: start it, or name the directory that has a file registry-key: "
            "CREDENTIALS_DIRECTORY=/etc/netboot/credentials netboot …"
        ]
    )


def test_a_certificate_that_ended_and_one_for_another_address_are_named(appliance: Write, tmp_path: Path):
    server_pair(tmp_path, "198.51.100.1", days=30)
    end = datetime.now(UTC) + timedelta(days=40)

    assert checked(appliance).warnings == [
        f"registry: the certificate {tmp_path}/own.pem is not for 192.0.2.10, so nodes refuse it there; "
        "netboot ca issue --registry, with all names"
    ]
    (problem,) = checked(appliance, now=end).problems
    assert problem.startswith(f"registry: the certificate {tmp_path}/own.pem ended at ")
    assert problem.endswith("; netboot ca issue --registry writes a new one, or renew it where it comes from")


def test_a_file_that_is_no_certificate_is_named(appliance: Write, tmp_path: Path):
    (tmp_path / "own.pem").write_text("x")

    assert checked(appliance).problems == [
        f"registry.certificate: {tmp_path}/own.pem has no certificate that can be read; "
        "name a file in PEM, the server's own certificate first"
    ]
