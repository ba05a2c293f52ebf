"""A machine installs from what an operator imports: an ISO in Oracle's layout, an archive as `ocne` makes it."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest
from e2e.archives import an_archive, run

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.media.stand_ins import MEDIUM, RELEASE
from netboot.model.install.event import Step
from netboot.operate.arming import ArmRequest

pytestmark = pytest.mark.e2e

INSTALL_S = 480.0


@pytest.mark.proof
async def test_a_machine_is_installed_from_an_imported_iso_and_archive():
    async with running_lab([CP1], say=lambda *_: None) as lab, lab.appliance.control() as daemon:
        await asyncio.to_thread(import_everything, lab)
        await daemon.arm(ArmRequest(["cp1"], reason="test"))

        timelines = await boot_to_the_end(daemon, [lab.guest("cp1")], on_change=lambda *_: None, limit_s=INSTALL_S)

        assert Step.READY in timelines["cp1"].moments


def import_everything(lab: Lab) -> None:
    """Wrap the lab's media as they are downloaded and built, take them away, and import them beside the daemon."""
    content, scratch = lab.appliance.paths.content, lab.work / "downloads"
    scratch.mkdir()
    iso = an_iso(content / "media" / MEDIUM, scratch)
    archive = an_archive(content / "ostree" / RELEASE, scratch)
    shutil.rmtree(content)
    netboot = (sys.executable, "-m", "netboot", "--config", str(lab.appliance.paths.settings), "content")
    run(*netboot, "import-iso", str(iso), "--name", MEDIUM, "--json")
    run(*netboot, "import-archive", str(archive), "--name", RELEASE, "--json")


def an_iso(medium: Path, scratch: Path) -> Path:
    """Lay kernel, initrd and stage 2 out as lorax does for EL8, and give the disc Oracle's volume name."""
    tree, iso = scratch / "tree", scratch / "download.iso"
    for source, name in (
        ("vmlinuz", "images/pxeboot/vmlinuz"),
        ("initrd.img", "images/pxeboot/initrd.img"),
        ("images/install.img", "images/install.img"),
    ):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(medium / source, tree / name)
    run("xorriso", "-as", "mkisofs", "-R", "-J", "-V", "OL-8-10-0-BaseOS-x86_64", "-o", str(iso), str(tree))
    return iso
