"""Media, releases and Ignition files: each fault is found, and its cure removes the finding."""

import asyncio
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doctor.content.conftest import NOW, Appliance
from fixtures.installer import bzimage, initrd
from fixtures.nobody import as_nobody

from netboot.content.library.disk import sha256
from netboot.content.library.library import Library
from netboot.content.library.record import Record
from netboot.content.library.uploads import UploadKind, UploadRequest, Uploads, UploadState
from netboot.doctor.content.examine_content import examine_content
from netboot.doctor.content.role_file_checks import check_role_files
from netboot.doctor.doctor_finding import Level

COMMIT = "0" * 64


def record_medium(appliance: Appliance) -> None:
    """Record the medium as an import of these files would."""
    members = ("vmlinuz", "initrd.img", "images/install.img")
    size = sum((appliance.medium / member).stat().st_size for member in members)
    files = {member: sha256(appliance.medium / member) for member in members}
    record = Record("ol8.iso", "d" * 64, "2026-11-01T00:00:00+00:00", files=files, size_bytes=size)
    record.write(appliance.medium)


def test_a_medium_without_its_initrd(appliance: Appliance):
    (appliance.medium / "initrd.img").rename(appliance.directory / "kept")

    found = appliance.finding("content.")

    assert (found.check, found.level) == ("content.hosts", Level.PROBLEM)
    assert (found.sentence, found.evidence) == ("boot medium ol8u10-x86_64 has no initrd.img", ("used by cp1, w1",))
    (appliance.directory / "kept").rename(appliance.medium / "initrd.img")
    assert appliance.findings() == []


def test_what_no_host_uses_and_is_incomplete_is_a_warning(appliance: Appliance):
    for path, removed in ((appliance.medium, "vmlinuz"), (appliance.release, "config")):
        shutil.copytree(path, path.with_name("unused"))
        (path.with_name("unused") / removed).unlink()
        [found, unused] = appliance.findings("content.")

        assert (found.level, unused.check) == (Level.WARNING, "content.unused")
        assert found.check in {"content.media", "content.releases"}
        shutil.rmtree(path.with_name("unused"))


def test_a_stage_2_that_is_cut_off(appliance: Appliance):
    stage2 = appliance.medium / "images/install.img"
    stage2.write_bytes(stage2.read_bytes()[:150])

    assert "is cut off: 150 bytes of 200" in appliance.finding("content.media").sentence


def test_an_imported_medium_that_lost_bytes_or_a_file(appliance: Appliance):
    record_medium(appliance)
    assert appliance.findings(verifies=True) == []
    kernel = (appliance.medium / "vmlinuz").read_bytes()

    (appliance.medium / "vmlinuz").write_bytes(kernel[:-1])
    assert "its files have" in appliance.finding("content.media").sentence
    (appliance.medium / "vmlinuz").write_bytes(kernel[:-1] + b"?")

    assert appliance.findings() == []  # the quick pass does not read it
    found = appliance.finding("content.digests", verifies=True)
    assert (found.level, found.evidence[0].partition(":")[0]) == (Level.PROBLEM, "vmlinuz")
    assert "netboot content verify ol8u10-x86_64" in (found.cure or "")


@pytest.mark.parametrize(
    ("treeinfo", "what"),
    [
        ("[stage2]\nmainimage = images/other.img\n", "names images/other.img as stage 2, and there is no such file"),
        ("[general]\narch = aarch64\n", "is of a medium for aarch64, and the kernel is built for x86_64"),
    ],
)
def test_a_treeinfo_of_another_medium(appliance: Appliance, treeinfo: str, what: str):
    (appliance.medium / "vmlinuz").write_bytes(bytes(0x202) + b"HdrS" + bytes(600))
    (appliance.medium / ".treeinfo").write_text(treeinfo)

    found = appliance.finding("content.media")

    assert (found.level, what in found.sentence) == (Level.PROBLEM, True)
    (appliance.medium / ".treeinfo").unlink()
    assert appliance.findings() == []


def test_kernel_and_initrd_of_two_builds(appliance: Appliance):
    (appliance.medium / "vmlinuz").write_bytes(bzimage("5.15.0-1.el8uek.x86_64"))
    (appliance.medium / "initrd.img").write_bytes(initrd("5.14.0-9.el9.x86_64"))

    found = appliance.finding("content.media")

    assert "the kernel is 5.15.0-1.el8uek.x86_64, and the initrd has modules of 5.14.0-9.el9.x86_64" in found.sentence
    (appliance.medium / "initrd.img").write_bytes(initrd("5.15.0-1.el8uek.x86_64"))
    assert appliance.findings() == []


