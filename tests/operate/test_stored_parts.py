"""The parts of a support archive that the store and the records have: of a host, of a machine, of the appliance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fixtures.services import FIRMWARE, MAC, UNKNOWN_MAC, BuiltServices, WithServices
from operate.test_administration import administration

from netboot.boot_records.record_files import Owner, RecordFiles, RecordKind
from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac
from netboot.operate.host_status import DiscoveredMachine
from netboot.operate.support.stored_parts import MOST_RECORDS_BYTES, StoredData, newest_records, stored_parts
from netboot.operate.support.support_parts import gathered

CP1 = HostName("cp1")
OTHER_UNKNOWN_MAC = Mac.parse("52:54:00:aa:bb:98")
BEGAN = datetime(2026, 11, 29, 11, 0, tzinfo=UTC)
OF_APPLIANCE = ["appliance/events.json", "appliance/ignition-files.json", "appliance/installs.json"]
OF_HOST = ["events", "boots", "host", "install", "history", "served"]


async def files_of(services: BuiltServices, owner: Owner | None) -> dict[str, str]:
    """Gather the parts; each file has what Python prints of what was found."""
    await services.events()

    async def tokens() -> list[str]:
        return []

    stored = StoredData(administration(services), services.event_log, tokens)
    found = await gathered(list(stored_parts(stored, owner, repr)))
    assert found.faults == []
    return {file.name: file.read().decode() for file in found.files}


def test_a_host_has_its_install_history_documents_events_and_boots_beside_those_of_the_appliance(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> tuple[dict[str, str], str]:
        await services.install_moves.arm_all([CP1], reason="new disk", attempts=3)
        services.boots(FIRMWARE)
        await services.boots_kept.flush()
        return await files_of(services, CP1), repr(await services.install_moves.history(CP1))

    files, history = with_services(scenario)

    assert sorted(files) == sorted([*OF_APPLIANCE, *(f"host/{each}.json" for each in OF_HOST)])
    assert files["host/history.json"] == history
    assert "'install.moved'" in files["host/events.json"]
    assert "install.moved" not in files["appliance/events.json"]
    assert "new disk" in files["host/install.json"]
    assert files["host/served.json"] == "[]"


def test_an_unregistered_machine_has_its_own_events_and_what_it_reported(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[dict[str, str], str]:
        machine = Machine(UNKNOWN_MAC, BEGAN, BEGAN, arch="x64-uefi")
        services.machines.keep(machine)
        await services.machines.flush()
        for mac in (UNKNOWN_MAC, OTHER_UNKNOWN_MAC):
            services.event_bus.emit("boot.offered", {"loader": f"for {mac}"}, mac=mac)
        return await files_of(services, UNKNOWN_MAC), repr(DiscoveredMachine(machine, None))

    files, machine = with_services(scenario)

    assert sorted(files) == sorted([*OF_APPLIANCE, "host/boots.json", "host/events.json", "host/machine.json"])
    assert files["host/machine.json"] == machine
    assert [f"for {mac}" in files["host/events.json"] for mac in (UNKNOWN_MAC, OTHER_UNKNOWN_MAC)] == [True, False]
    assert f"for {OTHER_UNKNOWN_MAC}" in files["appliance/events.json"]


def test_of_the_appliance_alone_there_is_no_host(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        return sorted(await files_of(services, None))

    assert with_services(scenario) == OF_APPLIANCE


def test_the_newest_records_are_taken_as_long_as_they_fit(tmp_path: Path):
    files = RecordFiles(tmp_path)
    for minutes, size in enumerate((5, MOST_RECORDS_BYTES - 10, 8, 2)):
        path = files.path_of(CP1, BEGAN + timedelta(minutes=minutes), RecordKind.LOG)
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)

    found = newest_records(files, CP1)

    names = [files.path_of(CP1, BEGAN + timedelta(minutes=minutes), RecordKind.LOG).name for minutes in (3, 2, 1)]
    assert [each.name for each in found] == [f"host/records/{name}" for name in names]
    assert len(found[0].read()) == 2
    assert newest_records(files, MAC) == []
