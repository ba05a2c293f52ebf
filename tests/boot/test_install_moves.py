"""An arming holds for one host with its MACs, one disk and one release, and ends visibly when one of them changes."""

import shutil
import sqlite3
import subprocess
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from fixtures.house import ADDRESS, FIRMWARE, IPXE, MAC, House, InHouse
from fixtures.house import BASE_URL as URL

from netboot.boot.documents import Documents
from netboot.boot.install_moves import Cause, HostChangedError
from netboot.boot.token_documents import IgnitionPart, Refusal, Report
from netboot.boot.tokens import draw
from netboot.content.assets import assets_directory
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, OfferKind
from netboot.model.boot.reasons import explain
from netboot.model.host.host import Host, HostName, HostNetwork, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallState, Tokens
from netboot.render.engine import Engine

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
    pytest.param(None, "the hosts files declare it no more", id="removed"),
]


def declare(house: House, values: dict[str, Any] | None) -> Host | None:
    """Swap the hosts as a reload does; None: cp1 is removed."""
    desk = house.desk
    changed = replace(desk.hosts.hosts[CP1], **values) if values is not None else None
    others = [host for host in desk.hosts if host.name != CP1]
    hosts = HostSet.of(desk.hosts.cluster, [*others, changed] if changed else others)
    desk.use(hosts, desk.policy, documents=desk.documents, bootfiles=desk.bootfiles)
    return changed


async def arm(house: House, *, attempts: int = 3) -> None:
    await house.book.arm(CP1, reason="test", attempts=attempts)


async def boot_the_installer(house: House) -> Tokens:
    await arm(house)
    house.boots(FIRMWARE, IPXE)
    await house.desk.script_for(MAC, ADDRESS)
    return (await house.book.ask(CP1)).tokens


async def report(house: House, tokens: Tokens, *reports: Report) -> list[Refusal | None]:
    return [await house.token_desk.report(tokens.report, each, address=ADDRESS) for each in reports]


@pytest.mark.parametrize(("values", "change"), CHANGES)
def test_an_arming_ends_with_event_history_and_reason_when_its_host_changes(
    in_house: InHouse, values: dict[str, Any] | None, change: str
):
    async def scenario(house: House) -> None:
        await arm(house)
        declare(house, values)

        ended = await house.book.end_changed_armings()

        note = change + (CURE if values else CURE_OF_REMOVED)
        install = await house.book.ask(CP1)
        assert (ended, install.arming, house.book.known(CP1)) == ([CP1], None, install)
        assert [(move.what, move.note) for move in await house.book.history(CP1)] == [
            ("armed", "test"),
            ("arming-ended", note),
        ]
        event = (await house.events())[-1]
        assert (event.name, event.host, event.data["note"]) == ("install.arming_ended", CP1, note)

    in_house(scenario)


def test_what_an_arming_is_not_bound_to_and_the_order_of_macs_end_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        declare(house, {"macs": (MAC, NEW_MAC)})
        await arm(house)
        before = await house.book.ask(CP1)
        network = HostNetwork(IPv4Interface("192.0.2.101/24"))
        declare(house, {"macs": (NEW_MAC, MAC), "timezone": "Asia/Tokyo", "network": network})

        assert await house.book.end_changed_armings() == []
        assert await house.book.ask(CP1) == before

    in_house(scenario)