def test_a_release_without_its_commit(appliance: Appliance):
    [commit] = (appliance.release / "objects").rglob("*.commit")
    commit.rename(appliance.directory / "kept")

    found = appliance.finding("content.")
    assert (found.check, found.level) == ("content.hosts", Level.PROBLEM)
    assert found.evidence == ("used by cp1, w1",)
    (appliance.directory / "kept").rename(commit)
    assert appliance.findings() == []


def test_a_release_whose_ref_was_moved_since_its_import(appliance: Appliance):
    record = Record("a.tar", "d" * 64, "2026-11-01T00:00:00+00:00", ref="ock", commit=COMMIT)
    record.write(appliance.release)

    found = appliance.finding("content.releases")

    assert (found.level, "and 000000000000… was imported" in found.sentence) == (Level.WARNING, True)


def test_a_stale_summary(appliance: Appliance):
    (appliance.release / "summary").write_bytes(b"stale")

    found = appliance.finding("content.releases")

    assert (found.level, found.cure) == (Level.WARNING, f"ostree summary -u --repo={appliance.release}")
    subprocess.run(["ostree", "summary", "-u", f"--repo={appliance.release}"], check=True, timeout=30)
    assert appliance.findings() == []


def test_a_release_without_a_delta_is_a_note_where_deltas_are_generated(appliance: Appliance):
    appliance.makes_deltas = True

    assert appliance.finding("content.releases").level is Level.NOTE
    for arguments in (("static-delta", "generate", "--empty", "--to=ock"), ("summary", "-u")):
        command = ["ostree", arguments[0], f"--repo={appliance.release}", *arguments[1:]]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert appliance.findings() == []


def test_damaged_objects_are_found_by_the_full_verification(appliance: Appliance):
    damaged = next(path for path in (appliance.release / "objects").rglob("*.filez"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])

    assert appliance.findings() == []
    found = appliance.finding("content.digests", verifies=True)
    assert str(damaged.relative_to(appliance.release)) in found.evidence[0]
    damaged.write_bytes(whole)
    assert appliance.findings(verifies=True) == []


def test_what_no_host_uses_is_a_note(appliance: Appliance):
    shutil.copytree(appliance.release, appliance.release.with_name("ock-1.30"))
    (appliance.release.parent / "stable").symlink_to("ock-1.31-amd64")

    found = appliance.finding("content.unused")

    assert (found.level, found.sentence) == (Level.NOTE, "no host uses the release ock-1.30")
    hosts = appliance.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("ock-1.31-amd64", "stable"))
    assert [each.sentence for each in appliance.findings()] == ["no host uses the release ock-1.30"]


def test_a_release_that_does_not_exist(appliance: Appliance):
    hosts = appliance.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("w1: {", "w1: {release: ock-9, "))

    found = appliance.finding("content.hosts")

    assert (found.level, found.evidence) == (Level.PROBLEM, ("used by w1",))
    assert "import-archive FILE --name ock-9" in (found.cure or "")


def test_what_an_interrupted_import_left(appliance: Appliance):
    library = Library(appliance.directory / "content")
    with library.changing():
        assert appliance.findings() == []  # it runs
    (appliance.directory / "content/.staging/12-abc").mkdir()

    assert appliance.finding("content.unfinished").level is Level.NOTE
    with library.changing() as staging:
        staging.collect()
    assert appliance.findings() == []


def test_an_upload_that_stopped(appliance: Appliance):
    uploads = Uploads(appliance.directory / "content")
    upload = uploads.begin(UploadRequest(UploadKind.ISO, 1000), id_="a" * 32, now=NOW.isoformat())
    appliance.now = datetime.now(UTC)
    assert appliance.findings("content.unfinished") == []

    appliance.now += timedelta(hours=2)

    found = appliance.finding("content.unfinished")
    assert "the upload of an iso stopped at 0" in found.sentence
    uploads.remove(upload.id)
    assert appliance.findings("content.unfinished") == []


def written(file: Path, before: timedelta) -> None:
    at = (NOW - before).timestamp()
    os.utime(file, (at, at))


