"""Why a host does not proceed, as `install show` and `host show` say it: from what the store knows."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from fixtures.house import ADDRESS, FIRMWARE, IPXE, MAC, STRANGER_ADDRESS, House, InHouse

from netboot.boot.token_documents import Report
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.host.host import HostName, HostSet
from netboot.operate.administration import Administration, move_view
from netboot.operate.readiness import Readiness

CP1 = HostName("cp1")
SENT = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}


async def arm(house: House) -> None:
    await house.book.arm(CP1, reason="the operator's own reason", attempts=3)


def never_armed_here() -> Readiness:
    raise AssertionError("nothing is armed by showing it")


async def shown(house: House) -> dict[str, Any]:
    """What `host show cp1 --json` prints."""
    await house.event_log.flush()
    await house.desk.machines.flush()
    administration = Administration(house.book, house.event_log, machines=house.desk.machines, attempts=3)
    administration.use(house.desk.hosts, never_armed_here, warnings=())
    found = dict(await administration.host("cp1"))
    install = await administration.install("cp1")
    assert install == found["install"]
    return found


async def reason(house: House) -> str | None:
    text: str | None = (await shown(house))["install"]["reason"]
    return text


async def code(house: House) -> str | None:
    blocked = (await shown(house))["install"]["blocked"]
    return blocked and blocked["reason"]


def test_a_missing_document_is_told_with_its_cure_until_the_machine_gets_its_script(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        role_file = house.desk.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert role_file is not None
        text = role_file.read_bytes()
        role_file.unlink()
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        blocked = (await shown(house))["install"]["blocked"]
        assert str(role_file) in blocked["sentence"]
        assert blocked["since"] == house.clock.now().isoformat()

        house.clock.pass_(10)
        role_file.write_bytes(text)
        await house.desk.script_for(MAC, ADDRESS)

        assert await code(house) is None

    in_house(scenario)


def test_a_dead_end_stays_told_over_further_boots_and_over_another_arming(in_house: InHouse):
    async def scenario(house: House) -> None:
        directory = house.directory / "loaders"
        directory.mkdir()
        (directory / "undionly.kpxe").write_bytes(b"x")
        bootfiles = BootFiles([directory])
        policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders())
        house.desk.use(house.desk.hosts, policy, documents=house.desk.documents, bootfiles=bootfiles)
        await arm(house)
        bios = replace(FIRMWARE, arch=Arch.X86_BIOS)
        for exchange in range(1, 5):
            house.boots(replace(bios, exchange=exchange))
            house.file_desk.loader_for(ADDRESS, "undionly.kpxe")
            house.file_desk.loader_sent(ADDRESS, "undionly.kpxe", **SENT)  # type: ignore[arg-type]
            house.clock.pass_(100)
        assert await code(house) == "no-script"
        assert "undionly.kpxe runs" in str(await reason(house))

        await house.book.cancel(CP1, reason="")
        await arm(house)

        assert await code(house) == "no-script"

    in_house(scenario)


def test_a_machine_that_is_refused_is_shown_with_the_reason_and_the_package_to_install(in_house: InHouse):
    async def scenario(house: House) -> None:
        arm64 = replace(FIRMWARE, arch=Arch.ARM64_UEFI)
        await arm(house)
        for _ in range(3):
            house.offer_desk.offer_for(arm64)

        assert await reason(house) == (
            "cp1 gets no offer (it boots as arm64-uefi by pxe): no loader for arm64 (option 93 = 11): "
            "none of no directory has snponly-arm64.efi or ipxe-arm64.efi; "
            "install ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
        )
        assert (await house.event_names()).count("dhcp.architecture_refused") == 1
        house.clock.pass_(100)
        house.boots(FIRMWARE)
        assert await code(house) is None

    in_house(scenario)


def test_a_machine_whose_named_loader_is_for_another_cpu_is_shown_so(in_house: InHouse):
    async def scenario(house: House) -> None:
        cp1 = house.desk.hosts.get("cp1")
        assert cp1 is not None
        hosts = HostSet.of(house.desk.hosts.cluster, [replace(cp1, loader="undionly.kpxe")])
        house.desk.use(hosts, house.desk.policy, documents=house.desk.documents, bootfiles=house.desk.bootfiles)
        await arm(house)
        house.offer_desk.offer_for(FIRMWARE)

        assert await reason(house) == (
            "cp1 gets no offer (it boots as x64-uefi by pxe): undionly.kpxe is built for x86-bios, not for x64; "
            "correct hosts.cp1.loader"
        )

    in_house(scenario)


def test_an_armed_host_that_was_not_heard_says_so_and_one_that_was_armed_never_too(in_house: InHouse):
    async def scenario(house: House) -> None:
        assert await reason(house) == "cp1 is not armed, so it boots its own disk; netboot install arm cp1"
        await arm(house)
        assert await code(house) == "not-heard"
        house.boots(FIRMWARE)
        assert await code(house) is None

    in_house(scenario)


def test_behind_a_router_that_translates_addresses_the_reason_is_the_address(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        for _ in range(5):
            await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert await code(house) == "other-address"
        assert "(NAT)" in str(await reason(house))

    in_house(scenario)


def test_a_stranger_hides_no_reason_of_the_machine_itself(in_house: InHouse):
    async def scenario(house: House) -> None:
        await arm(house)
        house.desk.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        await house.desk.script_for(MAC, STRANGER_ADDRESS)

        assert "cannot read the Ignition" in str(await reason(house))

    in_house(scenario)


async def fail(house: House, text: str) -> None:
    await arm(house)
    house.boots(FIRMWARE, IPXE)
    await house.desk.script_for(MAC, ADDRESS)
    token = (await house.book.ask(CP1)).tokens.report
    assert await house.token_desk.report(token, Report.FAILED, address=ADDRESS, body=text) is None


DISKS = "disks present:\nNAME SIZE MODEL\nsda  894G SAMSUNG \x1b[31mX\n"


def test_the_reason_of_a_failure_is_the_first_line_of_its_report_and_the_disks_stay_apart(in_house: InHouse):
    async def scenario(house: House) -> None:
        await fail(house, f"/dev/vda is not there: set hosts.cp1.disk to one of the disks present\n{DISKS}")
        found = await shown(house)

        assert found["install"]["blocked"] == {
            "reason": "reported-failed",
            "sentence": "/dev/vda is not there: set hosts.cp1.disk to one of the disks present",
            "cure": "it is still armed: its next network boot tries again",
            "since": house.clock.now().isoformat(),
        }
        assert found["disks"] == ["NAME SIZE MODEL", "sda  894G SAMSUNG \ufffd[31mX"]
        moved = (await house.events())[-1]
        assert (moved.step, moved.data["note"]) == ("failed", found["install"]["blocked"]["sentence"])

    in_house(scenario)


def test_a_failure_of_before_is_no_reason_once_the_host_is_armed_again(in_house: InHouse):
    async def scenario(house: House) -> None:
        await fail(house, "no space left")
        await house.book.cancel(CP1, reason="")
        assert str(await reason(house)).startswith("no space left; the whole report: ")
        house.clock.pass_(10)
        await arm(house)

        assert await code(house) == "not-heard"

    in_house(scenario)


def test_a_host_shows_when_it_was_last_heard_its_last_offer_and_the_last_reason(in_house: InHouse):
    async def scenario(house: House) -> tuple[dict[str, Any], dict[str, Any]]:
        before = await shown(house)
        house.boots(FIRMWARE)
        house.clock.pass_(10)
        await house.desk.script_for(MAC, STRANGER_ADDRESS)
        await arm(house)
        house.offer_desk.offer_for(replace(FIRMWARE, arch=Arch.ARM64_UEFI))
        return before, await shown(house)

    before, after = in_house(scenario)

    assert [before[key] for key in ("last_heard", "last_offer", "last_reason", "disks")] == [None, None, None, []]
    assert after["last_heard"] == "2026-11-21T00:16:50+00:00"
    assert after["last_offer"] == {
        "at": "2026-11-21T00:16:40+00:00",
        "kind": "local-disk",
        "stage": "firmware",
        "boot_file": None,
    }
    assert after["last_reason"]["reason"].startswith("cp1 gets no offer (it boots as arm64-uefi by pxe): ")


@pytest.mark.parametrize("address", [ADDRESS, STRANGER_ADDRESS])
def test_a_node_that_is_ready_is_held_back_by_nothing(in_house: InHouse, address: IPv4Address):
    async def scenario(house: House) -> None:
        await arm(house)
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        tokens = (await house.book.ask(CP1)).tokens
        assert await house.token_desk.report(tokens.report, Report.READY, address=ADDRESS) is None
        await house.token_desk.kickstart_for(tokens.kickstart, address, base_url="http://192.0.2.10:8080")

        assert await code(house) is None

    in_house(scenario)


def test_every_move_of_the_history_has_its_reason_in_one_line(in_house: InHouse):
    async def scenario(house: House) -> list[tuple[str, str, str]]:
        await fail(house, f"no space left\nlast line\n{DISKS}")
        for _ in range(3):
            house.clock.pass_(300)
            house.boots(FIRMWARE, IPXE)
            await house.desk.script_for(MAC, ADDRESS)
        moves = [move_view(move) for move in await house.book.history(CP1)]
        return [(move["what"], move["reason"], move["note"]) for move in moves if move["reason"]]

    assert in_house(scenario) == [
        ("armed", "the operator's own reason", "the operator's own reason"),
        ("reported-failed", "no space left", "no space left\nlast line"),
        ("attempts-spent", "every boot of its arming is spent, and no installer reported an end", ""),
    ]
