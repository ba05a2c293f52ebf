"""Which loaders the files may name; faults are reported before a machine boots."""

from dataclasses import replace
from pathlib import Path

import pytest

from netboot.boot.firmware.loader_choice import policy, renewed
from netboot.boot.firmware.reply_variants import choices_for
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Cpu, Stage
from netboot.model.boot.offer import LoaderRule, Policy, UnknownHosts
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac

X64, ARM64 = 0x8664, 0xAA64


def pe_image(machine: int) -> bytes:
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


@pytest.fixture
def bootfiles(tmp_path: Path) -> BootFiles:
    for name in ("snponly.efi", "ipxe.efi", "shimx64.efi.signed"):
        (tmp_path / name).write_bytes(pe_image(X64))
    (tmp_path / "grubaa64.efi").write_bytes(pe_image(ARM64))
    (tmp_path / "undionly.kpxe").write_bytes(b"x")
    (tmp_path / "page.efi").write_bytes(b"<html>")
    return BootFiles([tmp_path])


def host(loader: str | None, name: str = "cp1", line: int = 9) -> Host:
    mac = Mac.parse("52:54:00:aa:bb:01")
    return Host(HostName(name), Role.CONTROL_PLANE, (mac,), loader=loader, declared_at=f"hosts.yaml:{line}:3")


def rule(cpu: Cpu, loader: str) -> LoaderRule:
    return LoaderRule(BootProtocol.PXE, cpu, loader)


def test_the_policy_holds_what_is_there_and_what_is_named(bootfiles: BootFiles):
    rules = (rule(Cpu.ARM64, "grubaa64.efi"), rule(Cpu.X86_BIOS, "undionly.kpxe"))

    made, problems = policy(
        UnknownHosts.WAIT,
        rules,
        hosts=[host("shimx64.efi"), host("undionly.kpxe"), host(None)],
        bootfiles=bootfiles,
    )

    assert problems == ()
    assert made == Policy(
        UnknownHosts.WAIT,
        loaders={
            (BootProtocol.PXE, Cpu.X86_BIOS): "undionly.kpxe",
            (BootProtocol.PXE, Cpu.X64): "snponly.efi",
            (BootProtocol.HTTP, Cpu.X64): "snponly.efi",
        },
        others={
            (BootProtocol.PXE, Cpu.X86_BIOS): (),
            (BootProtocol.PXE, Cpu.X64): ("ipxe.efi",),
            (BootProtocol.HTTP, Cpu.X64): ("ipxe.efi",),
        },
        rules=rules,
        declared_rules=rules,
        cpus={"shimx64.efi": Cpu.X64},
    )


def test_what_is_missing_or_for_another_cpu_is_a_problem_and_is_not_offered(bootfiles: BootFiles):
    directory = bootfiles.directories[0]
    sound = rule(Cpu.ARM64, "grubaa64.efi")

    made, problems = policy(
        UnknownHosts.IGNORE,
        (rule(Cpu.X64, "grubaa64.efi"), rule(Cpu.X64, "undionly.kpxe"), rule(Cpu.X64, "gone.efi"), sound),
        hosts=[host("gone.efi"), host("page.efi", "w1", 20)],
        bootfiles=bootfiles,
    )

    client = BootClient(Mac("52:54:00:aa:bb:01"), Arch.X64_UEFI, BootProtocol.PXE, Stage.FIRMWARE)
    assert (made.rules, set(made.unusable)) == ((sound,), {"gone.efi", "page.efi"})
    assert choices_for(client, host("gone.efi"), made) == choices_for(client, host(None), made)
    assert [str(problem) for problem in problems] == [
        f"hosts.yaml:9:3: hosts.cp1.loader: there is no gone.efi below {directory}; "
        "put it there, or see bootfiles.directories",
        f"hosts.yaml:20:3: hosts.w1.loader: {directory}/page.efi is not an EFI program that any firmware would run; "
        "put a whole one there",
        f"netboot.yaml: bootfiles.loaders[0].loader: {directory}/grubaa64.efi is built for arm64, not for x64; "
        "name one that is",
        f"netboot.yaml: bootfiles.loaders[1].loader: {directory}/undionly.kpxe is built for x86-bios, not for x64; "
        "name one that is",
        f"netboot.yaml: bootfiles.loaders[2].loader: there is no gone.efi below {directory}; "
        "put it there, or see bootfiles.directories",
    ]


def test_after_a_change_of_the_boot_files_the_policy_is_what_it_would_be_had_it_been_read_now(tmp_path: Path):
    hosts = [host("late.efi"), host("ipxe.efi", "w1")]
    rules = (rule(Cpu.ARM64, "arm.efi"), rule(Cpu.X64, "gone.efi"))
    (tmp_path / "gone.efi").write_bytes(pe_image(X64))
    before, _ = policy(UnknownHosts.WAIT, rules, hosts=hosts, bootfiles=BootFiles([tmp_path]))
    for name, machine in (("late.efi", X64), ("arm.efi", ARM64), ("ipxe.efi", ARM64), ("snponly.efi", X64)):
        (tmp_path / name).write_bytes(pe_image(machine))
    (tmp_path / "gone.efi").unlink()

    after = renewed(before, hosts, BootFiles([tmp_path]))

    assert after == policy(UnknownHosts.WAIT, rules, hosts=hosts, bootfiles=BootFiles([tmp_path]))[0]
    assert after != before


def test_after_a_change_of_the_boot_files_only_the_loaders_differ(tmp_path: Path):
    empty = BootFiles([tmp_path])
    made, _ = policy(UnknownHosts.INSPECT, (), hosts=[], bootfiles=empty)
    left_out = frozenset({Mac("52:54:00:aa:bb:09")})
    before = replace(made, address_announces=True, inspect_media="ol9", left_out=left_out, is_complete=False)
    (tmp_path / "snponly.efi").write_bytes(pe_image(X64))

    after = renewed(before, [], BootFiles([tmp_path]))

    assert after == replace(before, loaders=after.loaders, others=after.others)
    assert after.loaders != before.loaders
