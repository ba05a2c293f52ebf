"""Loaders as files: each fault is found with its level, and its cure removes the finding."""

import pytest
from doctor.content.conftest import LOADERS, Appliance
from fixtures import signed_loaders as made

from netboot.doctor.doctor_finding import Level
from netboot.model.boot.boot_client import Arch

W1 = "52:54:00:12:34:56"


def test_healthy_content_has_no_finding(appliance: Appliance):
    appliance.add_machine(W1, secure_boot=False)
    report = appliance.report()

    assert report.findings == ()
    assert dict(report.not_checked) == {
        "content.digests": "netboot doctor --area content --verify reads every byte",
    }


def test_without_a_loader_for_uefi_nothing_boots(appliance: Appliance):
    (appliance.boot / "snponly.efi").unlink()
    (appliance.boot / "snponly-arm64.efi").unlink()

    found = appliance.finding("content.loaders")
    assert (found.level, found.cure) == (Level.PROBLEM, "install the package ipxe, or set bootfiles.directories")
    assert "Oracle Linux 8: ipxe-bootimgs" in found.evidence
    (appliance.boot / "snponly.efi").write_bytes(LOADERS["snponly.efi"])
    assert [each.level for each in appliance.findings("content.loaders")] == [Level.NOTE]


def test_an_architecture_that_no_machine_has_is_a_note_with_its_packages(appliance: Appliance):
    (appliance.boot / "undionly.kpxe").unlink()
    (appliance.boot / "snponly-arm64.efi").unlink()

    found = appliance.finding("content.loaders")

    assert found.level is Level.NOTE
    assert found.sentence == "there is no boot loader for BIOS and arm64 UEFI; no machine that was seen needs one"
    assert found.evidence == (
        "BIOS: Oracle Linux 9 and 10: ipxe-bootimgs-x86; Oracle Linux 8: ipxe-bootimgs; Debian: ipxe",
        "arm64 UEFI: Oracle Linux 9 and 10: ipxe-bootimgs-aarch64; Debian 13 and later: ipxe",
    )


def test_an_architecture_of_a_machine_without_a_loader_is_a_problem(appliance: Appliance):
    (appliance.boot / "snponly-arm64.efi").unlink()
    appliance.add_machine(W1, arch=Arch.ARM64_UEFI)

    found = appliance.finding("content.loaders")

    assert (found.level, found.evidence[0]) == (Level.PROBLEM, f"seen with it: w1 ({W1})")
    assert "ipxe-bootimgs-aarch64" in (found.cure or "")


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("snponly.efi", LOADERS["snponly.efi"][:-5000], "it is cut off: 5000 of "),
        ("undionly.kpxe", b"<!DOCTYPE html><html>", "it is a web page"),
        ("undionly.kpxe", b"", "it is empty"),
        ("undionly.kpxe", made.bios()[:5000], "it has 5000 bytes"),
    ],
)
def test_an_offered_loader_that_is_none_is_a_problem(appliance: Appliance, name: str, content: bytes, fault: str):
    (appliance.boot / name).write_bytes(content)

    [found, *_] = appliance.findings("content.loader_files")

    assert (found.level, found.evidence[0]) == (Level.PROBLEM, f"{appliance.boot / name}, {len(content)} bytes")
    assert found.sentence.startswith(f"{name}: {fault}")
    (appliance.boot / name).write_bytes(LOADERS[name])
    assert appliance.findings() == []


def test_a_loader_that_no_machine_is_offered_is_a_warning(appliance: Appliance):
    (appliance.boot / "ipxe-arm64.efi").write_bytes(made.ipxe("x64"))
    (appliance.boot / "download.efi").write_bytes(b"\n<html><title>404</title>")
    (appliance.boot / "ipxe.pxe").write_bytes(made.program())

    found = {each.sentence: each.level for each in appliance.findings()}

    assert found == {
        "download.efi: it is a web page, saved by this name: the download failed": Level.WARNING,
        "ipxe-arm64.efi: it is built for x64, and its name says arm64": Level.WARNING,
        "ipxe.pxe: it is a UEFI program, and its name is that of a loader for BIOS": Level.WARNING,
    }


def test_a_web_page_instead_of_a_loader_is_named_beside_the_missing_loader(appliance: Appliance):
    (appliance.boot / "snponly.efi").write_bytes(b"<html>")

    found = {each.check for each in appliance.findings()}

    assert found == {"content.loaders", "content.loader_files"}


def test_an_ipxe_without_http_cannot_fetch_its_script(appliance: Appliance):
    (appliance.boot / "snponly.efi").write_bytes(made.ipxe(without=b"\0http"))

    found = appliance.finding("content.ipxe")

    assert (found.level, found.evidence) == (Level.PROBLEM, ("iPXE 1.21.1+git-test",))


def test_an_ipxe_without_syslog_matters_where_logs_are_received(appliance: Appliance):
    (appliance.boot / "snponly.efi").write_bytes(made.ipxe(without=b"\0syslog"))
    assert appliance.findings() == []

    appliance.receives_logs = True

    assert appliance.finding("content.ipxe").level is Level.NOTE


@pytest.mark.parametrize("name", ["autoexec.ipxe", "grub.cfg", "grub.cfg-01-52-54-00-12-34-56"])
def test_a_file_that_netboot_renders_itself_is_never_sent(appliance: Appliance, name: str):
    (appliance.boot / name).write_text("#!ipxe\nchain http://other/\n")

    found = appliance.finding("content.shadowed_names")

    assert found.level is Level.WARNING
    assert found.sentence.startswith(f"{name} is never sent")
    (appliance.boot / name).unlink()
    assert appliance.findings() == []
