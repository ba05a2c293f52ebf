"""Hosts are added, changed, approved, removed and retired: the file, the arming, the tokens, the audit trail."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.content.bootfiles.directories import BootFiles
from netboot.errors import (
    ConfigError,
    HostFileError,
    NetbootError,
    Problem,
    StoreError,
    TransitionError,
    UnknownHostError,
    WipeRefusedError,
)
from netboot.model.actor import Actor, Source
from netboot.model.boot.boot_client import Machine
from netboot.model.host.address_pool import Allocation
from netboot.model.host.host import HostFileChange, HostName
from netboot.model.install.install import InstallState
from netboot.operate.one_time_boots import OneTimeBoots
from netboot.operate.readiness import Readiness, ServerFacts
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import (
    NOT_IN_FORCE,
    NOT_READ,
    HostChanges,
    HostsChanged,
    HostValues,
    RemovalRequest,
)
from netboot.operate.running_daemon import ReloadResult
from netboot.registry.load import load
from netboot.registry.writing.host_writer import HostWriter
from netboot.store.allocations import Allocations

CP1, W2 = HostName("cp1"), HostName("w2")
OPERATOR = Actor("uid 1000", Source.CONTROL_SOCKET)
WORKER = {"role": "worker", "mac": "52:54:00:aa:bb:21"}
CONTROL_PLANE = {"role": "control-plane", "mac": "52:54:00:aa:bb:01"}
RELOADED = ReloadResult(2, [], [], [], [])
FAULT = Problem("hosts.yaml", 3, 1, "hosts.w1.rol", "no such key", "did you mean role?")

Work = Callable[[HostChanges], Awaitable[Any]]


class Reloading:
    """Stands for the daemon, which this package must not import; only its reload is used here."""

    def __init__(self, fault: NetbootError | None = None) -> None:
        self._fault = fault
        self.reloads = 0

    async def reload(self) -> ReloadResult:
        self.reloads += 1
        if self._fault is not None:
            raise self._fault
        return RELOADED


@pytest.fixture
def config(site) -> Path:
    """A site whose hosts are all declared by commands: cp1, and none that a person wrote."""
    (site.directory / "hosts.d").mkdir()
    HostWriter(Path("netboot.yaml")).add({"cp1": CONTROL_PLANE})
    return Path("netboot.yaml")


def changes(services: BuiltServices, config: Path, daemon: Any = None, *machines: Machine) -> HostChanges:
    async def discovered() -> list[Machine]:
        return list(machines)

    user = Actor("uid 0", Source.COMMAND)
    return HostChanges(
        HostWriter(config),
        services.install_moves,
        services.event_bus,
        one_time_boots=OneTimeBoots(
            services.inspections,
            services.install_moves,
            services.event_bus,
            hosts=services.registry.hosts,
            discovered=discovered,
            readiness=lambda: Readiness(
                services.documents, services.policy, bootfiles=BootFiles([]), server=ServerFacts()
            ),
            user=user,
            now=services.clock.now,
        ),
        machines=services.machines,
        allocations=Allocations(services.database),
        inspections=services.inspections,
        discovered=discovered,
        daemon=daemon,
        user=user,
        now=services.clock.now,
    )


def written() -> list[str]:
    """The files that commands wrote."""
    return sorted(path.name for path in Path("hosts.d").iterdir())


async def audits(services: BuiltServices) -> list[tuple[object, ...]]:
    keys = ("action", "subject", "actor", "outcome", "reason")
    found = [event for event in await services.events() if event.name == "audit.recorded"]
    return [tuple(event.data[key] for key in keys) for event in found]


async def armed_and_loading(services: BuiltServices) -> None:
    """Let cp1 boot the installer once."""
    await services.install_moves.arm_all([CP1], reason="first", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(FIRMWARE.mac, ADDRESS)
    assert (await services.install_moves.read(CP1)).state is InstallState.LOADING


def test_a_host_is_added_and_changed_and_the_daemon_reloads_each_time(with_services: WithServices, config: Path):
    daemon = Reloading()

    async def scenario(services: BuiltServices) -> Any:
        made = changes(services, config, daemon)
        added = await made.add(HostValues("w2", WORKER), actor=OPERATOR)
        edited = await made.edit(HostValues("w2", {"disk": "/dev/sda"}), actor=OPERATOR)
        return added, edited, await audits(services)

    added, edited, recorded = with_services(scenario)

    assert (added.reload, edited.reload, daemon.reloads) == (RELOADED, RELOADED, 2)
    assert [(each.host, str(each.file)) for each in (*added.hosts, *edited.hosts)] == [("w2", "hosts.d/w2.yaml")] * 2
    assert load(config).hosts.get("w2").disk == "/dev/sda"
    assert recorded == [("add host", "w2", "uid 1000", "done", None), ("set host", "w2", "uid 1000", "done", None)]


def test_without_a_daemon_the_file_is_written_all_the_same(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        return await changes(services, config).add(HostValues("w2", WORKER)), await audits(services)

    added, recorded = with_services(scenario)

    assert (added.reload, added.notes) == (None, ())
    assert recorded == [("add host", "w2", "uid 0", "done", None)]


def test_if_the_daemon_keeps_its_files_the_change_is_made_and_the_reason_is_in_the_notes(
    with_services: WithServices, config: Path
):
    async def scenario(services: BuiltServices) -> Any:
        return await changes(services, config, Reloading(ConfigError([FAULT]))).add(HostValues("w2", WORKER))

    added = with_services(scenario)

    assert (added.reload, added.notes) == (None, [NOT_IN_FORCE, str(FAULT)])
    assert written() == ["cp1.yaml", "w2.yaml"]


def test_if_the_store_fails_at_the_reload_the_change_is_made_and_the_reason_is_in_the_notes(
    with_services: WithServices, config: Path
):
    async def scenario(services: BuiltServices) -> Any:
        made = changes(services, config, Reloading(StoreError("the store does not answer")))
        return await made.add(HostValues("w2", WORKER)), await audits(services)

    added, recorded = with_services(scenario)

    assert (added.reload, added.notes) == (None, [NOT_READ, "the store does not answer"])
    assert written() == ["cp1.yaml", "w2.yaml"]
    assert recorded == [("add host", "w2", "uid 0", "done", None)]


class OneAtATime(HostWriter):
    """Counts the changes that are in a thread at one time."""

    def __init__(self, config: Path) -> None:
        super().__init__(config)
        self.running, self.most = 0, 0

    def add(self, hosts: Any, *, is_rehearsal: bool = False) -> list[HostFileChange]:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return super().add(hosts, is_rehearsal=is_rehearsal)
        finally:
            self.running -= 1


def test_changes_wait_for_each_other_without_a_thread(with_services: WithServices, config: Path):
    files = OneAtATime(config)

    async def scenario(services: BuiltServices) -> Any:
        made = replace(changes(services, config), files=files)
        hosts = [HostValues(f"w{number}", WORKER | {"mac": f"52:54:00:aa:bb:{number}"}) for number in range(30, 40)]
        return await asyncio.gather(*(made.add(host) for host in hosts))

    added = with_services(scenario)

    assert len({change.file for each in added for change in each.hosts}) == 10
    assert files.most == 1


def test_a_refused_change_is_audited_and_reloads_nothing(with_services: WithServices, config: Path):
    daemon = Reloading()

    async def scenario(services: BuiltServices) -> Any:
        with pytest.raises(HostFileError):
            await changes(services, config, daemon).add(HostValues("cp1", WORKER))
        return await audits(services)

    reason = "hosts.d/cp1.yaml:3:3: cp1 is declared already; netboot host set cp1"
    assert with_services(scenario) == [("add host", "cp1", "uid 0", "refused", reason)]
    assert daemon.reloads == 0


def test_a_removed_host_is_no_longer_armed_and_its_history_has_the_actor(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        await services.install_moves.arm_all([CP1], reason="first", attempts=3)
        made = changes(services, config, Reloading())
        removed = await made.remove(RemovalRequest("cp1", "broken\nboard"), actor=OPERATOR)
        return removed, await services.install_moves.history(CP1), await audits(services)

    removed, history, recorded = with_services(scenario)

    assert removed.notes == ["cp1 is not armed; it boots its own disk"]
    assert [each.text for each in removed.hosts] == [None]
    assert (history[-1].what, history[-1].note, history[-1].actor) == ("cancelled", "broken board", OPERATOR)
    assert recorded == [("remove host", "cp1", "uid 1000", "done", None)]
    assert written() == []


def test_a_host_whose_install_runs_is_removed_only_by_force(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        await armed_and_loading(services)
        made = changes(services, config)
        with pytest.raises(TransitionError) as refused:
            await made.remove(RemovalRequest("cp1"))
        before = await services.install_moves.read(CP1)
        assert written() == ["cp1.yaml"]
        removed = await made.remove(RemovalRequest("cp1", force=True))
        return str(refused.value), before.is_armed, removed.notes

    message, was_armed, notes = with_services(scenario)

    assert message == (
        "cp1 is loading: its installer may be writing the disk; let it end, or remove the host anyway with --force"
    )
    assert was_armed
    assert notes == [
        "cp1 is no longer armed", "cp1 is loading its installer, which is stopped before it writes to the disk",
    ]  # fmt: skip


def test_a_removal_that_makes_a_fault_cancels_nothing(with_services: WithServices, config: Path, site):
    site.write("hosts.yaml", "cluster: {init: cp1}\n")

    async def scenario(services: BuiltServices) -> Any:
        await services.install_moves.arm_all([CP1], reason="first", attempts=3)
        with pytest.raises(ConfigError) as refused:
            await changes(services, config).retire(RemovalRequest("cp1"))
        return str(refused.value), (await services.install_moves.read(CP1)).is_armed

    message, is_armed = with_services(scenario)

    assert message.startswith("hosts.yaml:1:17: cluster.init: no host is called 'cp1'")
    assert is_armed


def test_a_retired_host_has_no_valid_token_and_no_file(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        await armed_and_loading(services)
        before = await services.install_moves.read(CP1)
        retired = await changes(services, config).retire(RemovalRequest("cp1", force=True), actor=OPERATOR)
        after = await services.install_moves.read(CP1)
        history = await services.install_moves.history(CP1)
        return before, retired, after, history[-1], await audits(services)

    before, retired, after, last, recorded = with_services(scenario)

    assert before.tokens.kickstart
    assert (after.is_armed, after.tokens.kickstart, after.tokens.report) == (False, "", "")
    assert retired.notes[-1] == "cp1 is retired; its disk was not wiped"
    assert (last.what, last.note, last.actor) == ("retired", "the host was retired", OPERATOR)
    assert recorded == [("retire host", "cp1", "uid 1000", "done", None)]
    assert written() == []


def test_a_host_that_was_never_armed_is_retired(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        made = changes(services, config)
        await made.add(HostValues("w2", WORKER))
        retired = await made.retire(RemovalRequest("w2"))
        with pytest.raises(UnknownHostError):
            await made.retire(RemovalRequest("w2"))
        return retired.notes, await services.install_moves.history(W2)

    assert with_services(scenario) == (["w2 is retired; its disk was not wiped"], [])


class Failing:
    """Stands for the addresses in a store that does not answer."""

    async def release(self, _host: HostName) -> list[Any]:
        raise StoreError("the store does not answer")


def test_a_host_is_removed_although_its_addresses_cannot_be_released(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        made = replace(changes(services, config), allocations=Failing())  # type: ignore[arg-type]
        await made.add(HostValues("w2", WORKER))
        return await made.remove(RemovalRequest("w2")), await audits(services)

    removed, recorded = with_services(scenario)

    note = "no other host can be given the addresses of w2 from pools: the store does not answer"
    assert (removed.notes, written()) == ([note], ["cp1.yaml"])
    assert recorded[-1][0:1] + recorded[-1][3:] == ("remove host", "done", None)


@pytest.mark.parametrize("verb", ["remove", "retire"])
def test_the_address_of_a_removed_host_is_free_once_the_host_is_not_in_force(
    with_services: WithServices, config: Path, verb: str
):
    address, other = (Allocation(ip_address(text), name) for text, name in (("192.0.2.40", W2), ("192.0.2.41", CP1)))

    async def scenario(services: BuiltServices) -> Any:
        allocations = Allocations(services.database)
        await allocations.record([address, other], at=services.clock.now())
        made = changes(services, config)
        await made.add(HostValues("w2", WORKER))
        kept = await getattr(replace(made, daemon=Reloading(ConfigError([FAULT]))), verb)(RemovalRequest("w2"))
        recorded = set(await allocations.all())
        await made.add(HostValues("w2", WORKER))
        released = await getattr(made, verb)(RemovalRequest("w2"))
        return kept, recorded, released, set(await allocations.all())

    kept, before, released, after = with_services(scenario)

    assert not any("192.0.2.40" in note for note in kept.notes)
    assert before == {address.address, other.address}
    assert released.notes[0] == "other hosts can now be given 192.0.2.40; power the machine off if it still has it"
    assert after == {other.address}


def test_machines_are_approved_together_with_names_that_no_host_and_no_install_has(
    with_services: WithServices, config: Path
):
    other = UNKNOWN_MAC.replace("99", "98")

    async def scenario(services: BuiltServices) -> Any:
        at = services.clock.now()
        machines = [Machine(type(UNKNOWN_MAC)(mac), at, at, "x64-uefi", uuid="0" * 32) for mac in (UNKNOWN_MAC, other)]
        await services.install_moves.arm_all([HostName("worker-1")], reason="before", attempts=1)
        made = changes(services, config, Reloading(), *machines)
        request = ApprovalRequest([UNKNOWN_MAC, other], "worker", groups=[], disk="/dev/sda")
        shown = await made.approve(ApprovalRequest([UNKNOWN_MAC, other], "worker", disk="/dev/sda", dry_run=True))
        assert written() == ["cp1.yaml"]
        return shown, await made.approve(request, actor=OPERATOR), await audits(services)

    shown, approved, recorded = with_services(scenario)

    assert (shown.is_rehearsal, shown.reload, approved.is_rehearsal) == (True, None, False)
    assert (shown.hosts, shown.machines) == (approved.hosts, approved.machines)
    assert [(each.host, each.notes) for each in approved.machines] == [
        (name, ["uuid 00000000-0000-0000-0000-000000000000 is a placeholder: all zero, the board has none"])
        for name in ("worker-2", "worker-3")
    ]
    assert list(load(config).hosts.hosts) == ["cp1", "worker-2", "worker-3"]
    assert recorded == [("approve machines", f"{UNKNOWN_MAC}, {other}", "uid 1000", "done", None)]


def test_two_approvals_at_once_get_different_names(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        at = services.clock.now()
        macs = [type(UNKNOWN_MAC)(f"52:54:00:aa:cc:0{number}") for number in range(6)]
        made = changes(services, config, Reloading(), *(Machine(mac, at, at, "x64-uefi") for mac in macs))
        return await asyncio.gather(*(made.approve(ApprovalRequest([mac], "worker")) for mac in macs))

    found: list[HostsChanged] = with_services(scenario)

    assert sorted(each.hosts[0].host for each in found) == [f"worker-{number}" for number in range(1, 7)]


def test_a_refused_approval_is_audited(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        made = changes(services, config)
        with pytest.raises(NetbootError):
            await made.approve(ApprovalRequest(["x"], "worker"))
        return await audits(services)

    [(action, subject, _, outcome, _)] = with_services(scenario)
    assert (action, subject, outcome) == ("approve machines", "x", "refused")


async def requested_wipes(services: BuiltServices) -> list[tuple[object, ...]]:
    wipes = [each.wipe for each in (await services.inspections.all()).values() if each.wipe]
    return [(wipe.host, wipe.macs, str(wipe.disk), wipe.state.value) for wipe in wipes]


def test_a_host_is_retired_and_its_disk_wiped_where_its_name_is_repeated(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        services.change_host("cp1", disk="/dev/disk/by-path/pci-1")
        made = changes(services, config, Reloading())
        changed = await made.retire(RemovalRequest("cp1", wipe="cp1"), actor=OPERATOR)
        return changed.notes, await requested_wipes(services), await audits(services)

    notes, wipes, recorded = with_services(scenario)

    assert notes == [
        "cp1 is retired; the next network boot of its machine erases /dev/disk/by-path/pci-1, with ol8u10-x86_64; "
        "until then: netboot host retire cp1 --cancel-wipe"
    ]
    assert wipes == [("cp1", (FIRMWARE.mac,), "/dev/disk/by-path/pci-1", "requested")]
    assert recorded == [("retire and wipe host", "cp1", "uid 1000", "done", None)]
    assert written() == []


@pytest.mark.parametrize(
    ("disk", "wipe", "reason"),
    [
        ("/dev/disk/by-path/pci-1", "cp2", "cannot wipe the disk of cp1: 'cp2' is not its name; nothing was changed"),
        ("/dev/sda", "cp1", "cannot wipe the disk of cp1: /dev/sda may be another disk when the machine boots next"),
    ],
)
def test_a_wipe_that_cannot_be_requested_changes_nothing(
    with_services: WithServices, config: Path, disk: str, wipe: str, reason: str
):
    async def scenario(services: BuiltServices) -> Any:
        services.change_host("cp1", disk=disk)
        await services.install_moves.arm_all([CP1], reason="first", attempts=3)
        with pytest.raises(WipeRefusedError) as refused:
            await changes(services, config, Reloading()).retire(RemovalRequest("cp1", wipe=wipe))
        return str(refused.value), (await services.install_moves.read(CP1)).is_armed, await requested_wipes(services)

    found, is_armed, wipes = with_services(scenario)

    assert found.startswith(reason)
    assert (is_armed, wipes, written()) == (True, [], ["cp1.yaml"])


def test_no_wipe_is_requested_while_the_daemon_serves_the_host(with_services: WithServices, config: Path):
    async def scenario(services: BuiltServices) -> Any:
        services.change_host("cp1", disk="/dev/disk/by-path/pci-1")
        made = changes(services, config, Reloading(ConfigError([FAULT])))
        return (await made.retire(RemovalRequest("cp1", wipe="cp1"))).notes, await requested_wipes(services)

    notes, wipes = with_services(scenario)

    assert notes[-1].startswith("no wipe is requested, because cp1 is still served")
    assert wipes == []
