"""The certificate in force: read when its files change, replaced by nothing that is worse."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fixtures.certificates import server_pair

from netboot.app.tls.certificate_in_force import CertificateInForce
from netboot.model.access.certificate_files import CertificateFiles

NOW = datetime.now(UTC) + timedelta(days=1)  # after the creation of each certificate, however long the run is


class Follower:
    """A certificate whose time a test moves."""

    def __init__(self, directory: Path | None) -> None:
        tls = CertificateFiles(directory / "own.pem", directory / "own.key") if directory else None
        self.now = NOW
        self.certificate = CertificateInForce(tls, now=lambda: self.now)

    def refresh_once(self) -> None:
        asyncio.run(self.certificate.refresh())

    def refresh(self) -> None:
        self.refresh_once()
        self.refresh_once()


def test_without_the_setting_there_is_no_certificate():
    follower = Follower(None)
    follower.refresh()

    found = follower.certificate
    assert (found.context, found.ends_at) == (None, None)
    assert (found.problems(), found.warnings(["a"])) == ([], [])


def test_files_that_appear_later_are_used_then(tmp_path: Path):
    follower = Follower(tmp_path)
    follower.refresh()
    before, problems = follower.certificate.context, follower.certificate.problems()
    server_pair(tmp_path, "a")
    follower.refresh()

    assert (before, len(problems)) == (None, 1)
    assert follower.certificate.problems() == []
    assert follower.certificate.context is not None
    assert follower.certificate.ends_at is not None


def test_files_that_did_not_change_are_not_read_again(tmp_path: Path):
    server_pair(tmp_path, "a")
    follower = Follower(tmp_path)
    follower.refresh()
    before = follower.certificate.context
    follower.refresh()

    assert follower.certificate.context is before


def test_a_renewal_that_has_replaced_one_of_the_files_is_awaited(tmp_path: Path):
    server_pair(tmp_path, "a")
    follower = Follower(tmp_path)
    follower.refresh_once()
    (tmp_path / "new").mkdir()
    certificate, key = server_pair(tmp_path / "new", "a", days=30)
    key.replace(tmp_path / "own.key")
    follower.refresh_once()
    between = follower.certificate.problems()
    certificate.replace(tmp_path / "own.pem")
    follower.refresh_once()
    before = follower.certificate.ends_at
    follower.refresh_once()

    assert (between, follower.certificate.problems()) == ([], [])
    assert follower.certificate.ends_at != before


def test_a_change_of_the_right_to_read_it_is_a_change(tmp_path: Path):
    _, key = server_pair(tmp_path, "a")
    follower = Follower(tmp_path)
    follower.refresh()
    before = follower.certificate.context
    key.chmod(0o640)
    follower.refresh()

    assert follower.certificate.context is not before


def test_a_faulty_pair_replaces_nothing_and_its_reason_ends_with_it(tmp_path: Path):
    _, key = server_pair(tmp_path, "a")
    good = key.read_bytes()
    follower = Follower(tmp_path)
    follower.refresh()
    before = follower.certificate.context
    key.write_bytes(b"rubbish")
    follower.refresh()

    [problem] = follower.certificate.problems()
    assert problem.endswith("; the one that was read before stays in force")
    assert follower.certificate.context is before
    key.write_bytes(good)
    follower.refresh()
    assert follower.certificate.problems() == []


def test_an_ended_certificate_is_served_and_is_a_problem_and_the_next_one_replaces_it(tmp_path: Path):
    server_pair(tmp_path, "a", days=10)
    follower = Follower(tmp_path)
    follower.refresh()
    follower.now += timedelta(days=11)

    [problem] = follower.certificate.problems()
    assert " ended at " in problem
    assert follower.certificate.context is not None
    server_pair(tmp_path, "a", days=30)
    follower.refresh()
    assert follower.certificate.problems() == []


def test_a_pair_that_clients_refuse_replaces_none_that_they_accept(tmp_path: Path):
    server_pair(tmp_path, "a", days=30)
    follower = Follower(tmp_path)
    follower.refresh()
    before, end = follower.certificate.context, follower.certificate.ends_at
    follower.now += timedelta(days=20)
    server_pair(tmp_path, "a", days=10)
    follower.refresh()

    [problem] = follower.certificate.problems()
    assert " ended at " in problem
    assert (follower.certificate.context, follower.certificate.ends_at) == (before, end)
