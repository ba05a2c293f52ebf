"""The file of the store's key: who makes it, what is refused, and the cure."""

import os
import stat
from pathlib import Path

import pytest

from netboot.store.sealing.key_file import default_key_file, next_key_file, sealing_with
from netboot.store.sealing.sealing import Sealing, StoreKey

OTHER = StoreKey(bytes(32))


def sealing(path: Path, *, sealed_by: str | None = None) -> Sealing:
    return sealing_with(path, sealed_by=sealed_by)


def written(path: Path, data: bytes = OTHER.secret, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite+aiosqlite:////var/lib/netboot/netboot.db", "/var/lib/netboot/store.key"),
        ("sqlite+aiosqlite:////srv/rack/a.db", "/srv/rack/store.key"),
        ("postgresql+asyncpg://netboot@db.example.com/netboot", "/var/lib/netboot/store.key"),
    ],
)
def test_without_a_setting_the_file_is_beside_the_store(url: str, path: str):
    assert default_key_file(url) == Path(path)


def test_the_first_start_makes_a_key_that_the_next_one_finds(tmp_path: Path):
    path = tmp_path / "store" / "store.key"

    first, second = sealing(path), sealing(path)

    assert (first.problem(), first.key_digest) == (None, second.key_digest)
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_size) == (0o600, 32)
    assert [each.name for each in path.parent.iterdir()] == ["store.key"]
    assert path.read_bytes() != bytes(32)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a directory to another user")
def test_a_command_of_root_makes_it_for_the_owner_of_the_directory(tmp_path: Path):
    os.chown(tmp_path, 65534, 65534)

    assert sealing(tmp_path / "store.key").problem() is None

    found = (tmp_path / "store.key").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o600)


def test_a_key_that_is_missing_is_not_replaced(tmp_path: Path):
    path = tmp_path / "store.key"

    found = sealing(path, sealed_by="0123456789abcdef")

    assert not path.exists()
    assert found.problem() == (
        f"store.key_file: there is no {path}; the key 0123456789abcdef sealed the store: restore the file from where "
        "it is kept, or copy it from another appliance of this store, then restart netboot; if it is lost: stop "
        "netboot, then netboot store rekey --discard"
    )


def test_another_key_is_refused_and_kept(tmp_path: Path):
    path = written(tmp_path / "store.key")

    found = sealing(path, sealed_by="0123456789abcdef")

    assert path.read_bytes() == OTHER.secret
    assert found.problem() == (
        f"store.key_file: {path} has the key {OTHER.digest}, not the store's; put the key 0123456789abcdef there, then "
        "restart netboot; if it is lost: stop netboot, then netboot store rekey --discard"
    )


@pytest.mark.parametrize(("size", "named"), [(0, "0 bytes"), (31, "31 bytes"), (33, "more than 32 bytes")])
def test_a_key_of_another_length_is_refused(tmp_path: Path, size: int, named: str):
    path = written(tmp_path / "store.key", bytes(size))

    assert str(sealing(path).problem()).startswith(
        f"store.key_file: {path} has {named}, and a key has 32; restore it, or for a new store delete it; if it is lost"
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602])
def test_a_key_that_others_may_read_or_write_is_refused_until_they_may_not(tmp_path: Path, mode: int):
    path = written(tmp_path / "store.key", mode=mode)

    assert sealing(path).problem() == (
        f"store.key_file: other users may read or write {path} (mode {mode:04o}), so nothing is sealed with it; "
        f"chmod 600 {path}, and if others had access: netboot store rekey"
    )
    path.chmod(0o600)
    assert sealing(path).problem() is None


def test_a_credential_of_systemd_may_be_of_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path / "store-key", mode=0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert sealing(path).problem() is None
    path.chmod(0o444)
    assert "(mode 0444)" in str(sealing(path).problem())


def test_a_credential_that_is_missing_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))

    assert str(sealing(tmp_path / "store-key").problem()).startswith(
        f"store.key_file: there is no {tmp_path}/store-key; the unit has no such credential: systemctl edit"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_read_or_made_is_named_with_its_cure(tmp_path: Path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()

    assert sealing(tmp_path / "directory").problem() == (
        f"store.key_file: cannot read {tmp_path}/directory: Is a directory; give the daemon's user the right to read "
        f"it: chown netboot: {tmp_path}/directory"
    )
    assert sealing(Path("/proc/store.key")).problem() == (
        "store.key_file: cannot make /proc/store.key: No such file or directory; make it as the daemon's user: "
        "umask 077; head -c 32 /dev/urandom > /proc/store.key"
    )


def test_a_change_of_the_key_that_a_crash_interrupted_is_finished(tmp_path: Path):
    """The store is sealed with the new key, which is not in place yet."""
    path = written(tmp_path / "store.key", bytes(range(32)))
    written(next_key_file(path))

    found = sealing(path, sealed_by=OTHER.digest)

    assert (found.problem(), found.key_digest) == (None, OTHER.digest)
    assert (path.read_bytes(), next_key_file(path).exists()) == (OTHER.secret, False)


def test_a_new_key_that_sealed_nothing_yet_is_not_put_in_place(tmp_path: Path):
    old = StoreKey(bytes(range(32)))
    path = written(tmp_path / "store.key", old.secret)
    written(next_key_file(path))

    assert sealing(path, sealed_by=old.digest).key_digest == old.digest
    assert next_key_file(path).exists()
