"""An arm64 machine boots its own medium to the installer's userspace, and no medium of another CPU."""

import asyncio
import json
import shutil
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Final

import pytest
from e2e.archives import an_archive
from e2e.foreign_programs import HTTP_GRUB_ARM64, add_arm64_http_grub, arm64_busybox, arm64_kernel

from netboot.content.assets import assets_directory
from netboot.control_socket import RefusedError
from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import LabHost
from netboot.lab.lan.namespaces import inside
from netboot.lab.machines.qemu import Firmware, LabMachine
from netboot.lab.media.installed import REF
from netboot.lab.media.roots import add_file, make_root, pack_initrd, run
from netboot.lab.media.stand_ins import MEDIUM
from netboot.model.host.host import Role
from netboot.model.release import EntryKind
from netboot.operate.arming import ArmRequest

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

BOOT_S = 400.0
ARM64_MEDIUM: Final = "arm64-installer"
ARM64_RELEASE: Final = "arm64-ock"
ARM64: Final = LabHost(
    LabMachine("arm64", "52:54:00:aa:cc:06", Firmware.ARM64_PXE, disks=()),
    Role.WORKER,
    loader=HTTP_GRUB_ARM64,
    more={"boot_media": ARM64_MEDIUM, "release": ARM64_RELEASE, "kernel_arguments": ["console=ttyAMA0", "quiet"]},
)
FOR_ANOTHER_CPU: Final = (
    f"arm64 boots as aarch64, and its boot medium {MEDIUM} is for x86_64; correct hosts.arm64.boot_media"
)
MIXED: Final = (
    f"arm64 cannot start what it installs: its boot medium {MEDIUM} is for x86_64 and release {ARM64_RELEASE} is for "
    "aarch64; correct hosts.arm64.boot_media or hosts.arm64.release"
)


def quiet(*_: object) -> None: ...


def root_of_arm64(directory: Path) -> Path:
    root = make_root(directory)
    shutil.copy2(arm64_busybox(), root / "usr/bin/busybox")
    add_file(root, "lib/netboot/common.sh", assets_directory() / "lab/common.sh")
    return root


def add_medium(content: Path, work: Path) -> None:
    """Write the lab's installer for arm64: its stage 1 is that of the lab, its stage 2 prints one line."""
    medium, kernel = EntryKind.MEDIUM.path(content, ARM64_MEDIUM), arm64_kernel()
    (medium / "images").mkdir(parents=True)
    shutil.copy2(kernel.image, medium / "vmlinuz")
    stage1 = root_of_arm64(work / "stage1")
    kernel.add_modules(stage1, ("virtio_pci", "virtio_net", "loop", "squashfs", "overlay"))
    (stage1 / "etc").mkdir()
    add_file(stage1, "lib/netboot/udhcpc", assets_directory() / "lab/udhcpc", mode=0o755)
    add_file(stage1, "init", assets_directory() / "lab/installer/stage1", mode=0o755)
    add_file(stage1, "usr/bin/curl", Path(__file__).parent / "arm64_curl", mode=0o755)
    pack_initrd(stage1, medium / "initrd.img")
    stage2 = root_of_arm64(work / "stage2")
    init = stage2 / "usr/sbin/init"
    init.write_text("#!/bin/sh\n. /lib/netboot/common.sh\nsay installer stage 2, $(uname -m)\nexec sleep 3600\n")
    init.chmod(0o755)
    run("mksquashfs", stage2, medium / "images/install.img", "-all-root", "-quiet", "-no-progress")


def add_release(lab: Lab) -> None:
    """Import a release for arm64 beside the daemon; it has a kernel, and no machine installs it here."""
    kernel, tree, repository = arm64_kernel(), lab.work / "release", lab.work / "repository"
    (tree / "usr/lib/modules" / kernel.version).mkdir(parents=True)
    shutil.copy2(kernel.image, tree / "usr/lib/modules" / kernel.version / "vmlinuz")
    run("ostree", "init", f"--repo={repository}", "--mode=archive")
    owner = ("--owner-uid=0", "--owner-gid=0", "--no-xattrs")
    run("ostree", "commit", f"--repo={repository}", f"--branch={REF}", f"--tree=dir={tree}", *owner)
    archive = an_archive(repository, lab.work, architecture="arm64")
    run(*netboot(lab), "content", "import-archive", archive, "--name", ARM64_RELEASE)


def netboot(lab: Lab) -> tuple[str, ...]:
    return (sys.executable, "-m", "netboot", "--config", str(lab.appliance.paths.settings))


async def test_an_arm64_machine_boots_its_installer_and_no_medium_for_another_cpu():
    async with running_lab([ARM64], say=quiet) as lab, lab.appliance.control() as daemon:
        await asyncio.to_thread(add_medium, lab.appliance.paths.content, lab.work)
        await asyncio.to_thread(add_release, lab)
        await asyncio.to_thread(add_arm64_http_grub, lab.appliance.paths.loaders)
        await daemon.reload()
        await daemon.arm(ArmRequest(["arm64"], reason="test"))

        console = await lab.guest("arm64").power_on()

        await console.wait_for("netboot-lab: installer stage 2, aarch64", timeout_s=BOOT_S)
        assert "netboot-lab: kickstart fetched" in console.text
        log = [json.loads(line) for line in lab.appliance.log.read_text().splitlines()]
        assert [each["host"] for each in log if each["event"] == "boot.kickstart_served"] == ["arm64"]
        await lab.guest("arm64").power_off()
        await daemon.cancel("arm64")

        hosts = lab.appliance.paths.directory / "hosts.yaml"
        hosts.write_text(hosts.read_text().replace(ARM64_MEDIUM, MEDIUM))
        await daemon.reload()
        with pytest.raises(RefusedError, match=FOR_ANOTHER_CPU):
            await daemon.arm(ArmRequest(["arm64"], reason="test"))
        command = inside(lab.lan.namespace, *netboot(lab), "check", "--json")
        check = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
        printed, _ = await check.communicate()
        [problem] = [each for each in json.loads(printed)["problems"] if "aarch64" in each]
        assert problem.partition("hosts.arm64: ")[2] == MIXED
