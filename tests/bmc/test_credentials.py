"""Files with user and password: what is written is read, and a file that others may read is refused."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host

from netboot.bmc.bmc_fault import BmcFaultError
from netboot.bmc.credentials import BmcCredentials, credentials_path, read_credentials, write_credentials
from netboot.model.bmc.bmc import Bmc

PASSWORDS = ["it's", "plain", '"#: {x} - \\', " blanks ", "1234", "null", "pässwörd", "- a", "!x"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_what_is_written_is_read_again(tmp_path: Path, password: str):
    path = tmp_path / "bmc.d" / "cp1"

    write_credentials(path, BmcCredentials("admin", "before"))
    write_credentials(path, BmcCredentials("admin", password))

    assert read_credentials(path) == BmcCredentials("admin", password)
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
         "write two lines, as username: admin and password: 'SECRET'"),
        ("s3cret", 0o600, "PATH has no username and password",
         "write two lines, as username: admin and password: 'SECRET'"),
        ("username: a\npassword: s3cret\npassword: s3cret\n", 0o600, "PATH has no username and password",
         "write two lines, as username: admin and password: 'SECRET'"),
        ("x" * 5000, 0o600, "PATH has more than 4096 bytes",
         "write two lines, as username: admin and password: 'SECRET'"),
        ("username: a\npassword: s3cr\xe9t\n", 0o600, "PATH is not UTF-8", "save it as UTF-8"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_used(tmp_path: Path, text: str, mode: int, reason: str, cure: str):
    path = tmp_path / "cp1"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(mode)

    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path)

    assert caught.value.reason.replace(str(path), "PATH") == reason
    assert caught.value.cure.replace(str(path), "PATH") == cure
    assert "s3cret" not in str(caught.value)


def test_a_missing_file_and_a_fifo(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo", 0o600)

    with pytest.raises(BmcFaultError) as missing:
        read_credentials(tmp_path / "none")
    with pytest.raises(BmcFaultError) as fifo:
        read_credentials(tmp_path / "fifo")

    assert str(missing.value) == (
        f"cannot read {tmp_path}/none: No such file or directory; netboot bmc credentials HOST writes it"
    )
    assert str(fifo.value) == f"{tmp_path}/fifo is not a regular file; netboot bmc credentials HOST writes one"


@pytest.mark.parametrize("owner", [0, 4711])
def test_a_file_of_another_user_is_refused(tmp_path: Path, owner: int):
    path = tmp_path / "cp1"
    write_credentials(path, BmcCredentials("admin", "x"))
    os.chown(path, 4712, -1)
    os.chown(tmp_path, owner, -1)

    with pytest.raises(BmcFaultError) as caught:
        read_credentials(path)
    os.chown(tmp_path, 4712, -1)

    assert str(caught.value) == f"{path} belongs to another user than its directory; chown netboot: {path}"
    assert read_credentials(path) == BmcCredentials("admin", "x")


def test_root_writes_for_the_owner_of_the_directory(tmp_path: Path):
    os.chown(tmp_path, 4711, 4711)

    write_credentials(tmp_path / "cp1", BmcCredentials("admin", "x"))

    found = (tmp_path / "cp1").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (4711, 4711, 0o600)


@pytest.mark.parametrize(
    ("username", "password"), [("", "x"), ("x", ""), ("x", "a\nb"), ("x" * 256, "x"), ("\x00", "x")]
)
def test_a_text_that_no_bmc_takes_is_not_written(tmp_path: Path, username: str, password: str):
    with pytest.raises(BmcFaultError) as caught:
        write_credentials(tmp_path / "cp1", BmcCredentials(username, password))

    assert caught.value.cure == "write 1 to 255 characters without control characters"
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_names_the_cure(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(BmcFaultError) as caught:
        write_credentials(tmp_path / "file" / "cp1", BmcCredentials("a", "b"))

    assert caught.value.cure == (
        f"let the daemon's user write there: install -d -m 700 -o netboot -g netboot {tmp_path}/file"
    )


def test_a_credential_of_systemd_is_read_and_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "bmc-rack1"
    path.write_text("username: a\npassword: b\n")
    path.chmod(0o440)  # as systemd has it for the unit's user

    with pytest.raises(BmcFaultError) as caught:
        write_credentials(path, BmcCredentials("a", "c"))

    assert read_credentials(path) == BmcCredentials("a", "b")
    assert str(caught.value) == (
        f"{path} is a credential of systemd; change the file that LoadCredential= names, and restart"
    )


def test_a_host_has_its_own_file_unless_it_names_one(tmp_path: Path):
    host = a_host(Bmc("https://192.0.2.1"))

    assert credentials_path(host, tmp_path) == tmp_path / "cp1"
    assert credentials_path(replace(host, bmc=Bmc("https://192.0.2.1", credentials=Path("/x"))), tmp_path) == Path("/x")
