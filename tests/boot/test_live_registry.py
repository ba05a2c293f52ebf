"""Boot files that change on disk are served and offered without a reload."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixtures.services import BuiltServices, WithServices

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import BootProtocol, Cpu

X64 = (BootProtocol.PXE, Cpu.X64)


def loader(machine: int = 0x8664) -> bytes:
    """Return the head of a PE image for a CPU."""
    return b"MZ" + bytes(0x3A) + (64).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little") + bytes(64)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def following(with_services: WithServices, directory: Path, change: Callable[[BuiltServices], Any]) -> None:
    """Follow the boot files of a directory, with one loader, while `change` runs."""
    (directory / "snponly.efi").write_bytes(loader())

    async def scenario(services: BuiltServices) -> None:
        services.registry.replace_boot_files(BootFiles([directory]))
        running = asyncio.create_task(services.registry.follow_boot_files())
        try:
            await change(services)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    with_services(scenario)


def test_a_loader_that_is_replaced_by_one_for_another_cpu_is_no_longer_offered(
    with_services: WithServices, tmp_path: Path
):
    async def change(services: BuiltServices) -> None:
        assert services.policy.loaders[X64] == "snponly.efi"
        (tmp_path / "snponly.efi").write_bytes(loader(0xAA64))

        await until(lambda: X64 not in services.policy.loaders)

    following(with_services, tmp_path, change)


def test_a_reload_during_the_scan_is_kept(with_services: WithServices, tmp_path: Path):
    async def change(services: BuiltServices) -> None:
        (tmp_path / "snponly.efi").write_bytes(loader() + b"another build")
        reloaded = BootFiles([tmp_path])
        services.registry.replace_boot_files(reloaded)
        await asyncio.sleep(0.1)

        assert services.registry.now.boot_files is reloaded

    following(with_services, tmp_path, change)


def test_a_loader_that_is_added_is_found_at_once(with_services: WithServices, tmp_path: Path):
    async def change(services: BuiltServices) -> None:
        await until(lambda: not services.registry.renew_boot_files())  # a directory as old as its reading is read again
        (tmp_path / "ipxe.efi").write_bytes(loader())

        assert services.registry.renew_boot_files()
        assert services.registry.now.boot_files.find("ipxe.efi") is not None

    following(with_services, tmp_path, change)
