"""What a machine fetched by name, as its events show it."""

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.content.serving.served_file import ServedFile
from netboot.model.boot.boot_client import BootProtocol, Cpu
from netboot.model.boot.offer import DocumentKind, MachineDocument
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.host_network import HostNetwork
from netboot.model.release import ContentKind


def kernel() -> ServedFile:
    return ServedFile("/x", 100, '"e"', "t", "c", ContentKind.KERNEL, "ol8u10-x86_64", "vmlinuz")


def test_each_step_of_a_boot_is_emitted_once(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str | None]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        services.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0}
        services.file_service.record_loader(ADDRESS, "snponly.efi", outcome="probed", **sent)  # type: ignore[arg-type]
        services.file_service.record_loader(ADDRESS, "snponly.efi", outcome="sent", **sent)  # type: ignore[arg-type]
        services.boots(IPXE)
        await services.script_for(MAC, ADDRESS)
        for _ in range(2):
            services.file_service.record_content(ADDRESS, kernel(), 100)
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer", "loader", "script", "kernel"]


def test_a_pull_is_reported_at_each_five_per_cent_up_to_a_hundred(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> list[object]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        repository = content / "ostree" / "ock-1.31-amd64"
        for path in sorted((repository / "objects").rglob("*.*")):
            member = path.relative_to(repository).as_posix()
            file = ServedFile(str(path), 1, '"e"', "t", "c", ContentKind.OSTREE_OBJECT, "ock-1.31-amd64", member)
            services.file_service.record_content(ADDRESS, file, 1)
        return [event.data["percent"] for event in await services.events() if event.step == "ostree"]

    percents = with_services(scenario)

    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_what_another_address_fetches_is_no_step_of_a_boot_and_no_pull(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> list[str | None]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        await services.documents.content.release(services.hosts.get("cp1"))  # type: ignore[arg-type]
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}
        services.file_service.request_file(UNKNOWN_ADDRESS, "snponly.efi", mac=MAC)
        services.file_service.record_loader(UNKNOWN_ADDRESS, "snponly.efi", **sent)  # type: ignore[arg-type]
        services.file_service.record_content(UNKNOWN_ADDRESS, kernel(), 100)
        repository = content / "ostree" / "ock-1.31-amd64"
        for path in (repository / "objects").rglob("*.*"):
            member = path.relative_to(repository).as_posix()
            file = ServedFile(str(path), 1, '"e"', "t", "c", ContentKind.OSTREE_OBJECT, "ock-1.31-amd64", member)
            services.file_service.record_content(UNKNOWN_ADDRESS, file, 1)
        assert services.file_service.pulls() == []
        assert services.seen.get(MAC).loader_shown_s is None  # type: ignore[union-attr]
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer"]


def test_a_grub_at_a_registered_address_gets_its_own_configuration_though_the_wire_shows_another_machine_there(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        cp1 = services.hosts.get("cp1")
        assert cp1 is not None
        hosts = HostSet.of(services.hosts.cluster, [replace(cp1, network=HostNetwork(IPv4Interface("192.0.2.50/24")))])
        services.use(hosts=hosts)
        services.boots(replace(FIRMWARE, mac=UNKNOWN_MAC), address=ADDRESS)

        named = services.file_service.request_file(ADDRESS, "grub.cfg-01-52-54-00-aa-bb-01")
        unnamed = services.file_service.request_file(ADDRESS, "grub.cfg")

        assert named == unnamed == MachineDocument(DocumentKind.GRUB_CONFIG, MAC)

    with_services(scenario)


def test_refused_requests_are_one_event_under_the_host_at_their_address_and_change_nothing_else(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> list[tuple[object, ...]]:
        services.boots(FIRMWARE)
        for address in (str(ADDRESS), "203.0.113.9", "not an address"):
            for _ in range(3):
                services.file_service.record_refusal(address, "host")
        refused = [event for event in await services.events() if event.name == "http.refused"]
        return [(event.name, event.host, event.step, dict(event.data)) for event in refused]

    assert with_services(scenario) == [
        ("http.refused", "cp1", None, {"address": str(ADDRESS), "reason": "host"}),
        ("http.refused", None, None, {"address": "203.0.113.9", "reason": "host"}),
        ("http.refused", None, None, {"address": "not an address", "reason": "host"}),
    ]


def failed(services: BuiltServices, name: str = "snponly.efi", outcome: str = "unanswered") -> None:
    services.file_service.record_failed_loader(ADDRESS, name, outcome=outcome, bytes_sent=0, size_bytes=3000)


def test_a_loader_that_is_not_received_is_reported_five_times_in_a_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        failed(services)  # of a machine that was offered nothing
        services.boots(FIRMWARE)
        for _ in range(9):
            failed(services)
        services.file_service.record_failed_loader(
            ADDRESS, "snponly.efi", outcome="refused-by-peer", bytes_sent=1024, size_bytes=3000, peer_error="3 full"
        )
        return [dict(event.data) for event in await services.events() if event.name == "boot.transfer_failed"]

    sent = {"content": "loader", "name": "snponly.efi", "size_bytes": 3000}
    assert with_services(scenario) == [
        *[{**sent, "outcome": "unanswered", "bytes": 0}] * 5,
        {**sent, "outcome": "refused-by-peer", "bytes": 1024, "peer_error": "3 full"},
    ]


def test_a_repeated_request_that_ends_after_the_loader_was_received_is_no_failure(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}
        services.file_service.record_loader(ADDRESS, "snponly.efi", **sent)  # type: ignore[arg-type]
        failed(services)
        return await services.event_names()

    names = with_services(scenario)

    assert "boot.loader_sent" in names
    assert "boot.transfer_failed" not in names


def test_an_initrd_that_is_sent_in_part_is_reported_until_it_is_sent_whole(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE, IPXE)
        initrd = replace(kernel(), kind=ContentKind.INITRD, member="initrd.img")
        services.file_service.record_cut_content(ADDRESS, initrd, 40)
        services.file_service.record_content(ADDRESS, initrd, 100)
        services.file_service.record_cut_content(ADDRESS, initrd, 60)
        services.file_service.record_cut_content(UNKNOWN_ADDRESS, initrd, 60)
        return [dict(event.data) for event in await services.events() if event.name == "boot.transfer_failed"]

    cut = {"content": "initrd", "name": "initrd.img", "outcome": "cut", "bytes": 40, "size_bytes": 100}
    assert with_services(scenario) == [cut]


def test_grub_ends_responses_by_itself(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        policy = replace(services.policy, loaders={(BootProtocol.PXE, Cpu.X64): "shimx64.efi"})
        services.use(policy=policy)
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        services.file_service.record_cut_content(ADDRESS, kernel(), 40)
        return await services.event_names()

    assert "boot.transfer_failed" not in with_services(scenario)


def test_a_firmware_that_requests_another_file_is_reported_once_with_its_name(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        for name in ("revocations.efi", "pxelinux.0", "pxelinux.0", "other.efi"):
            services.file_service.request_file(ADDRESS, name)
        return [dict(event.data) for event in await services.events() if event.name == "boot.other_file_requested"]

    assert with_services(scenario) == [{"name": "pxelinux.0", "loader": "snponly.efi"}]


@pytest.mark.parametrize(("loader", "found"), [("snponly.efi", ["pxelinux.0"]), ("grubx64.efi", [])])
def test_an_ipxe_that_requests_a_missing_file_instead_of_its_script_is_reported(
    with_services: WithServices, loader: str, found: list[str]
):
    async def scenario(services: BuiltServices) -> list[object]:
        services.use(policy=replace(services.policy, loaders={(BootProtocol.PXE, Cpu.X64): loader}))
        await services.install_moves.arm_all([HostName("cp1")], reason="test", attempts=3)
        services.boots(FIRMWARE)
        seen = services.seen.get(MAC)
        assert seen is not None
        seen.boot.trace.requested_loader = True
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0}
        services.file_service.record_loader(ADDRESS, loader, outcome="sent", **sent)  # type: ignore[arg-type]
        for name in ("autoexec.ipxe", "pxelinux.0", "other.0"):
            services.file_service.request_file(ADDRESS, name)
        return [each.data["name"] for each in await services.events() if each.name == "boot.other_file_requested"]

    assert with_services(scenario) == found
