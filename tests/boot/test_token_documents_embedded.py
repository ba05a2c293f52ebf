"""The archive with a machine's Ignition: which installer gets it, when, and what its install looks like."""

import gzip
import json
import os
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    UNKNOWN_ADDRESS,
    BuiltServices,
    WithServices,
)

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.token_documents import Refusal, Report
from netboot.errors import RenderError
from netboot.ignition.check import read_ignition
from netboot.ignition.resource import content_of
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.model.install.token import Tokens

CP1 = HostName("cp1")
JOIN = (Path(__file__).resolve().parents[2] / "assets/examples/ign/worker-join.ign").read_bytes()


async def boot_the_installer(services: BuiltServices) -> Tokens:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    return (await services.install_moves.read(CP1)).tokens


async def archive(
    services: BuiltServices, tokens: Tokens, *, address: IPv4Address = ADDRESS, is_head: bool = False
) -> bytes | Refusal:
    return await services.document_service.serve_ignition(
        tokens.ignition, IgnitionPart.ARCHIVE, address=address, base_url=BASE_URL, is_head=is_head
    )


async def report(services: BuiltServices, tokens: Tokens, *events: Report) -> None:
    for event in events:
        assert await services.document_service.report(tokens.report, event, address=ADDRESS) is None


async def install_up_to_started(services: BuiltServices) -> Tokens:
    tokens = await boot_the_installer(services)
    await report(services, tokens, Report.STARTED)
    return tokens


async def alarms(services: BuiltServices) -> list[dict[str, object]]:
    return [dict(event.data) for event in await services.events() if event.name == "boot.alarm_raised"]


def test_a_whole_install_without_a_request_of_the_installed_system(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await install_up_to_started(services)
        assert isinstance(await archive(services, tokens), bytes)
        assert (await services.install_moves.read(CP1)).state is InstallState.INSTALLING
        await report(services, tokens, Report.DONE)
        services.boots(FIRMWARE)  # its own disk
        await report(services, tokens, Report.READY)
        assert (await services.install_moves.read(CP1)).state is InstallState.READY
        return [event.step or event.name for event in await services.events()]

    seen = with_services(scenario)

    assert [each for each in seen if each in ("installing", "boot.ignition_embedded", "installed", "ready")] == [
        *("installing", "boot.ignition_embedded", "installed", "ready")
    ]
    assert "ignition" not in seen


def test_the_archive_holds_the_roles_file_and_an_overlay_that_removes_it(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[bytes, bytes]:
        tokens = await install_up_to_started(services)
        served = await archive(services, tokens)
        assert isinstance(served, bytes)
        role = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        return served, role.read_bytes()  # type: ignore[union-attr]

    served, role = with_services(scenario)

    unpacked = gzip.decompress(served)
    document = read_ignition(unpacked[unpacked.index(b'{"ignition"') : unpacked.rindex(b"}") + 1])
    children = [content_of(child) for child in document.config["ignition"]["config"]["merge"]]
    assert (document.problems, children[0]) == ((), role)
    assert children[1] is not None
    units = [unit["name"] for unit in json.loads(children[1])["systemd"]["units"]]
    assert "netboot-forget-ignition.service" in units


def test_a_second_request_in_the_same_boot_is_answered_and_is_no_second_event(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await install_up_to_started(services)
        assert await archive(services, tokens) == await archive(services, tokens)
        return await services.event_names()

    assert with_services(scenario).count("boot.ignition_embedded") == 1


def test_a_head_request_changes_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await install_up_to_started(services)
        assert isinstance(await archive(services, tokens, is_head=True), bytes)
        await services.database.finished()
        assert [each.kind for each in await services.served.of(CP1)] == ["script"]
        return await services.event_names()

    assert "boot.ignition_embedded" not in with_services(scenario)


@pytest.mark.parametrize("before", [(), (Report.STARTED, Report.DONE), (Report.STARTED, Report.FAILED)])
def test_the_archive_is_served_only_between_start_and_end_of_the_installer(
    with_services: WithServices, before: tuple[Report, ...]
):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        await report(services, tokens, *before)
        assert await archive(services, tokens) is Refusal.SPENT
        return await services.event_names()

    assert "boot.token_refused" in with_services(scenario)


def test_another_machine_is_refused_and_raises_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        tokens = await install_up_to_started(services)
        assert await archive(services, tokens, address=UNKNOWN_ADDRESS) is Refusal.UNAUTHORISED
        return await alarms(services)

    assert with_services(scenario) == [
        {"document": "ignition", "address": str(UNKNOWN_ADDRESS), "reason": "unauthorised-address"}
    ]


def test_two_addresses_of_one_host_that_request_the_archive_raise_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        tokens = await install_up_to_started(services)
        await archive(services, tokens)
        services.boots(FIRMWARE, IPXE, address=OTHER_ADDRESS)
        await archive(services, tokens, address=OTHER_ADDRESS)
        return await alarms(services)

    assert with_services(scenario) == [
        {"document": "ignition", "address": str(OTHER_ADDRESS), "earlier": str(ADDRESS), "reason": "second-address"}
    ]


def test_the_token_of_another_boot_opens_no_archive(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        first = await install_up_to_started(services)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)

        assert await archive(services, first) is Refusal.UNKNOWN

    with_services(scenario)


def test_a_role_file_that_is_missing_or_whose_secret_has_ended_is_held_back(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await install_up_to_started(services)
        file = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert file is not None
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(RenderError, match="cannot read the Ignition of cp1: "):
            await archive(services, tokens)
        file.write_bytes(JOIN)
        long_ago = services.clock.now().timestamp() - 25 * 3600
        os.utime(file, (long_ago, long_ago))
        with pytest.raises(RenderError, match=r"cannot serve the Ignition of cp1: the bootstrap token in .* ended at"):
            await archive(services, tokens)

        file.write_bytes(content)
        assert isinstance(await archive(services, tokens), bytes)

    with_services(scenario)


def test_what_was_served_is_kept_to_be_compared_with_a_later_plan(with_services: WithServices):
    async def scenario(services: BuiltServices) -> set[str]:
        tokens = await install_up_to_started(services)
        await archive(services, tokens)
        await services.database.finished()
        return {each.kind.value for each in await services.served.of(CP1)}

    assert with_services(scenario) == {"script", "overlay", "role"}
