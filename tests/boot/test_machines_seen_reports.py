"""What a machine reports and what its DISCOVERs show is kept with it, in memory and in the store."""

from dataclasses import replace
from ipaddress import IPv4Address

from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.model.boot.boot_client import Machine, RelayPath
from netboot.model.boot.machine_facts import Facts, MachineFact
from netboot.model.boot.offer import ScriptLanguage
from netboot.model.host.mac import Mac

FACTS = {MachineFact.SERIAL: "A1", MachineFact.PLATFORM: "efi"}
FIRST = RelayPath(IPv4Address("198.51.100.1"), "eth0/1/7")
LAST = RelayPath(None, "eth0/1/8")


async def reports(
    services: BuiltServices, mac: Mac, address: IPv4Address, facts: Facts, *, is_head: bool = False
) -> None:
    await services.script_service.serve_script(
        mac, address, ScriptLanguage.IPXE, base_url=BASE_URL, is_head=is_head, facts=facts
    )


async def stored(services: BuiltServices, mac: Mac) -> Machine:
    await services.machines.flush()
    return (await services.machines.all())[mac]


def test_facts_are_kept_until_others_are_reported(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Facts]:
        services.boots(replace(FIRMWARE, mac=UNKNOWN_MAC), address=UNKNOWN_ADDRESS)
        found = []
        for facts in (FACTS, {}, {MachineFact.SERIAL: "B2"}):
            await reports(services, UNKNOWN_MAC, UNKNOWN_ADDRESS, facts)
            found.append((await stored(services, UNKNOWN_MAC)).facts)
        return found

    assert with_services(scenario) == [FACTS, FACTS, {MachineFact.SERIAL: "B2"}]


def test_a_registered_machine_reports_from_its_own_address_alone(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Facts]:
        services.boots(FIRMWARE, IPXE)
        await reports(services, MAC, OTHER_ADDRESS, FACTS)
        await reports(services, MAC, ADDRESS, FACTS, is_head=True)
        before = await stored(services, MAC)
        await reports(services, MAC, ADDRESS, FACTS)
        return [before.facts, (await stored(services, MAC)).facts]

    assert with_services(scenario) == [{}, FACTS]


def test_a_machine_is_written_only_when_what_it_reports_has_changed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[bool]:
        services.boots(FIRMWARE)
        written = []
        for facts in (FACTS, dict(FACTS), {**FACTS, MachineFact.SERIAL: "B2"}):
            before = services.seen.find_or_add(MAC).machine
            await reports(services, MAC, ADDRESS, facts)
            written.append(services.seen.find_or_add(MAC).machine is not before)
        return written

    assert with_services(scenario) == [True, False, True]


def test_the_first_and_the_last_path_of_a_discover_are_kept(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[RelayPath | None, RelayPath | None]]:
        found = []
        for path in (None, FIRST, LAST, None):
            services.boots(replace(FIRMWARE, path=path))
            machine = await stored(services, MAC)
            found.append((machine.first_path, machine.last_path))
        services.boots(replace(FIRMWARE, mac=UNKNOWN_MAC, path=LAST), address=UNKNOWN_ADDRESS)
        machine = await stored(services, UNKNOWN_MAC)
        return [*found, (machine.first_path, machine.last_path)]

    assert with_services(scenario) == [(None, None), (FIRST, FIRST), (FIRST, LAST), (FIRST, LAST), (LAST, LAST)]
