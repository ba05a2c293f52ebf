"""For which names a certificate is issued, and which file is not replaced."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.certificates import make_certificate

from netboot.errors import CertificateError
from netboot.operate.certificates.authority import CertificateAuthority
from netboot.operate.certificates.issuing import Issued, IssueRequest, checked_name, issue

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path, "a", now=NOW, group=None)


def request(authority: CertificateAuthority, *names: str, replaces_others: bool = False) -> IssueRequest:
    certificate, key = authority.directory / "server.pem", authority.directory / "server.key"
    return IssueRequest(names, 30, certificate, key, None, replaces_others=replaces_others)


def test_each_name_is_in_the_certificate_once(authority: CertificateAuthority):
    wanted = request(authority, "A.example.org", "a.example.org", "192.0.2.1", "[FD00::1]", "*.rack.example.org")

    issued = issue(authority, wanted, now=NOW)

    names = ("a.example.org", "192.0.2.1", "fd00::1", "*.rack.example.org")
    assert issued == Issued(names, NOW + timedelta(days=30), wanted.certificate, wanted.key)


@pytest.mark.parametrize("name", ["https://a", "a b", "a_b", "*", "*.*.a", "192.0.2.1/24", "", "a." * 127 + "ab"])
def test_what_is_neither_a_host_name_nor_an_address_is_refused(name: str):
    with pytest.raises(CertificateError) as refused:
        checked_name(name)

    expected = f"{name!r} is neither a host name nor an address; write appliance.example.org or 192.0.2.1"
    assert str(refused.value) == expected


def test_no_name_and_too_many_names_are_refused(authority: CertificateAuthority):
    with pytest.raises(CertificateError, match="no name and no address for the certificate"):
        issue(authority, request(authority), now=NOW)
    with pytest.raises(CertificateError, match="101 names are too many for one certificate; write 100 at most"):
        issue(authority, request(authority, *(f"n{number}" for number in range(101))), now=NOW)


def test_its_own_certificate_is_renewed_and_one_of_another_authority_is_not_replaced(authority: CertificateAuthority):
    wanted = request(authority, "a")
    issue(authority, wanted, now=NOW)
    first = wanted.certificate.read_bytes()
    issue(authority, wanted, now=NOW)
    assert wanted.certificate.read_bytes() != first

    make_certificate(wanted.certificate)
    other = wanted.certificate.read_bytes()
    with pytest.raises(CertificateError) as refused:
        issue(authority, wanted, now=NOW)

    assert str(refused.value) == (
        f"{wanted.certificate} is not a certificate of the CA {authority.path}; "
        "name other files in admin.tls or registry, or replace it with --force"
    )
    assert wanted.certificate.read_bytes() == other
    issue(authority, request(authority, "a", replaces_others=True), now=NOW)
    assert wanted.certificate.read_bytes() != other


def test_a_file_that_is_no_certificate_is_not_replaced(authority: CertificateAuthority):
    wanted = request(authority, "a")
    wanted.certificate.write_text("a file of the operator")

    with pytest.raises(CertificateError, match="is not a certificate of the CA"):
        issue(authority, wanted, now=NOW)
    wanted.certificate.unlink()
    wanted.certificate.mkdir()
    with pytest.raises(CertificateError, match=r"cannot read .*: Is a directory"):
        issue(authority, wanted, now=NOW)


def test_a_key_that_is_a_credential_is_not_written(authority: CertificateAuthority, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(authority.directory))
    wanted = request(authority, "a")

    with pytest.raises(CertificateError) as refused:
        issue(authority, wanted, now=NOW)

    assert str(refused.value) == (
        f"cannot write the key: {wanted.key} is a credential, which systemd copies at the start of the unit; "
        "name a file in admin.tls.key or registry.key, or write the file of LoadCredential= with another program"
    )
    assert (wanted.key.exists(), wanted.certificate.exists()) == (False, False)