def test_a_host_declared_anew_under_the_name_of_a_removed_one_is_not_armed(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        before = house.desk.hosts.hosts[CP1]
        declare(house, None)
        await house.book.end_changed_armings()
        hosts = HostSet.of(house.desk.hosts.cluster, [replace(before, macs=(MAC,), disk="/dev/sdz")])
        house.desk.use(hosts, house.desk.policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)

        house.boots(FIRMWARE, IPXE)

        assert house.offer_desk.offer_for(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await house.desk.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, hosts.hosts[CP1])

    in_house(scenario)


@pytest.mark.parametrize(("values", "change"), [each for each in CHANGES if each.id in ("disk", "one-card-more")])
def test_a_script_compares_also_where_no_reload_did_and_spends_nothing(
    in_house: InHouse, values: dict[str, Any], change: str
):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        changed = declare(house, values)

        plan = await house.desk.script_for(MAC, ADDRESS)

        install = await house.book.ask(CP1)
        assert (plan, install.arming, install.tokens) == (LocalBootPlan(MAC, changed), None, Tokens())
        assert (await house.book.history(CP1))[-1].note == change + CURE

    in_house(scenario)


def test_a_reload_between_a_script_and_its_transaction_installs_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        before = house.desk.hosts.hosts[CP1]
        changed = declare(house, {"disk": "/dev/vdb"})
        assert changed is not None

        for host in (before, changed):  # the one that the script began with, the one that it would name
            with pytest.raises(HostChangedError):
                await house.book.boot_the_installer(host, draw(house.clock.random_bytes), cause=Cause())

        install = await house.book.ask(CP1)
        assert install.arming is not None
        assert (install.arming.spent, install.tokens) == (0, Tokens())

    in_house(scenario)


def test_a_promoted_alias_ends_the_armings_that_were_for_the_commit_before(
    in_house: InHouse, content: Path, tmp_path: Path
):
    releases = tmp_path / "content" / "ostree"
    shutil.copytree(content, tmp_path / "content")
    shutil.copytree(releases / "ock-1.31-amd64", releases / "new")
    tree = tmp_path / "content" / "tree" / "usr"
    command = ["ostree", f"--repo={releases / 'new'}", "commit", "--branch=ock", f"--tree=dir={tree}"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    (releases / "prod").symlink_to("ock-1.31-amd64")

    async def scenario(house: House) -> tuple[list[HostName], list[HostName], str]:
        house.desk.documents = Documents(Engine([assets_directory() / "templates"]), tmp_path / "content")
        declare(house, {"release": "prod"})
        await arm(house)
        unchanged = await house.book.end_changed_armings()
        (releases / "prod").unlink()
        (releases / "prod").symlink_to("new")
        return unchanged, await house.book.end_changed_armings(), (await house.book.history(CP1))[-1].note

    unchanged, ended, note = in_house(scenario)

    assert (unchanged, ended) == ([], [CP1])
    assert note.startswith("its release prod named commit ")


def test_an_arming_of_an_earlier_version_ends_and_says_to_arm_again(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        with sqlite3.connect(house.directory / "netboot.db") as old:
            old.execute("UPDATE installs SET target = NULL")
        old.close()
        house.boots(FIRMWARE, IPXE)

        assert await house.desk.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, house.desk.hosts.hosts[CP1])
        assert (await house.book.history(CP1))[-1].note == (
            "it was armed by an earlier version of netboot, which did not record MACs, disk and release" + CURE
        )

    in_house(scenario)


@pytest.mark.parametrize(("values", "_change"), CHANGES)
def test_a_running_install_whose_host_changes_reports_its_end_and_never_boots_the_installer_again(
    in_house: InHouse, values: dict[str, Any] | None, _change: str
):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        assert await report(house, tokens, Report.STARTED) == [None]
        declare(house, values)
        await house.book.end_changed_armings()
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(plan, LocalBootPlan)
        assert await report(house, tokens, Report.DONE, Report.DONE, Report.READY) == [None] * 3
        install = await house.book.ask(CP1)
        assert (install.state, install.arming) == (InstallState.READY, None)

    in_house(scenario)


@pytest.mark.parametrize("is_noticed", [True, False])
@pytest.mark.parametrize(("values", "_change"), CHANGES)
def test_an_installer_that_has_not_begun_gets_no_kickstart_and_is_stopped_when_its_host_changes(
    in_house: InHouse, values: dict[str, Any] | None, _change: str, is_noticed: bool
):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        declare(house, values)
        if is_noticed:
            await house.book.end_changed_armings()

        kickstart = await house.token_desk.kickstart_for(tokens.kickstart, ADDRESS, base_url=URL)
        started = await report(house, tokens, Report.STARTED)

        assert isinstance(kickstart, Refusal)
        assert started == [Refusal.SPENT]
        assert (await house.book.ask(CP1)).state is InstallState.LOADING

    in_house(scenario)


def test_a_removed_host_that_reports_from_its_registered_address_is_acknowledged_and_another_address_is_not(
    in_house: InHouse,
):
    async def scenario(house: House) -> list[Refusal | None]:
        address = IPv4Interface(f"{NEW_ADDRESS}/24")
        declare(house, {"network": HostNetwork(address)})
        tokens = await boot_the_installer(house)
        await report(house, tokens, Report.STARTED)
        declare(house, None)
        await house.book.end_changed_armings()
        other = IPv4Interface("192.0.2.77/24").ip
        return [
            await house.token_desk.report(tokens.report, Report.DONE, address=other),
            await house.token_desk.report(tokens.report, Report.DONE, address=address.ip),
        ]

    assert in_house(scenario) == [Refusal.REMOVED, None]


def test_the_installed_system_of_a_removed_host_gets_no_ignition_and_the_operator_reads_why(in_house: InHouse):
    async def scenario(house: House) -> Event:
        tokens = await boot_the_installer(house)
        await report(house, tokens, Report.STARTED, Report.DONE)
        declare(house, None)

        refused = await house.token_desk.ignition_for(
            tokens.ignition, IgnitionPart.WRAPPER, address=ADDRESS, base_url=URL
        )

        assert refused is Refusal.REMOVED
        return (await house.events())[-1]

    event = in_house(scenario)

    assert (event.name, event.host, event.mac, event.data["reason"]) == (
        "boot.token_refused",
        CP1,
        None,
        "removed-host",
    )
    assert str(explain(event.name, event.data, host="cp1")) == (
        "cp1 requested its ignition, and no hosts file declares cp1 any more; "
        "declare it again, or switch the machine off"
    )


def test_armings_of_many_hosts_are_all_or_none(in_house: InHouse):
    async def scenario(house: House) -> list[Install]:
        await house.book.arm_all([HostName("w1"), CP1], reason="both", attempts=2, actor="uid 0")
        return [await house.book.ask(name) for name in (CP1, HostName("w1"))]

    armed = in_house(scenario)

    assert [(each.is_armed, each.target and each.target.disk) for each in armed] == [(True, "/dev/vda")] * 2


def test_who_armed_and_who_cancelled_is_in_the_event(in_house: InHouse):
    async def scenario(house: House) -> list[tuple[Any, Any]]:
        await house.book.arm_all([CP1], reason="new", attempts=3, actor="uid 1000")
        await house.book.cancel(CP1, reason="no", actor="uid 0")
        await house.book.arm(CP1, reason="new", attempts=3)
        house.boots(FIRMWARE, IPXE)
        assert isinstance(await house.desk.script_for(MAC, ADDRESS), InstallPlan)
        return [(e.data["by"], e.data.get("actor")) for e in await house.events() if e.name == "install.moved"]

    assert in_house(scenario) == [
        ("armed", "uid 1000"),
        ("cancelled", "uid 0"),
        ("armed", None),
        ("script-sent", None),
    ]
