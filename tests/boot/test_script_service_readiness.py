"""Whether a host can be installed is found when it is armed and when hosts or content change, not at its request."""

import asyncio
import shutil
from pathlib import Path

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, BuiltServices, WithServices

from netboot.boot.documents.documents import Documents
from netboot.boot.documents.host_content import HostContent
from netboot.content.assets import assets_directory
from netboot.model.boot.offer import InstallPlan, ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host, HostName
from netboot.render.template_engine import Engine

CP1 = HostName("cp1")


async def armed_host(services: BuiltServices) -> Host:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    return services.hosts.hosts[CP1]


async def prepared(services: BuiltServices, host: Host) -> None:
    """Run what computes readiness until this host is ready."""
    running = asyncio.create_task(services.script_service.run())
    async with asyncio.timeout(30):
        while not services.documents.is_ready(host, ScriptLanguage.IPXE):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_an_armed_host_is_found_ready_before_its_request_and_an_unarmed_one_is_not_looked_at(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> list[bool]:
        await prepared(services, await armed_host(services))
        return [services.documents.is_ready(host, ScriptLanguage.GRUB) for host in services.hosts]

    assert with_services(scenario) == [True, False]


def test_a_ready_host_gets_its_installer_without_a_rendering_of_its_documents(
    with_services: WithServices, tmp_path: Path
):
    async def scenario(services: BuiltServices) -> object:
        templates = tmp_path / "templates"
        shutil.copytree(assets_directory() / "templates", templates)
        services.use(documents=Documents(Engine([templates]), services.documents.content))
        await prepared(services, await armed_host(services))
        shutil.rmtree(templates / "kickstart")
        return await services.script_for(MAC, ADDRESS)

    assert isinstance(with_services(scenario), InstallPlan)


@pytest.mark.parametrize("is_gone", [True, False], ids=["gone", "damaged"])
def test_a_ready_host_whose_role_file_changes_waits(with_services: WithServices, is_gone: bool):
    async def scenario(services: BuiltServices) -> None:
        host = await armed_host(services)
        await prepared(services, host)
        assert host.ignition is not None
        host.ignition.unlink() if is_gone else host.ignition.write_text("{")

        assert await services.script_for(MAC, ADDRESS) == WaitPlan(MAC, WaitReason.NOT_READY, host)

    with_services(scenario)


@pytest.mark.parametrize("path", ["media/{host.boot_media}/initrd.img", "ostree/{host.release}/refs"])
def test_a_ready_host_whose_content_is_lost_waits_and_spends_no_attempt(
    with_services: WithServices, content: Path, tmp_path: Path, path: str
):
    async def scenario(services: BuiltServices) -> None:
        host = await armed_host(services)
        copy = tmp_path / "content"
        shutil.copytree(content, copy)
        services.use(documents=Documents(Engine([assets_directory() / "templates"]), HostContent(copy)))
        await prepared(services, host)
        lost = copy / path.format(host=host)
        lost.rename(lost.with_name("lost"))

        assert await services.script_for(MAC, ADDRESS) == WaitPlan(MAC, WaitReason.NOT_READY, host)
        arming = (await services.install_moves.read(CP1)).arming
        assert arming is not None
        assert arming.spent == 0

    with_services(scenario)


def test_what_was_missing_is_found_at_the_next_request(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[type]:
        host = await armed_host(services)
        assert host.ignition is not None
        text = host.ignition.read_bytes()
        host.ignition.unlink()
        first = await services.script_for(MAC, ADDRESS)
        host.ignition.write_bytes(text)
        return [type(first), type(await services.script_for(MAC, ADDRESS))]

    assert with_services(scenario) == [WaitPlan, InstallPlan]


def test_readiness_is_computed_again_when_the_host_is_declared_anew(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[bool]:
        before = await armed_host(services)
        await prepared(services, before)
        services.change_host(CP1, timezone="Europe/Berlin")
        after = services.hosts.hosts[CP1]
        was_ready = services.documents.is_ready(after, ScriptLanguage.IPXE)
        await prepared(services, after)
        return [was_ready, services.documents.is_ready(after, ScriptLanguage.IPXE)]

    assert with_services(scenario) == [False, True]
