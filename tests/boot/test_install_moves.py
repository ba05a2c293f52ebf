"""An arming holds for one host with its MACs, one disk and one release, and ends visibly when one of them changes."""

import sqlite3
from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import Any

import pytest
from fixtures.appliance import OnOneStore
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, BuiltServices, WithServices
from fixtures.services import BASE_URL as URL

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.install_moves import ChangeCause, HostChangedError
from netboot.boot.token_documents import Refusal, Report
from netboot.model.actor import Actor, Source
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, OfferKind
from netboot.model.boot.reasons import explain
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallState, InstallTarget
from netboot.model.install.machine_identity import Identity
from netboot.model.install.token import Tokens, new_tokens

ROOT, PROGRAM = Actor("uid 0", Source.CONTROL_SOCKET), Actor("a process on 127.0.0.1", Source.API)
CP1 = HostName("cp1")
NEW_MAC = Mac.parse("52:54:00:aa:bb:0f")
NEW_ADDRESS = "192.0.2.59"
CURE = "; to install it as it is now: netboot install arm cp1"
CURE_OF_REMOVED = "; to install it, declare it again, then: netboot install arm cp1"

CHANGES = [
    pytest.param({"disk": "/dev/vdb"}, "its disk changed from /dev/vda to /dev/vdb", id="disk"),
    pytest.param({"release": "ock-2"}, "its release changed from ock-1.31-amd64 to ock-2", id="release"),
    pytest.param(
        {"macs": (NEW_MAC,)}, "its MACs changed from 52:54:00:aa:bb:01 to 52:54:00:aa:bb:0f", id="another-machine"
    ),
    pytest.param(
        {"macs": (MAC, NEW_MAC)},
        "its MACs changed from 52:54:00:aa:bb:01 to 52:54:00:aa:bb:01, 52:54:00:aa:bb:0f",
        id="one-card-more",
    ),
    pytest.param(None, "it is no longer declared in the hosts files", id="removed"),
]


def declare(services: BuiltServices, values: dict[str, Any] | None) -> Host | None:
    """Swap the hosts as a reload does; None: cp1 is removed."""
    changed = replace(services.hosts.hosts[CP1], **values) if values is not None else None
    others = [host for host in services.hosts if host.name != CP1]
    hosts = HostSet.of(services.hosts.cluster, [*others, changed] if changed else others)
    services.use(hosts=hosts)
    return changed


async def arm(services: BuiltServices, *, attempts: int = 3) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=attempts)


async def boot_the_installer(services: BuiltServices) -> Tokens:
    await arm(services)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    return (await services.install_moves.read(CP1)).tokens


async def report(services: BuiltServices, tokens: Tokens, *reports: Report) -> list[Refusal | None]:
    return [await services.document_service.report(tokens.report, each, address=ADDRESS) for each in reports]


