"""The certificate of the administration: what is refused, and what is a warning."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fixtures.certificates import server_pair

from netboot.errors import CertificateError
from netboot.model.access.certificate_files import CertificateFiles
from netboot.operate.certificates.server_certificate import read_server_certificate, tls_context

NOW = datetime.now(UTC) + timedelta(days=1)  # after the creation of each certificate, however long the run is


def refused(certificate: Path, key: Path) -> str:
    with pytest.raises(CertificateError) as raised:
        read_server_certificate(CertificateFiles(certificate, key))
    return str(raised.value)


def test_a_pair_of_another_authority_is_read_with_its_names(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a.example.org", "*.rack.example.org", "192.0.2.1")

    found = read_server_certificate(CertificateFiles(certificate, key))

    assert found.names == ("a.example.org", "*.rack.example.org", "192.0.2.1")
    assert (found.subject, found.issuer) == ("CN=a.example.org", "CN=a.example.org")
    assert (found.is_valid_at(NOW), found.problem(NOW), list(found.warnings(NOW))) == (True, None, [])
    assert tls_context(CertificateFiles(certificate, key)).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("host", "is_named"),
    [
        ("A.example.org.", True),
        ("n1.rack.example.org", True),
        ("rack.example.org", False),
        ("a.n1.rack.example.org", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("fd00::1", False),
    ],
)
def test_a_wildcard_stands_for_one_label_and_for_no_address(tmp_path: Path, host: str, is_named: bool):
    found = read_server_certificate(
        CertificateFiles(*server_pair(tmp_path, "a.example.org", "*.rack.example.org", "192.0.2.1"))
    )

    assert found.is_for(host) == is_named


def test_a_name_that_is_missing_is_a_warning(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a.example.org")

    found = read_server_certificate(CertificateFiles(certificate, key))

    assert list(found.warnings(NOW, wanted=["a.example.org", "192.0.2.1"])) == [
        f"admin.tls: the certificate {certificate} is not for 192.0.2.1, so browsers refuse it there; "
        "netboot ca issue, with all names"
    ]


def test_the_end_is_a_warning_two_weeks_before_and_then_a_problem(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a", days=90)

    found = read_server_certificate(CertificateFiles(certificate, key))
    end = found.ends_at

    cure = "netboot ca issue writes a new one, or renew it where it comes from"
    assert list(found.warnings(end - timedelta(days=14, seconds=1))) == []
    assert list(found.warnings(end - timedelta(days=14))) == [
        f"admin.tls: the certificate {certificate} ends at {end:%Y-%m-%d %H:%M} UTC, in 14 days; {cure}"
    ]
    assert next(found.warnings(end - timedelta(days=1))).endswith(f"in 1 day; {cure}")
    assert (list(found.warnings(end)), found.is_valid_at(end)) == ([], False)
    assert found.problem(end) == (f"admin.tls: the certificate {certificate} ended at {end:%Y-%m-%d %H:%M} UTC; {cure}")


def test_a_certificate_of_the_future_names_the_clock(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a")

    found = read_server_certificate(CertificateFiles(certificate, key))

    begin = found.begins_at
    assert found.problem(begin - timedelta(seconds=1)) == (
        f"admin.tls: the certificate {certificate} is valid from {begin:%Y-%m-%d %H:%M} UTC; "
        "verify the clock of this appliance"
    )


def test_a_key_of_another_certificate_is_refused(tmp_path: Path):
    (tmp_path / "other").mkdir()
    certificate, _ = server_pair(tmp_path, "a")
    _, key = server_pair(tmp_path / "other", "a")

    assert refused(certificate, key) == (
        f"admin.tls: the key {key} is not that of the certificate {certificate}; "
        "name the two files that were made together"
    )


def test_an_encrypted_key_is_refused_and_no_password_is_read_from_the_terminal(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a", password="secret")

    assert refused(certificate, key) == (
        f"admin.tls.key: {key} is encrypted; the daemon has no password for it: "
        f"openssl pkey -in {key} -out FILE writes it without"
    )
    with pytest.raises(CertificateError, match="cannot serve"):
        tls_context(CertificateFiles(certificate, key))


def test_files_that_are_missing_or_hold_something_else_are_named(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a")
    other = tmp_path / "other"
    other.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    assert refused(tmp_path / "absent.pem", key) == (
        f"admin.tls.certificate: cannot read {tmp_path}/absent.pem: No such file or directory; "
        "netboot ca issue makes a certificate and its key, or correct admin.tls.certificate"
    )
    assert refused(key, key) == (
        f"admin.tls.certificate: {key} has no certificate that can be read; "
        "name a file in PEM, the server's own certificate first"
    )
    assert refused(other, key).startswith(f"admin.tls.certificate: {other} has no certificate that can be read")
    assert refused(certificate, certificate) == (
        f"admin.tls.key: {certificate} has no private key that can be read; name a file in PEM"
    )


def test_a_key_that_the_unit_lacks_as_a_credential_has_the_line_that_adds_it(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    (tmp_path / "given").mkdir()
    certificate, key = server_pair(tmp_path, "a")
    given = tmp_path / "given" / "admin-key"

    assert refused(certificate, given) == (
        f"admin.tls.key: cannot read {given}: No such file or directory; the unit has no such credential: "
        "systemctl edit netboot, add [Service] LoadCredential=admin-key:/etc/netboot/credentials/admin-key, "
        "and restart it"
    )
    given.write_bytes(key.read_bytes())
    assert read_server_certificate(CertificateFiles(certificate, given)).names == ("a",)


def test_a_directory_in_place_of_a_file_names_the_right_that_is_missing(tmp_path: Path):
    _, key = server_pair(tmp_path, "a")

    assert refused(tmp_path, key) == (
        f"admin.tls.certificate: cannot read {tmp_path}: Is a directory; the daemon's user must be able to read it: "
        f"chgrp netboot {tmp_path} && chmod g+r {tmp_path}"
    )


def test_a_key_that_every_user_can_read_is_a_warning(tmp_path: Path):
    certificate, key = server_pair(tmp_path, "a")
    key.chmod(0o644)
    with TemporaryDirectory(dir="/tmp") as directory:  # every user may enter /tmp
        Path(directory).chmod(0o755)
        shared = Path(directory) / "own.key"
        shared.write_bytes(key.read_bytes())

        (warning,) = read_server_certificate(CertificateFiles(certificate, shared)).warnings(NOW)

    assert list(read_server_certificate(CertificateFiles(certificate, key)).warnings(NOW)) == []
    assert warning.startswith("admin.tls.key: every user may read the private key")
