"""While no descriptor is left, an armed host waits for that reason, and its content is not lost."""

from pathlib import Path

from fixtures.no_descriptor import no_descriptor_left
from fixtures.services import ADDRESS, BASE_URL, FIRMWARE, IPXE, MAC, BuiltServices, WithServices

from netboot.app.armed_content import ArmedContent
from netboot.boot.documents.host_content import HostContent
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.offer import InstallPlan, WaitPlan, WaitReason
from netboot.model.host.host import HostName
from netboot.model.install.token import Tokens

CP1 = HostName("cp1")
REASON = (
    "this appliance has no free file descriptor; "
    "set LimitNOFILE=65536 in the unit of netboot, or find who holds many connections: ss -tn"
)


async def arm(services: BuiltServices) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    host = services.hosts.hosts[CP1]
    await services.documents.problems(host)  # imports what is imported at the first use, and reads the templates
    services.documents.script_problems(MAC, host)


def test_the_script_waits_with_the_true_reason_and_the_next_one_is_the_installers(
    with_services: WithServices, content: Path
):
    async def scenario(services: BuiltServices) -> list[object]:
        await arm(services)
        services.use(documents=services.documents.with_content(HostContent(content)))
        with no_descriptor_left():
            waits = await services.script_for(MAC, ADDRESS)
        held = [dict(event.data) for event in await services.events() if event.name == "boot.script_held_back"]
        return [waits, held, await services.script_for(MAC, ADDRESS)]

    waits, held, then = with_services(scenario)

    assert isinstance(waits, WaitPlan)
    assert waits.reason is WaitReason.NOT_READY
    assert held == [{"reason": REASON, "part": "descriptors"}]
    assert isinstance(then, InstallPlan)


def test_a_kickstart_is_not_written_without_what_a_file_of_its_role_has(with_services: WithServices):
    async def scenario(services: BuiltServices) -> str:
        await arm(services)
        host = services.hosts.hosts[CP1]
        tokens = Tokens(*["0" * 32] * 3)
        await services.documents.kickstart(host, tokens, mac=MAC, base_url=BASE_URL)
        try:
            with no_descriptor_left():
                return await services.documents.kickstart(host, tokens, mac=MAC, base_url=BASE_URL)
        except Exception as error:
            return str(error)

    assert with_services(scenario) == REASON


def test_the_content_of_an_armed_host_is_neither_lost_nor_found(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> list[object]:
        await arm(services)
        files = ArmedContent(
            services.registry,
            services.install_moves,
            events=services.event_bus,
            content=content,
            now=services.clock.now,
        )
        await files.check()
        before = list(files.readings())
        with no_descriptor_left():
            changed = await files.check()
        assert list(files.readings()) == before
        await files.check()
        names = [name for name in await services.event_names() if name.startswith("install.content_")]
        return [changed, files.problems(), names]

    assert with_services(scenario) == [set(), [], []]


def test_the_boot_files_stay_until_their_directory_can_be_read_again(with_services: WithServices, tmp_path: Path):
    async def scenario(services: BuiltServices) -> list[object]:
        (tmp_path / "boot").mkdir()
        before = BootFiles([tmp_path / "boot"])
        services.use(boot_files=before)
        (tmp_path / "boot/new.efi").write_bytes(b"new")
        with no_descriptor_left():
            is_renewed = services.registry.renew_boot_files()
            stays = services.registry.now.boot_files is before
        services.registry.renew_boot_files()
        return [is_renewed, stays, services.registry.now.boot_files.find("new.efi") is not None]

    assert with_services(scenario) == [False, True, True]
