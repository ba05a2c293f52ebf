"""How far the file or release is that is sent to a machine now, and what is repeated."""

from pathlib import Path

from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, UNKNOWN_ADDRESS, UNKNOWN_MAC, BuiltServices, WithServices

from netboot.content.serving.served_file import ServedFile
from netboot.model.boot.boot_progress import BootProgress
from netboot.model.boot.boot_record import BootPlan, BootRecord, BootStep
from netboot.model.host.host import HostName
from netboot.model.install.event import Step
from netboot.model.release import ContentKind

CP1 = HostName("cp1")


async def booted(services: BuiltServices) -> None:
    """Let cp1 boot until it has its script."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)


def kernel() -> ServedFile:
    return ServedFile("/x", 100, '"e"', "t", "c", ContentKind.KERNEL, "ol8u10-x86_64", "vmlinuz")


def objects(content: Path) -> list[ServedFile]:
    repository = content / "ostree" / "ock-1.31-amd64"
    members = (path.relative_to(repository).as_posix() for path in sorted((repository / "objects").rglob("*.*")))
    return [
        ServedFile("/x", 1000, '"e"', "t", "c", ContentKind.OSTREE_OBJECT, "ock-1.31-amd64", member)
        for member in members
    ]


def test_a_file_is_shown_while_it_is_sent_and_its_step_has_the_seconds(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[object, ...]:
        await booted(services)
        files, before = services.file_service, services.file_service.progress(MAC)
        end = files.begin_transfer(ADDRESS, ContentKind.KERNEL, "vmlinuz", 100, sent=lambda: 40)
        services.clock.pass_(4)
        during = files.progress(MAC)
        files.record_content(ADDRESS, kernel(), 100)
        end()
        boot = services.boot_recorder.newest(CP1)
        assert boot is not None
        step = boot.step(Step.KERNEL)
        assert step is not None
        return before, during, files.progress(MAC), (step.bytes, step.sent_s, step.detail)

    assert with_services(scenario) == (
        None,
        BootProgress(Step.KERNEL, "vmlinuz", 40, 100, 40, 10.0, 6.0),
        None,
        (100, 4.0, "vmlinuz"),
    )


def test_what_is_no_step_of_a_boot_or_was_sent_before_is_not_shown(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[BootProgress | None]:
        await booted(services)
        files, shown = services.file_service, []
        files.record_content(ADDRESS, kernel(), 100)
        for address, kind in (
            (ADDRESS, ContentKind.KERNEL),
            (ADDRESS, ContentKind.OTHER),
            (UNKNOWN_ADDRESS, ContentKind.INITRD),
        ):
            end = files.begin_transfer(address, kind, "x", 100, sent=lambda: 40)
            shown += [files.progress(MAC), files.progress(UNKNOWN_MAC)]
            end()
        return shown

    assert with_services(scenario) == [None] * 6


def test_the_end_of_an_earlier_transfer_does_not_end_a_later_one(with_services: WithServices):
    async def scenario(services: BuiltServices) -> str:
        await booted(services)
        files = services.file_service
        first = files.begin_transfer(ADDRESS, ContentKind.KERNEL, "vmlinuz", 100, sent=lambda: 1)
        files.begin_transfer(ADDRESS, ContentKind.INITRD, "initrd.img", 100, sent=lambda: 1)
        first()
        progress = files.progress(MAC)
        assert progress is not None
        return progress.name

    assert with_services(scenario) == "initrd.img"


def test_a_pull_has_percent_bytes_rate_and_time_left_until_it_pauses_or_ends(
    with_services: WithServices, content: Path
):
    async def scenario(services: BuiltServices) -> list[BootProgress | None]:
        await booted(services)
        files, wanted = services.file_service, objects(content)
        half = len(wanted) // 2
        files.record_content(ADDRESS, wanted[0], 1000)
        services.clock.pass_(10)
        for each in wanted[1:half]:
            files.record_content(ADDRESS, each, 1000)
        shown = [files.progress(MAC)]
        services.clock.pass_(200)
        shown.append(files.progress(MAC))
        for each in wanted[half:]:
            files.record_content(ADDRESS, each, 1000)
        return [*shown, files.progress(MAC)]

    running, paused, ended = with_services(scenario)

    assert (running.step, running.name, running.size_bytes) == (Step.OSTREE, "ock-1.31-amd64", None)
    assert 40 <= running.percent <= 50
    assert running.bytes_per_s == round(running.bytes / 10, 1)
    assert 10 <= running.seconds_left <= 15
    assert (paused, ended) == (None, None)


def test_a_pull_goes_on_after_a_restart_where_it_was(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> tuple[int, int]:
        await booted(services)
        at = services.clock.now()
        pulled = BootStep(Step.OSTREE, at, at, bytes=60_000, percent=60, detail="ock-1.31-amd64")
        services.boots_kept.keep(BootRecord(CP1, MAC, at, at, plan=BootPlan.INSTALL, steps=(pulled,)))
        await services.boots_kept.flush()
        await services.boot_recorder.load(at)
        services.seen.resume()
        services.file_service.record_content(ADDRESS, objects(content)[0], 1000)
        progress = services.file_service.progress(MAC)
        assert progress is not None
        return progress.percent, progress.bytes

    percent, size = with_services(scenario)

    assert 60 <= percent < 65
    assert size == 61_000


def test_a_script_and_a_kernel_that_are_requested_again_are_retries_of_their_steps(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[Step, int]]:
        await booted(services)
        await services.script_for(MAC, ADDRESS)
        for _ in range(3):
            services.file_service.record_content(ADDRESS, kernel(), 100)
        boot = services.boot_recorder.newest(CP1)
        assert boot is not None
        return [(each.step, each.retries) for each in boot.steps]

    assert with_services(scenario) == [(Step.OFFER, 0), (Step.SCRIPT, 1), (Step.KERNEL, 2)]
