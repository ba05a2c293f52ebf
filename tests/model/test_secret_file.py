"""Where a credential is, and what to do if it cannot be read."""

import os
from pathlib import Path

import pytest
from fixtures.open_directories import let_every_user_enter

from netboot.model.access import secret_file
from netboot.model.access.secret_file import (
    OF_UNIT,
    credential_path,
    cure_of,
    is_credential,
    is_credential_name,
    is_elsewhere,
)

NOBODY = 65534


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pager", True),
        ("_a.b-c", True),
        ("x" * 255, True),
        ("x" * 256, False),
        (".hidden", False),
        ("a/b", False),
        ("a\n", False),
        ("", False),
    ],
)
def test_the_name_of_a_credential_is_that_of_a_file(name: str, expected: bool):
    assert is_credential_name(name) is expected


@pytest.mark.parametrize(
    ("named", "directory"), [("/run/other", Path("/run/other")), ("here", OF_UNIT), ("", OF_UNIT), (None, OF_UNIT)]
)
def test_a_credential_is_in_the_directory_of_the_process_or_of_the_unit(
    monkeypatch, named: str | None, directory: Path
):
    if named is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", named)

    assert credential_path("pager") == directory / "pager"
    assert [is_credential(path) for path in (directory / "pager", directory / "x" / "pager")] == [True, False]


def test_a_name_that_the_unit_lacks_has_the_line_that_adds_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert cure_of(tmp_path / "pager") == (
        "the unit has no such credential: systemctl edit netboot, add [Service] "
        "LoadCredential=pager:/etc/netboot/credentials/pager, and restart it"
    )
    assert not is_elsewhere(tmp_path / "pager")


def test_a_directory_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))

    assert cure_of(tmp_path / "none" / "pager") == (
        "CREDENTIALS_DIRECTORY names a directory that does not exist; correct it"
    )


def test_beside_a_unit_that_does_not_run_a_directory_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setattr(secret_file, "OF_UNIT", tmp_path / "netboot.service")
    path = credential_path("pager")

    assert (is_credential(path), is_elsewhere(path)) == (True, True)
    assert cure_of(path) == (
        "systemd keeps credentials only while netboot.service runs: start it, or name the directory that has a file "
        "pager: CREDENTIALS_DIRECTORY=/etc/netboot/credentials netboot …"
    )


def test_another_file_has_no_cure_here(tmp_path):
    assert cure_of(tmp_path / "pager") is None
    assert not is_elsewhere(tmp_path / "pager")


def test_another_user_reads_it_as_root(monkeypatch, tmp_path):
    let_every_user_enter(tmp_path)
    directory = tmp_path / "netboot.service"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))

    os.setresuid(NOBODY, 0, 0)  # access(2) verifies the real user
    try:
        cure = cure_of(directory / "pager")
    finally:
        os.setresuid(0, 0, 0)

    assert cure == "only root and the daemon may read it: run with sudo"