def test_an_ended_token_is_a_problem_and_one_that_ends_soon_a_warning(appliance: Appliance):
    file = appliance.directory / "ign/worker-join.ign"
    for other in file.parent.iterdir():
        written(other, timedelta())
    written(file, timedelta(hours=25))

    found = appliance.finding("content.role_files")
    assert (found.level, found.evidence) == (Level.PROBLEM, ("used by w1",))
    assert "netboot cluster ignition set worker FILE" in (found.cure or "")

    written(file, timedelta(hours=20))
    found = appliance.finding("content.role_files")
    assert (found.level, "ends in 4 h," in found.sentence) == (Level.WARNING, True)

    written(file, timedelta(hours=1))
    assert appliance.findings() == []


def test_a_role_file_that_ignition_refuses_or_that_is_gone(appliance: Appliance):
    facts, file = appliance.facts(), appliance.directory / "ign/worker-join.ign"
    file.write_text("{}")
    [refused] = check_role_files(facts.registry.hosts, NOW)
    file.unlink()
    [gone] = check_role_files(facts.registry.hosts, NOW)

    assert (refused.level, gone.level) == (Level.PROBLEM, Level.PROBLEM)
    assert "so Ignition refuses it" in refused.sentence
    assert "cannot be read: No such file or directory" in gone.sentence


def test_a_medium_for_inspections_that_is_not_there_is_a_problem_of_its_setting(appliance: Appliance):
    settings = appliance.directory / "netboot.yaml"
    settings.write_text(
        settings.read_text().replace("hosts: {files", "hosts: {unknown: inspect, inspect_media: ol9, files")
    )

    found = appliance.finding("content.hosts")

    assert (found.level, found.evidence) == (Level.PROBLEM, ("used by hosts.inspect_media",))
    assert found.sentence.startswith("cannot find boot medium ol9: ")


def test_a_file_of_the_import_that_is_gone(appliance: Appliance):
    record_medium(appliance)
    record = Record.read(appliance.medium)
    assert record is not None
    replace(record, files={**record.files, "images/extra.img": "0" * 64}).write(appliance.medium)

    found = appliance.finding("content.media")

    assert found.sentence == "boot medium ol8u10-x86_64: images/extra.img of its import are missing"


def test_a_release_whose_objects_changed_since_its_import(appliance: Appliance):
    [commit] = (appliance.release / "objects").rglob("*.commit")
    name = commit.parent.name + commit.stem
    Record("a.tar", "d" * 64, "2026-11-01T00:00:00+00:00", ref="ock", commit=name, pull_count=7).write(
        appliance.release
    )

    found = appliance.finding("content.releases")

    assert (found.level, found.cure) == (
        Level.WARNING,
        "netboot content verify ock-1.31-amd64, then --repair FILE",
    )
    assert found.sentence == "release ock-1.31-amd64: objects came, went or were replaced since its import"


def test_an_alias_is_verified_as_the_release_that_it_names_and_a_complete_upload_has_not_stopped(
    appliance: Appliance,
):
    (appliance.release.parent / "prod").symlink_to(appliance.release.name)
    [file, *_] = sorted((appliance.release / "objects").rglob("*.filez"))
    file.write_bytes(b"damaged")
    uploads = Uploads(appliance.directory / "content")
    upload = uploads.begin(UploadRequest(UploadKind.ISO, 1000), id_="a" * 32, now=NOW.isoformat())
    uploads.move(upload, UploadState.IMPORTING)
    appliance.now = datetime.now(UTC) + timedelta(hours=2)

    assert [each.sentence for each in appliance.findings("content.digests", verifies=True)] == [
        "release ock-1.31-amd64: 1 of its files are damaged or missing"
    ]
    assert appliance.findings("content.unfinished") == []


def test_what_this_user_cannot_read_is_not_checked_and_no_fault_of_the_content(appliance: Appliance):
    given = appliance.facts()
    appliance.directory.chmod(0o700)

    with as_nobody():
        found = asyncio.run(examine_content(given))

    reasons = {check: why for check, why in found.not_checked.items() if "--verify" not in why}
    assert {*reasons} == {f"content.{each}" for each in ("images", "media", "releases", "unfinished", "unused")}
    assert all("Permission denied; " in why for why in reasons.values())
    assert "content.loader_files" in found.checked
