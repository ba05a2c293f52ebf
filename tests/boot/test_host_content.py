"""What hosts install, as one content directory has it: read once, read anew when it changed, refused with a reason."""

import asyncio
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.installer import arm64_image
from fixtures.nobody import as_nobody

from netboot.boot.documents.host_content import HostContent, content_problem
from netboot.content.library.record import Record
from netboot.errors import ContentError, MediumError, ReleaseError
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.release import RemoteRelease

OCK = "ock-1.31-amd64"


@pytest.fixture
def own(content: Path, tmp_path: Path) -> Path:
    """Content that a test may change."""
    return Path(shutil.copytree(content, tmp_path / "content", symlinks=True))


@pytest.fixture
def cp1(hosts: HostSet) -> Host:
    return hosts.hosts[HostName("cp1")]


def test_a_release_is_read_once_and_anew_only_where_the_directory_changed(own: Path, cp1: Host):
    def commit_anew() -> None:
        repo = f"--repo={own / 'ostree' / OCK}"
        command = ["ostree", repo, "commit", "--branch=ock", f"--tree=dir={own / 'tree' / 'usr'}"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    async def scenario() -> tuple[list[Any], list[int | None]]:
        before = HostContent(own)
        first = await before.release(cp1)
        commit_anew()
        unchanged, changed = await before.renewed([cp1], []), await before.renewed([cp1], [OCK])
        releases = [first] + [await each.release(cp1) for each in (before, unchanged, changed)]
        return releases, [each.object_count(OCK) for each in (HostContent(own), before, changed)]

    (first, again, unchanged, changed), counts = asyncio.run(scenario())

    assert again is unchanged is first
    assert changed.commit not in (None, first.commit)
    assert counts == [None, first.object_count, changed.object_count]


def test_a_release_of_another_server_is_not_read_here(tmp_path: Path, cp1: Host):
    remote = RemoteRelease("http://192.0.2.20/ostree", "ock")

    assert asyncio.run(HostContent(tmp_path).release(replace(cp1, release=remote))) is remote


def test_a_host_without_a_medium_has_no_installer_whose_version_is_known(content: Path, cp1: Host):
    async def majors() -> list[int | None]:
        return [await HostContent(content).installer_major(replace(cp1, boot_media=each)) for each in (None, "none")]

    assert asyncio.run(majors()) == [None, None]


@pytest.mark.parametrize("release", ["x86_64", "aarch64"])
def test_a_medium_and_a_release_for_two_cpus_are_refused_and_of_one_they_are_not(own: Path, cp1: Host, release: str):
    (own / "media" / str(cp1.boot_media) / "vmlinuz").write_bytes(arm64_image("5.15"))
    Record("a.tar", "0" * 64, "2026-11-21", architecture=release).write(own / "ostree" / OCK)
    checked = HostContent(own).check_architectures(cp1)

    if release == "aarch64":
        asyncio.run(checked)
    else:
        with pytest.raises(ContentError) as refused:
            asyncio.run(checked)
        assert str(refused.value) == (
            f"cp1 cannot start what it installs: its boot medium {cp1.boot_media} is for aarch64 and "
            f"release {OCK} is for x86_64; correct hosts.cp1.boot_media or hosts.cp1.release"
        )


@pytest.mark.parametrize(
    ("medium", "release", "problem"),
    [
        (None, None, None),
        (None, OCK, None),
        ("ol8u10-x86_64", None, None),
        ("none", OCK, MediumError),
        ("ol8u10-x86_64", "none", ReleaseError),
        (None, "none", ReleaseError),
    ],
)
def test_only_what_is_named_can_be_missing(
    content: Path, medium: str | None, release: str | None, problem: type[ContentError] | None
):
    found = content_problem(content, medium, release)

    assert type(found) is (problem or type(None))
    assert found is None or "none" in str(found)


def test_content_that_this_user_cannot_read_is_a_problem(own: Path):
    (own / "media" / "ol8u10-x86_64").chmod(0)

    with as_nobody():
        found = content_problem(own, "ol8u10-x86_64", None)

    assert str(found) == (
        f"cannot read {own}/media/ol8u10-x86_64: Permission denied; let this user read it, or use sudo"
    )
