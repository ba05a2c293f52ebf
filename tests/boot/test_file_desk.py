"""What a machine fetched by name, as its timeline tells it."""

from pathlib import Path

from boot.house import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    House,
    InHouse,
)

from netboot.content.served import ServedFile
from netboot.model.host import HostName
from netboot.model.release import ContentKind


def kernel() -> ServedFile:
    return ServedFile("/x", 100, '"e"', "t", "c", ContentKind.KERNEL, "ol8u10-x86_64", "vmlinuz")


def test_a_boot_is_told_step_by_step_each_once(in_house: InHouse):
    async def scenario(house: House) -> list[str | None]:
        await house.book.arm(HostName("cp1"), reason="test", attempts=3)
        house.boots(FIRMWARE)
        house.boots(FIRMWARE)
        sent = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0}
        house.file_desk.loader_sent(ADDRESS, "snponly.efi", outcome="probed", **sent)  # type: ignore[arg-type]
        house.file_desk.loader_sent(ADDRESS, "snponly.efi", outcome="sent", **sent)  # type: ignore[arg-type]
        house.boots(IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        for _ in range(2):
            house.file_desk.content_served(ADDRESS, kernel(), 100)
        return [event.step for event in await house.events() if event.step]

    assert in_house(scenario) == ["offer", "loader", "script", "kernel"]


def test_a_pull_is_told_in_fives_and_ends_with_a_hundred(in_house: InHouse, content: Path):
    async def scenario(house: House) -> list[object]:
        await house.book.arm(HostName("cp1"), reason="test", attempts=3)
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        repository = content / "ostree" / "ock-1.31-amd64"
        for path in sorted((repository / "objects").rglob("*.*")):
            member = path.relative_to(repository).as_posix()
            file = ServedFile(str(path), 1, '"e"', "t", "c", ContentKind.OSTREE_OBJECT, "ock-1.31-amd64", member)
            house.file_desk.content_served(ADDRESS, file, 1)
        return [event.data["percent"] for event in await house.events() if event.step == "ostree"]

    percents = in_house(scenario)

    assert percents == sorted(percents)
    assert percents[-1] == 100
