"""What an installer's checks lead to: the installer goes on, or its machine waits until an operator arms it again."""

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    UNKNOWN_ADDRESS,
    BuiltServices,
    WithServices,
)

from netboot.boot.token_documents import Refusal, Report
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, WaitPlan, WaitReason
from netboot.model.host.host import HostName
from netboot.model.install.checks import MalformedReportError
from netboot.model.install.install import InstallState
from netboot.model.install.token import HIDDEN_TOKEN

CP1 = HostName("cp1")
PASSED = "netboot-checks 1\nfirmware pass UEFI\ndisk pass sda\nmembers pass none\nntp skipped no chronyd\n"
FAILED = PASSED.replace("disk pass sda", "disk fail no disk fits") + "disks present:\nsdb 2G\n"


async def boots(services: BuiltServices, *, attempts: int = 3) -> str:
    """Arm cp1, boot its installer, and return the token of its reports."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=attempts)
    return await boots_again(services)


async def boots_again(services: BuiltServices) -> str:
    services.clock.pass_(300)
    services.boots(FIRMWARE, IPXE)
    assert isinstance(await services.script_for(MAC, ADDRESS), InstallPlan)
    return (await services.install_moves.read(CP1)).tokens.report


async def checks(services: BuiltServices, token: str, body: str) -> object:
    return await services.document_service.report_checks(token, address=ADDRESS, body=body)


async def state(services: BuiltServices) -> tuple[InstallState, bool]:
    install = await services.install_moves.read(CP1)
    return install.state, install.is_armed


def test_a_machine_that_passed_is_installed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services)

        assert await checks(services, token, PASSED) == []
        assert await checks(services, token, PASSED) == []  # its acknowledgement was lost

        assert await state(services) == (InstallState.LOADING, True)
        [event] = [event for event in await services.events() if event.name == "boot.checks_reported"]
        assert event.data == {
            "failed": False,
            "checks": PASSED.removeprefix("netboot-checks 1\n").rstrip(),
            "pass": "firmware, disk, members",
            "fail": "",
            "skipped": "ntp",
        }
        assert await services.document_service.report(token, Report.STARTED, address=ADDRESS) is None

    with_services(scenario)


@pytest.mark.parametrize("attempts", [1, 3])
def test_after_a_failed_check_the_machine_waits_and_is_installed_only_after_the_next_arming(
    with_services: WithServices, attempts: int
):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services, attempts=attempts)

        assert await checks(services, token, FAILED) == ["no disk fits"]
        assert await checks(services, token, FAILED) == ["no disk fits"]
        assert await checks(services, token, PASSED) is Refusal.SPENT
        assert await services.document_service.report(token, Report.STARTED, address=ADDRESS) is Refusal.SPENT
        report = services.document_service.report
        assert await report(token, Report.FAILED, address=ADDRESS, body="no disk fits\n") is None

        for _ in range(5):  # it starts again and again
            services.clock.pass_(300)
            services.boots(FIRMWARE, IPXE)
            host = services.hosts.get("cp1")
            waits = WaitPlan(MAC, WaitReason.CHECKS_FAILED, host, "no disk fits")
            assert await services.script_for(MAC, ADDRESS) == waits
        assert await state(services) == (InstallState.FAILED, True)

        [failed] = [move for move in await services.install_moves.history(CP1) if move.after is InstallState.FAILED]
        assert (failed.what, failed.note) == ("checks-failed", "no disk fits\ndisks present:\nsdb 2G")
        await services.install_moves.arm_all([CP1], reason="another disk", attempts=1)
        assert isinstance(await services.script_for(MAC, ADDRESS), InstallPlan)  # the machine was waiting

    with_services(scenario)


def test_after_a_failed_check_a_cancel_lets_the_machine_boot_its_disk(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await checks(services, await boots(services), FAILED)
        await services.install_moves.cancel(CP1, reason="keep it")

        assert isinstance(await services.script_for(MAC, ADDRESS), LocalBootPlan)

    with_services(scenario)


def test_checks_without_a_required_one_are_failed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        without = PASSED.replace("members pass none\n", "")

        assert await checks(services, await boots(services), without) == ["the check of members was not made"]
        assert await state(services) == (InstallState.FAILED, True)

    with_services(scenario)


def test_a_cancelled_or_changed_install_is_refused_before_anything_is_written(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services)
        await services.install_moves.cancel(CP1, reason="wrong host")
        assert await checks(services, token, PASSED) is Refusal.SPENT

        token = await boots(services)
        services.change_host("cp1", disk="/dev/disk/by-id/other")
        assert await checks(services, token, PASSED) is Refusal.SPENT

    with_services(scenario)


def test_a_malformed_report_changes_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services)

        with pytest.raises(MalformedReportError):
            await checks(services, token, "everything is fine")

        assert await state(services) == (InstallState.LOADING, True)
        assert "boot.checks_reported" not in await services.event_names()

    with_services(scenario)


def test_checks_from_another_address_or_with_another_token_are_refused(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services)
        service = services.document_service

        assert await service.report_checks(token, address=UNKNOWN_ADDRESS, body=FAILED) is Refusal.UNAUTHORISED
        assert await service.report_checks("0" * 32, address=ADDRESS, body=FAILED) is Refusal.UNKNOWN
        assert await state(services) == (InstallState.LOADING, True)

    with_services(scenario)


def test_the_installer_of_the_first_node_probes_the_virtual_ip_and_others_do_not(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await boots(services)
        tokens = (await services.install_moves.read(CP1)).tokens
        served = services.document_service.serve_kickstart
        probe = "holder 192.0.2.100 "
        first = await served(tokens.kickstart, ADDRESS, base_url=BASE_URL)
        assert probe in str(first)

        role = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        joins = role.with_name("controlplane-join.ign")  # type: ignore[union-attr]
        services.change_host("cp1", ignition=joins)
        assert probe not in str(await served(tokens.kickstart, ADDRESS, base_url=BASE_URL))

    with_services(scenario)


def test_a_token_in_a_report_is_stored_nowhere(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token = await boots(services)
        body = FAILED.replace("no disk fits", f"http://192.0.2.10/report/{token} failed").replace("sdb", token)

        assert await checks(services, token, body) == [f"http://192.0.2.10/report/{HIDDEN_TOKEN} failed"]

        stored = [str(event.data) for event in await services.events()]
        stored += [move.note for move in await services.install_moves.history(CP1)]
        assert not [text for text in stored if token in text]

    with_services(scenario)
