"""What a machine fetched by name, as its events show it."""

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

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