@pytest.mark.parametrize(("values", "change"), CHANGES)
def test_an_arming_ends_with_event_history_and_reason_when_its_host_changes(
    with_services: WithServices, values: dict[str, Any] | None, change: str
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        declare(services, values)

        ended = await services.install_moves.end_changed_armings()

        note = change + (CURE if values else CURE_OF_REMOVED)
        install = await services.install_moves.read(CP1)
        assert (ended, install.arming, services.install_moves.known(CP1)) == ([CP1], None, install)
        assert [(move.what, move.note) for move in await services.install_moves.history(CP1)] == [
            ("armed", "test"),
            ("arming-ended", note),
        ]
        event = (await services.events())[-1]
        assert (event.name, event.host, event.data["note"]) == ("install.arming_ended", CP1, note)

    with_services(scenario)


def test_what_an_arming_is_not_bound_to_and_the_order_of_macs_end_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        declare(services, {"macs": (MAC, NEW_MAC)})
        await arm(services)
        before = await services.install_moves.read(CP1)
        network = HostNetwork(IPv4Interface("192.0.2.101/24"))
        declare(services, {"macs": (NEW_MAC, MAC), "timezone": "Asia/Tokyo", "network": network})

        assert await services.install_moves.end_changed_armings() == []
        assert await services.install_moves.read(CP1) == before

    with_services(scenario)


def test_a_host_declared_anew_under_the_name_of_a_removed_one_is_not_armed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        before = services.hosts.hosts[CP1]
        declare(services, None)
        await services.install_moves.end_changed_armings()
        hosts = HostSet.of(services.hosts.cluster, [replace(before, macs=(MAC,), disk="/dev/sdz")])
        services.use(hosts=hosts)

        services.boots(FIRMWARE, IPXE)

        assert services.offer(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, hosts.hosts[CP1])

    with_services(scenario)


@pytest.mark.parametrize(("values", "change"), [each for each in CHANGES if each.id in ("disk", "one-card-more")])
def test_a_script_compares_also_where_no_reload_did_and_spends_nothing(
    with_services: WithServices, values: dict[str, Any], change: str
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        changed = declare(services, values)

        plan = await services.script_for(MAC, ADDRESS)

        install = await services.install_moves.read(CP1)
        assert (plan, install.arming, install.tokens) == (LocalBootPlan(MAC, changed), None, Tokens())
        assert (await services.install_moves.history(CP1))[-1].note == change + CURE

    with_services(scenario)


def test_a_reload_between_a_script_and_its_transaction_installs_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        before = services.hosts.hosts[CP1]
        changed = declare(services, {"disk": "/dev/vdb"})
        assert changed is not None

        for host in (before, changed):  # the commit when the script was begun, and the commit that it would contain
            with pytest.raises(HostChangedError):
                await services.install_moves.boot_the_installer(
                    host,
                    new_tokens(services.clock.random_bytes),
                    target=InstallTarget.of(host, None),
                    cause=ChangeCause(),
                    write=lambda: "",
                    shown=Identity(MAC),
                    exchange=None,
                    may_boot=lambda _install: True,
                )

        install = await services.install_moves.read(CP1)
        assert install.arming is not None
        assert (install.arming.spent, install.tokens) == (0, Tokens())

    with_services(scenario)


def test_an_arming_of_an_earlier_version_ends_and_says_to_arm_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        with sqlite3.connect(services.directory / "netboot.db") as old:
            old.execute("UPDATE installs SET target = NULL")
        old.close()
        services.boots(FIRMWARE, IPXE)

        assert await services.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, services.hosts.hosts[CP1])
        assert (await services.install_moves.history(CP1))[-1].note == (
            "it was armed by an earlier version of netboot, which did not record MACs, disk and release" + CURE
        )

    with_services(scenario)


@pytest.mark.parametrize(("values", "_change"), CHANGES)
def test_a_running_install_whose_host_changes_reports_its_end_and_never_boots_the_installer_again(
    with_services: WithServices, values: dict[str, Any] | None, _change: str
):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        assert await report(services, tokens, Report.STARTED) == [None]
        declare(services, values)
        await services.install_moves.end_changed_armings()
        services.boots(FIRMWARE, IPXE)

        plan = await services.script_for(MAC, ADDRESS)

        assert isinstance(plan, LocalBootPlan)
        assert await report(services, tokens, Report.DONE, Report.DONE, Report.READY) == [None] * 3
        install = await services.install_moves.read(CP1)
        assert (install.state, install.arming) == (InstallState.READY, None)

    with_services(scenario)


@pytest.mark.parametrize("is_noticed", [True, False])
@pytest.mark.parametrize(("values", "_change"), CHANGES)
def test_an_installer_that_has_not_begun_gets_no_kickstart_and_is_stopped_when_its_host_changes(
    with_services: WithServices, values: dict[str, Any] | None, _change: str, is_noticed: bool
):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        declare(services, values)
        if is_noticed:
            await services.install_moves.end_changed_armings()

        kickstart = await services.document_service.serve_kickstart(tokens.kickstart, ADDRESS, base_url=URL)
        started = await report(services, tokens, Report.STARTED)

        assert isinstance(kickstart, Refusal)
        assert started == [Refusal.SPENT]
        assert (await services.install_moves.read(CP1)).state is InstallState.LOADING

    with_services(scenario)


def test_a_removed_host_that_reports_from_its_registered_address_is_acknowledged_and_another_address_is_not(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> list[Refusal | None]:
        address = IPv4Interface(f"{NEW_ADDRESS}/24")
        declare(services, {"network": HostNetwork(address)})
        tokens = await boot_the_installer(services)
        await report(services, tokens, Report.STARTED)
        declare(services, None)
        await services.install_moves.end_changed_armings()
        other = IPv4Interface("192.0.2.77/24").ip
        return [
            await services.document_service.report(tokens.report, Report.DONE, address=other),
            await services.document_service.report(tokens.report, Report.DONE, address=address.ip),
        ]

    assert with_services(scenario) == [Refusal.REMOVED, None]


def test_the_installed_system_of_a_removed_host_gets_no_ignition_and_the_operator_reads_why(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> Event:
        tokens = await boot_the_installer(services)
        await report(services, tokens, Report.STARTED, Report.DONE)
        declare(services, None)

        refused = await services.document_service.serve_ignition(
            tokens.ignition, IgnitionPart.WRAPPER, address=ADDRESS, base_url=URL
        )

        assert refused is Refusal.REMOVED
        return (await services.events())[-1]

    event = with_services(scenario)

    assert (event.name, event.host, event.mac, event.data["reason"]) == (
        "boot.token_refused",
        CP1,
        None,
        "removed-host",
    )
    assert str(explain(event.name, event.data, host="cp1")) == (
        "cp1 requested its ignition, and no hosts file declares cp1 any longer; "
        "declare it again, or switch the machine off"
    )


def test_armings_of_many_hosts_are_all_or_none(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Install]:
        await services.install_moves.arm_all([HostName("w1"), CP1], reason="both", attempts=2, actor=ROOT)
        return [await services.install_moves.read(name) for name in (CP1, HostName("w1"))]

    armed = with_services(scenario)

    assert [(each.is_armed, each.target and each.target.disk) for each in armed] == [(True, "/dev/vda")] * 2


def test_the_actor_of_an_arming_and_of_a_cancel_is_in_the_event_and_in_the_history(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[list[tuple[Any, Any, Any]], list[Actor | None]]:
        await services.install_moves.arm_all([CP1], reason="new", attempts=3, actor=PROGRAM)
        await services.install_moves.cancel(CP1, reason="no", actor=ROOT)
        await services.install_moves.arm_all([CP1], reason="new", attempts=3)
        services.boots(FIRMWARE, IPXE)
        assert isinstance(await services.script_for(MAC, ADDRESS), InstallPlan)
        moves = [event.data for event in await services.events() if event.name == "install.moved"]
        history = await services.install_moves.history(CP1)
        return [(e["by"], e.get("actor"), e.get("source")) for e in moves], [move.actor for move in history]

    assert with_services(scenario) == (
        [
            ("armed", "a process on 127.0.0.1", "api"),
            ("cancelled", "uid 0", "control-socket"),
            ("armed", None, None),
            ("script-sent", None, None),
        ],
        [PROGRAM, ROOT, None, None],
    )


def test_an_appliance_whose_hosts_may_be_older_ends_no_arming_and_installs_nothing_that_does_not_fit(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        moves = replace(services.install_moves, may_end=lambda: False)
        await arm(services)
        armed = await moves.read(CP1)
        fits = await moves.end_changed_arming(armed)
        declare(services, {"disk": "/dev/vdb"})

        assert (fits, await moves.end_changed_armings(), await moves.end_changed_arming(armed)) == (False, [], True)
        assert await moves.read(CP1) == armed
        assert await services.install_moves.end_changed_arming(armed)
        assert not (await moves.read(CP1)).is_armed

    with_services(scenario)


def test_declared_hosts_are_counted_by_state_and_by_arming(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[Counter[tuple[InstallState, bool]]]:
        found = [services.install_moves.counts()]
        await arm(services)
        found.append(services.install_moves.counts())
        declare(services, None)
        return [*found, services.install_moves.counts()]

    unarmed, armed = (InstallState.REGISTERED, False), (InstallState.REGISTERED, True)
    assert with_services(scenario) == [Counter({unarmed: 2}), Counter({unarmed: 1, armed: 1}), Counter({unarmed: 1})]


def test_installs_and_their_histories_are_read_at_start_as_another_appliance_stored_them(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first)
        await second.install_moves.load()

        assert second.install_moves.known(CP1) == await first.install_moves.read(CP1)
        histories = await second.install_moves.histories([CP1, HostName("w1")])
        assert {host: [move.what for move in moves] for host, moves in histories.items()} == {
            CP1: ["armed"],
            "w1": [],
        }

    on_one_store(scenario)
