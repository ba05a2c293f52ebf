"""What a machine is told before it holds a token, and what that moves."""

from dataclasses import replace
from pathlib import Path

from boot.house import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    STRANGER_ADDRESS,
    STRANGER_MAC,
    House,
    InHouse,
)

from netboot.boot.desk import TELL_STRANGERS
from netboot.boot.seen import STRANGERS
from netboot.content.served import ServedFile
from netboot.model.host import HostName
from netboot.model.install import InstallState
from netboot.model.mac import Mac
from netboot.model.offer import InstallPlan, LocalBootPlan, OfferKind, Policy, UnknownHosts, WaitPlan, WaitReason
from netboot.model.release import ContentKind

CP1 = HostName("cp1")


async def arm(house: House, *, attempts: int = 3) -> None:
    await house.book.arm(CP1, reason="test", attempts=attempts)


def kernel() -> ServedFile:
    return ServedFile("/x", 100, '"e"', "t", "c", ContentKind.KERNEL, "ol8u10-x86_64", "vmlinuz")


def test_an_armed_machine_that_announced_itself_gets_the_installer_once_a_boot(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        first = await house.desk.script_for(MAC, ADDRESS)
        again = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert again == first
        install = await house.book.ask(CP1)
        assert install.state is InstallState.LOADING
        assert install.arming is not None
        assert install.arming.spent == 1

    in_house(scenario)


def test_the_next_boot_spends_the_next_attempt_and_kills_the_tokens_of_the_last(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        first = await house.desk.script_for(MAC, ADDRESS)
        house.clock.pass_(300)
        house.boots(FIRMWARE, IPXE)

        second = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(first, InstallPlan)
        assert isinstance(second, InstallPlan)
        assert first.kickstart_token != second.kickstart_token
        install = await house.book.ask(CP1)
        assert install.arming is not None
        assert install.arming.spent == 2

    in_house(scenario)


def test_after_the_last_attempt_the_machine_is_led_to_its_disk_and_the_install_has_failed(in_house: InHouse):
    async def scenario(house: House) -> list[type]:
        await arm(house, attempts=2)
        plans = []
        for _ in range(4):
            house.boots(FIRMWARE, IPXE)
            plans.append(await house.desk.script_for(MAC, ADDRESS))
            house.clock.pass_(300)
        install = await house.book.ask(CP1)
        assert (install.state, install.is_armed) == (InstallState.FAILED, False)
        assert house.desk.offer_for(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        return [type(plan) for plan in plans]

    assert in_house(scenario) == [InstallPlan, InstallPlan, LocalBootPlan, LocalBootPlan]


def test_a_curious_reader_sees_a_script_without_tokens_and_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        before = await house.book.ask(CP1)

        plan = await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.get("cp1"))
        assert await house.book.ask(CP1) == before

    in_house(scenario)


def test_an_announced_mac_asked_for_from_another_address_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, house.desk.hosts.get("cp1"))
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]

    in_house(scenario)


def test_an_announcement_of_long_ago_counts_no_more(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        house.clock.pass_(3600)

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert isinstance(plan, WaitPlan)
        assert plan.reason is WaitReason.NOT_ANNOUNCED

    in_house(scenario)


def test_a_look_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, ADDRESS, is_look=True)

        assert isinstance(plan, WaitPlan)
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]

    in_house(scenario)


