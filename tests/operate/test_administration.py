"""What an operator may request: which hosts are armed, with what, and what of it is listed and taken back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fixtures.house import ADDRESS, FIRMWARE, IPXE, MAC, House, InHouse

from netboot.content.bootfiles.directories import BootFiles
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.host.network import DhcpMode
from netboot.operate.administration import Administration, UnknownHostError
from netboot.operate.arming import ArmingRefusedError
from netboot.operate.readiness import Readiness, ServerFacts

CP1, W1 = HostName("cp1"), HostName("w1")
CLUSTER_INIT = "cp1 is cluster.init: its installed system starts a new cluster rackone"


def administration(
    house: House, server: ServerFacts | None = None, warnings: list[str] | None = None
) -> Administration:
    desk = house.desk
    made = Administration(house.book, house.event_log, machines=desk.machines, attempts=3)
    readiness = Readiness(desk.documents, desk.policy, bootfiles=BootFiles([]), server=server or ServerFacts())
    made.use(desk.hosts, lambda: readiness, warnings=lambda: warnings or [])
    return made


def declare(house: House, change: Callable[[Host], Host | None]) -> None:
    """Swap the hosts as a reload does."""
    desk = house.desk
    hosts = HostSet.of(desk.hosts.cluster, [changed for host in desk.hosts if (changed := change(host))])
    desk.use(hosts, desk.policy, documents=desk.documents, bootfiles=desk.bootfiles)


def without_disk(name: HostName) -> Callable[[Host], Host]:
    return lambda host: replace(host, disk=None) if host.name == name else host


def removed(name: HostName) -> Callable[[Host], Host | None]:
    return lambda host: None if host.name == name else host


def test_an_armed_host_is_answered_with_what_will_happen_and_what_to_know(in_house: InHouse):
    async def scenario(house: House) -> Any:
        return await administration(house, warnings=["no daemon runs"]).arm("cp1", reason="first", attempts=2)

    armed = in_house(scenario)

    arming = armed["arming"]
    assert len(arming.pop("commit")) == 64
    assert arming == {
        "at": arming["at"],
        "reason": "first",
        "attempts": 2,
        "spent": 0,
        "left": 2,
        "macs": [MAC],
        "disk": "/dev/vda",
        "release": "ock-1.31-amd64",
        "changes": [],
    }
    assert (armed["boot_media"], armed["reasons"], armed["warnings"]) == (
        "ol8u10-x86_64",
        [],
        [CLUSTER_INIT, "no daemon runs"],
    )


def test_of_several_hosts_none_is_armed_where_one_cannot_be(in_house: InHouse):
    async def scenario(house: House) -> list[bool]:
        declare(house, without_disk(W1))
        with pytest.raises(ArmingRefusedError) as refused:
            await administration(house).arm_all(["cp1", "w1"])
        assert list(refused.value.reasons) == [W1]
        assert str(refused.value).endswith("nothing was armed; correct this, or arm all the same with --force")
        return [(await house.book.ask(name)).is_armed for name in (CP1, W1)]

    assert in_house(scenario) == [False, False]


def test_of_several_hosts_all_are_armed_once_each(in_house: InHouse):
    async def scenario(house: House) -> tuple[list[Any], int]:
        armed = await administration(house).arm_all(["w1", "cp1", "w1"])
        return [view["host"] for view in armed], len(await house.book.history(W1))

    assert in_house(scenario) == (["w1", "cp1"], 1)


def test_force_arms_what_is_not_ready_and_shows_the_reasons_all_the_same(in_house: InHouse):
    async def scenario(house: House) -> Any:
        return await administration(house, ServerFacts(DhcpMode.OFF)).arm("w1", force=True)

    armed = in_house(scenario)

    assert armed["armed"] is True
    assert [reason[:26] for reason in armed["reasons"]] == ["w1 cannot be identified: d"]


def test_force_does_not_arm_in_the_middle_of_an_install(in_house: InHouse):
    async def scenario(house: House) -> str:
        await administration(house).arm("cp1")
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        with pytest.raises(ArmingRefusedError) as refused:
            await administration(house).arm("cp1", force=True)
        return str(refused.value)

    assert in_house(scenario) == (
        "cannot arm cp1: cp1 is loading under its arming of 2026-11-21 00:16; "
        "let it end, or netboot install cancel cp1 first\nnothing was armed"
    )


def test_the_arming_of_a_removed_host_is_listed_with_its_reason_and_taken_back(in_house: InHouse):
    async def scenario(house: House) -> tuple[list[Any], Any, list[Any]]:
        await administration(house).arm("w1")
        declare(house, removed(W1))
        admin = administration(house)
        listed = await admin.installs()
        assert (await admin.install("w1")).items() >= listed[0].items()
        return listed, await admin.cancel("w1"), await admin.history("w1")

    listed, cancelled, history = in_house(scenario)

    assert [(view["host"], view["armed"], view["declared"]) for view in listed] == [("w1", True, False)]
    assert listed[0]["arming"]["changes"] == ["the hosts files declare it no more"]
    assert (cancelled["armed"], cancelled["notes"]) == (False, ["w1 is not armed; it boots its own disk"])
    assert [move["what"] for move in history] == ["armed", "cancelled"]


@pytest.mark.parametrize("operation", ["arm", "cancel", "install", "history", "host"])
def test_a_host_that_no_file_and_no_record_names_is_unknown(in_house: InHouse, operation: str):
    async def scenario(house: House) -> None:
        with pytest.raises(UnknownHostError, match="no host is called cp9; the registry has: cp1, w1"):
            await getattr(administration(house), operation)("cp9")

    in_house(scenario)


def test_a_removed_host_cannot_be_armed(in_house: InHouse):
    async def scenario(house: House) -> None:
        await administration(house).arm("w1")
        declare(house, removed(W1))

        with pytest.raises(UnknownHostError):
            await administration(house).arm("w1", force=True)

    in_house(scenario)
