"""The certificate authority and what it issues, verified by openssl."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.certificates import make_certificate

from netboot.errors import CertificateError
from netboot.model.access.certificate_files import CertificateFiles
from netboot.operate.certificates.authority import CertificateAuthority
from netboot.operate.certificates.server_certificate import read_server_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ("appliance.example.org", "192.0.2.1", "fd00::1")


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


def made(directory: Path, *, now: datetime = NOW) -> CertificateAuthority:
    return CertificateAuthority.create(directory / "tls", "netboot on a", now=now, group=None)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_openssl_verifies_what_the_authority_issued_for_each_name(tmp_path: Path):
    authority, certificate = made(tmp_path), tmp_path / "server.pem"
    authority.issue(NAMES, days=397, now=NOW).write(certificate, tmp_path / "server.key", group=None)

    def verified(option: str, name: str) -> str:
        options = ("-x509_strict", "-purpose", "sslserver", "-CAfile", str(authority.path))
        return openssl("verify", *options, option, name, str(certificate))

    assert verified("-verify_hostname", NAMES[0]) == f"{certificate}: OK\n"
    assert [verified("-verify_ip", address) for address in NAMES[1:]] == [f"{certificate}: OK\n"] * len(NAMES[1:])
    assert "hostname mismatch" in verified("-verify_hostname", "other.example.org")
    found = read_server_certificate(CertificateFiles(certificate, tmp_path / "server.key"))
    assert (found.names, found.issuer) == (NAMES, "CN=netboot on a")
    assert (found.begins_at, found.ends_at) == (NOW - timedelta(hours=1), NOW + timedelta(days=397))


def test_the_authority_is_shown_as_openssl_shows_it(tmp_path: Path):
    authority = CertificateAuthority.read(made(tmp_path).directory)

    assert authority is not None
    fingerprint = openssl("x509", "-in", str(authority.path), "-noout", "-fingerprint", "-sha256")
    assert fingerprint.strip().lower() == f"sha256 fingerprint={authority.fingerprint.lower()}"
    assert (authority.name, authority.ends_at) == ("netboot on a", NOW + timedelta(days=3650))
    text = openssl("x509", "-in", str(authority.path), "-noout", "-text")
    assert "CA:TRUE, pathlen:0" in text
    assert "Certificate Sign, CRL Sign" in text


def test_only_the_owner_reads_the_keys_and_no_draft_remains(tmp_path: Path):
    authority = made(tmp_path)
    authority.issue(NAMES, days=1, now=NOW).write(tmp_path / "tls/server.pem", tmp_path / "tls/server.key", group=None)

    assert {path.name: oct(mode(path)) for path in sorted((tmp_path / "tls").iterdir())} == {
        "ca.key": "0o600",
        "ca.pem": "0o644",
        "server.key": "0o600",
        "server.pem": "0o644",
    }
    assert mode(tmp_path / "tls") == 0o750


def test_the_group_of_the_daemon_may_read_the_certificates_key_and_not_that_of_the_authority(tmp_path: Path):
    authority = CertificateAuthority.create(tmp_path / "tls", "a", now=NOW, group=65534)
    key = tmp_path / "tls/server.key"
    authority.issue(["a"], days=1, now=NOW).write(tmp_path / "tls/server.pem", key, group=65534)

    assert (mode(key), key.stat().st_gid) == (0o640, 65534)
    assert (mode(authority.key_path), authority.key_path.stat().st_gid) == (0o600, 0)
    assert (tmp_path / "tls").stat().st_gid == 65534


def test_a_certificate_ends_with_its_authority_at_the_latest(tmp_path: Path):
    authority = made(tmp_path, now=NOW - timedelta(days=3640))

    issued = authority.issue(["a"], days=397, now=NOW)

    assert issued.certificate.not_valid_after_utc == authority.ends_at
    with pytest.raises(CertificateError, match="ended at"):
        authority.issue(["a"], days=1, now=authority.ends_at)


def test_an_authority_recognises_its_own_certificates(tmp_path: Path):
    authority = made(tmp_path)
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other")

    assert authority.has_issued(authority.issue(["a"], days=1, now=NOW).certificate)
    assert not authority.has_issued(other.issue(["a"], days=1, now=NOW).certificate)
    assert not authority.has_issued(other.certificate)


def test_files_of_an_authority_that_do_not_fit_are_named(tmp_path: Path):
    authority = made(tmp_path)
    (tmp_path / "other").mkdir()
    made(tmp_path / "other").key_path.replace(authority.key_path)

    with pytest.raises(CertificateError, match=r"ca\.key is not the key of .*ca\.pem"):
        authority.issue(["a"], days=1, now=NOW)
    authority.key_path.write_text("rubbish")
    with pytest.raises(CertificateError, match=r"ca\.key is no key without password"):
        authority.issue(["a"], days=1, now=NOW)
    authority.key_path.unlink()
    with pytest.raises(CertificateError, match=r"cannot read the CA's key .*ca\.key: No such file"):
        authority.issue(["a"], days=1, now=NOW)
    authority.path.write_text("rubbish")
    with pytest.raises(CertificateError, match=r"ca\.pem is no certificate"):
        CertificateAuthority.read(authority.directory)
    authority.path.unlink()
    assert CertificateAuthority.read(authority.directory) is None
    authority.path.mkdir()
    with pytest.raises(CertificateError, match=r"cannot read .*ca\.pem: Is a directory"):
        CertificateAuthority.read(authority.directory)


def test_an_authority_of_another_program_without_a_common_name_is_shown(tmp_path: Path):
    make_certificate(tmp_path / "ca.pem")

    found = CertificateAuthority.read(tmp_path)

    assert found is not None
    assert found.name == "c"


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "tls").write_text("a file")

    with pytest.raises(CertificateError, match="cannot write"):
        made(tmp_path)
    (tmp_path / "tls").unlink()
    issued = made(tmp_path).issue(["a"], days=1, now=NOW)
    with pytest.raises(CertificateError, match="cannot write"):
        issued.write(tmp_path / "tls", tmp_path / "key", group=None)