def test_a_host_that_nobody_armed_is_led_to_its_disk_on_every_road(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.boots(FIRMWARE, IPXE)

        assert house.desk.offer_for(FIRMWARE).kind is OfferKind.LOCAL_DISK  # type: ignore[union-attr]
        assert await house.desk.script_for(MAC, ADDRESS) == LocalBootPlan(MAC, house.desk.hosts.get("cp1"))

    in_house(scenario)


def test_a_store_that_does_not_answer_makes_the_machine_wait_and_never_install(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        async with house.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.STORE_UNREACHABLE, house.desk.hosts.get("cp1"))
        assert house.desk.offer_for(FIRMWARE).kind is OfferKind.LOADER  # type: ignore[union-attr]

    in_house(scenario)


def test_a_host_whose_documents_cannot_be_made_waits_and_spends_nothing(in_house: InHouse, hosts: object):
    async def scenario(house: House) -> None:
        await arm(house)
        role_file = house.desk.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert isinstance(role_file, Path)
        role_file.unlink()
        house.boots(FIRMWARE, IPXE)

        plan = await house.desk.script_for(MAC, ADDRESS)

        assert plan == WaitPlan(MAC, WaitReason.NOT_READY, house.desk.hosts.get("cp1"))
        assert (await house.book.ask(CP1)).arming.spent == 0  # type: ignore[union-attr]
        held_back = [event for event in await house.events() if event.name == "boot.script_held_back"]
        assert "cannot read the Ignition of cp1" in str(held_back[0].data["reason"])

    in_house(scenario)


def test_an_unknown_machine_is_discovered_once_and_gets_silence(in_house: InHouse):
    async def scenario(house: House) -> None:
        stranger = replace(FIRMWARE, mac=STRANGER_MAC)
        for _ in range(3):
            house.desk.offer_for(stranger)

        assert [machine.mac for machine in house.desk.discovered()] == [STRANGER_MAC]
        assert await house.event_names() == ["boot.machine_discovered"]

    in_house(scenario)


def test_where_unknown_machines_wait_their_script_says_so(in_house: InHouse):
    async def scenario(house: House) -> None:
        policy = Policy(UnknownHosts.WAIT, house.desk.policy.loaders)
        house.desk.use(house.desk.hosts, policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)
        stranger = replace(FIRMWARE, mac=STRANGER_MAC)
        house.boots(stranger)

        assert house.desk.offer_for(stranger).kind is OfferKind.LOADER  # type: ignore[union-attr]
        plan = await house.desk.script_for(STRANGER_MAC, ADDRESS)
        assert plan == WaitPlan(STRANGER_MAC, WaitReason.UNKNOWN_HOST)
        assert "systemctl reload netboot" in house.desk.documents.ipxe(plan, base_url="http://192.0.2.10:8080")

    in_house(scenario)


def test_an_address_belongs_to_the_machine_that_the_wire_showed_it_for_last(in_house: InHouse):
    async def scenario(house: House) -> None:
        cp1, w1 = house.desk.hosts.get("cp1"), house.desk.hosts.get("w1")
        assert cp1 is not None
        assert w1 is not None
        house.desk.saw_address(MAC, ADDRESS)
        house.desk.saw_address(OTHER_MAC, ADDRESS)

        assert not house.desk.is_at(cp1, ADDRESS)
        assert house.desk.is_at(w1, ADDRESS)

    in_house(scenario)


def test_a_machine_keeps_its_last_addresses_and_no_more(in_house: InHouse):
    async def scenario(house: House) -> None:
        cp1 = house.desk.hosts.get("cp1")
        assert cp1 is not None
        addresses = [ADDRESS + n for n in range(6)]
        for address in addresses:
            house.desk.saw_address(MAC, address)

        assert [house.desk.is_at(cp1, address) for address in addresses] == [False, False, True, True, True, True]

    in_house(scenario)


def test_an_address_of_a_machine_that_does_not_boot_from_us_is_not_kept(in_house: InHouse):
    async def scenario(house: House) -> None:
        house.desk.saw_address(STRANGER_MAC, OTHER_ADDRESS)

        assert house.desk.seen.by_address(OTHER_ADDRESS) is None

    in_house(scenario)


def test_a_boot_is_told_step_by_step_each_once(in_house: InHouse):
    async def scenario(house: House) -> list[str | None]:
        await arm(house)
        house.boots(FIRMWARE)
        house.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0}
        house.desk.loader_sent(ADDRESS, "snponly.efi", outcome="probed", **sent)  # type: ignore[arg-type]
        house.desk.loader_sent(ADDRESS, "snponly.efi", outcome="sent", **sent)  # type: ignore[arg-type]
        house.boots(IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        for _ in range(2):
            house.desk.content_served(ADDRESS, kernel(), 100)
        return [event.step for event in await house.events() if event.step]

    assert in_house(scenario) == ["offer", "loader", "script", "kernel"]


def test_a_pull_is_told_in_fives_and_ends_with_a_hundred(in_house: InHouse, content: Path):
    async def scenario(house: House) -> list[object]:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        repository = content / "ostree" / "ock-1.31-amd64"
        for path in sorted((repository / "objects").rglob("*.*")):
            member = path.relative_to(repository).as_posix()
            file = ServedFile(str(path), 1, '"e"', "t", "c", ContentKind.OSTREE_OBJECT, "ock-1.31-amd64", member)
            house.desk.content_served(ADDRESS, file, 1)
        return [event.data["percent"] for event in await house.events() if event.step == "ostree"]

    percents = in_house(scenario)

    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_a_flood_of_forged_machines_pushes_out_no_registered_one_and_does_not_fill_the_ledger(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        for number in range(STRANGERS + 500):
            house.desk.offer_for(replace(FIRMWARE, mac=Mac(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")))

        assert isinstance(await house.desk.script_for(MAC, ADDRESS), InstallPlan)
        assert len(house.desk.discovered()) == STRANGERS
        assert (await house.event_names()).count("boot.machine_discovered") == TELL_STRANGERS

    in_house(scenario)
