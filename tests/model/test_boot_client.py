"""The name of an architecture is read back as its number; a boot method is named by protocol and CPU."""

import pytest

from netboot.model.boot.boot_client import (
    Arch,
    BootClient,
    BootProtocol,
    Cpu,
    Stage,
    arch_name,
    arch_named,
)
from netboot.model.host.mac import Mac

MAC = Mac("52:54:00:aa:bb:01")


@pytest.mark.parametrize("number", [*Arch, 1, 99, 65_535])
def test_an_architecture_is_read_as_it_was_written(number: int):
    assert arch_named(arch_name(number)) == number


def test_names_are_those_of_log_and_settings():
    assert [arch_name(number) for number in (0, 7, 16, 99)] == ["x86-bios", "x64-uefi", "x64-uefi-http", "arch-99"]


@pytest.mark.parametrize("text", ["", "arch-", "arch-65536", "arch-9999999", "arch-٢", "arch-x", "x64", "99"])
def test_another_text_is_no_architecture(text: str):
    assert arch_named(text) is None


@pytest.mark.parametrize(
    ("arch", "protocol", "cpu", "method"),
    [
        (0, BootProtocol.PXE, Cpu.X86_BIOS, "pxe/x86-bios"),
        (16, BootProtocol.HTTP, Cpu.X64, "http/x64"),
        (99, BootProtocol.PXE, None, "pxe/arch-99"),
    ],
)
def test_a_boot_method_is_protocol_and_cpu(arch: int, protocol: BootProtocol, cpu: Cpu | None, method: str):
    client = BootClient(MAC, arch, protocol, Stage.FIRMWARE)

    assert (client.cpu, client.firmware) == (cpu, method)
