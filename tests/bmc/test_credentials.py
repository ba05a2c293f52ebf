"""Files with user and password: what is written is read, and a file that others may read is refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host

from netboot.bmc.bmc_fault import BmcFaultError
from netboot.bmc.credentials import BmcCredentials, credentials_path, read_credentials, write_credentials
from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust

BMC = Bmc("https://192.0.2.1")
LINES = "write username: admin and password: 'SECRET', url and certificate of the BMC, each on a line of its own"
PASSWORDS = ["it's", "plain", '"#: {x} - \\', " blanks ", "1234", "null", "pässwörd", "- a", "!x"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_what_is_written_is_read_again(tmp_path: Path, password: str):
    path = tmp_path / "bmc.d" / "cp1"

    write_credentials(path, BmcCredentials("admin", "before"), BMC)
    write_credentials(path, BmcCredentials("admin", password), BMC)

    assert read_credentials(path, BMC) == BmcCredentials("admin", password)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(path.parent.iterdir()) == [path]


def test_a_representation_has_no_password():
    assert repr(BmcCredentials("admin", "calvin")) == "BmcCredentials(username='admin')"


@pytest.mark.parametrize(
    ("text", "mode", "reason", "cure"),
    [
        ("username: a\npassword: s3cret\n", 0o644, "other users may read PATH (mode 0644)",
         "chmod 600 PATH, and change the password"),
        ("username: a\npassword: s3cret\n", 0o640, "other users may read PATH (mode 0640)",
         "chmod 600 PATH, and change the password"),
        ("username: a\n", 0o600, "PATH has no username and password",
         LINES),
        ("s3cret", 0o600, "PATH has no username and password",
         LINES),
        ("username: a\npassword: s3cret\npassword: s3cret\n", 0o600, "PATH has no username and password",
         LINES),
        ("x" * 70_000, 0o600, "PATH has more than 65536 bytes",
         LINES),
        ("username: a\npassword: s3cr\xe9t\n", 0o600, "PATH is not UTF-8", "save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_used(tmp_path: Path, text: str, mode: int, reason: str, cure: str):
    path = tmp_path / "cp1"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(mode)

    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path, BMC)

    assert caught.value.reason.replace(str(path), "PATH") == reason
    assert caught.value.cure.replace(str(path), "PATH") == cure
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_and_a_fifo(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo", 0o600)

    with pytest.raises(BmcFaultError) as missing:
        read_credentials(tmp_path / "none", BMC)
    with pytest.raises(BmcFaultError) as fifo:
        read_credentials(tmp_path / "fifo", BMC)

    assert str(missing.value) == (
        f"cannot read {tmp_path}/none: No such file or directory; netboot bmc credentials HOST writes it"
    )
    assert str(fifo.value) == f"{tmp_path}/fifo is not a regular file; netboot bmc credentials HOST writes one"


@pytest.mark.parametrize("owner", [0, 4711])
def test_a_file_of_another_user_is_refused(tmp_path: Path, owner: int):
    path = tmp_path / "cp1"
    write_credentials(path, BmcCredentials("admin", "x"), BMC)
    os.chown(path, 4712, -1)
    os.chown(tmp_path, owner, -1)

    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path, BMC)
    os.chown(tmp_path, 4712, -1)

    assert str(caught.value) == f"{path} belongs to another user than its directory; chown netboot: {path}"
    assert read_credentials(path, BMC) == BmcCredentials("admin", "x")


def test_root_writes_for_the_owner_of_the_directory(tmp_path: Path):
    os.chown(tmp_path, 4711, 4711)

    write_credentials(tmp_path / "cp1", BmcCredentials("admin", "x"), BMC)

    found = (tmp_path / "cp1").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4711, 4711, 0o600)


@pytest.mark.parametrize(
    ("username", "password"), [("", "x"), ("x", ""), ("x", "a\nb"), ("x" * 256, "x"), ("\x00", "x")]
)
def test_a_text_that_no_bmc_takes_is_not_written(tmp_path: Path, username: str, password: str):
    with pytest.raises(BmcFaultError) as caught:
        write_credentials(tmp_path / "cp1", BmcCredentials(username, password), BMC)

    assert caught.value.cure == "write 1 to 255 characters without control characters"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_names_the_cure(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BmcFaultError) as caught:
        write_credentials(tmp_path / "file" / "cp1", BmcCredentials("a", "b"), BMC)

    assert caught.value.cure == (
        f"let the daemon's user write there: install -d -m 700 -o netboot -g netboot {tmp_path}/file"
    )


def test_a_credential_of_systemd_is_read_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "bmc-rack1"
    path.write_text("username: a\npassword: b\nurl: https://192.0.2.1\ncertificate: verify\n")
    path.chmod(0o440)  # as systemd has it for the unit's user

    with pytest.raises(BmcFaultError) as caught:
        write_credentials(path, BmcCredentials("a", "c"), BMC)

    assert read_credentials(path, BMC) == BmcCredentials("a", "b")
    assert str(caught.value) == (
        f"{path} is a credential of systemd; change the file that LoadCredential= names, and restart"
    )


PIN = BmcCertificate(BmcTrust.PIN, sha256="ab" * 32)


@pytest.mark.parametrize(
    ("text", "bmc", "is_used"),
    [
        ("url: https://192.0.2.1\ncertificate: verify", BMC, True),
        ("url: HTTPS://192.0.2.1:443/\ncertificate: verify", BMC, True),
        ("url: [https://192.0.2.7, https://192.0.2.1]\ncertificate: verify", BMC, True),
        (f"url: https://192.0.2.1\ncertificate: [none, {PIN.text}]", replace(BMC, certificate=PIN), True),
        ("", BMC, False),
        ("url: https://192.0.2.1", BMC, False),
        ("certificate: verify", BMC, False),
        ("url: https://192.0.2.2\ncertificate: verify", BMC, False),
        ("url: https://192.0.2.1:8443\ncertificate: verify", BMC, False),
        ("url: {a: https://192.0.2.1}\ncertificate: verify", BMC, False),
        ("url: http://192.0.2.1\ncertificate: verify", BMC, False),
        ("url: https://192.0.2.1\ncertificate: verify", replace(BMC, certificate=BmcCertificate(BmcTrust.NONE)), False),
        ("url: https://192.0.2.1\ncertificate: none", replace(BMC, certificate=PIN), False),
        ("url: https://192.0.2.1\ncertificate: /a/ca.pem",
         replace(BMC, certificate=BmcCertificate(BmcTrust.CA_FILE, Path("/a/ca.pem"))), True),
        ("url: https://192.0.2.1\ncertificate: /a/ca.pem",
         replace(BMC, certificate=BmcCertificate(BmcTrust.CA_FILE, Path("/b/ca.pem"))), False),
    ],
)  # fmt: skip
def test_a_file_is_used_for_the_bmc_that_it_names_alone(tmp_path: Path, text: str, bmc: Bmc, is_used: bool):
    path = tmp_path / "cp1"
    path.write_text(f"username: a\npassword: s3cret\n{text}\n")
    path.chmod(0o600)

    if is_used:
        assert read_credentials(path, bmc) == BmcCredentials("a", "s3cret")
        return
    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path, bmc)
    assert "s3cret" not in str(caught.value)


def test_a_file_of_another_bmc_names_both_and_the_cure(tmp_path: Path):
    path = tmp_path / "cp1"
    write_credentials(path, BmcCredentials("a", "b"), BMC)
    other = Bmc("https://evil.example", certificate=BmcCertificate(BmcTrust.NONE))

    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path, other)

    assert caught.value.reason == (f"{path} is for https://192.0.2.1 (verify), and not for https://evil.example (none)")
    assert caught.value.cure == (
        "if the hosts files are right, netboot bmc credentials HOST; "
        "or write url: https://evil.example and certificate: none into it"
    )


def test_a_host_has_its_own_file_unless_it_names_one(tmp_path: Path):
    host = a_host(Bmc("https://192.0.2.1"))

    assert credentials_path(host, tmp_path) == tmp_path / "cp1"
    assert credentials_path(replace(host, bmc=Bmc("https://192.0.2.1", credentials=Path("/x"))), tmp_path) == Path("/x")
