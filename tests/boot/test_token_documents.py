"""Which document a token returns, to which address, and until when."""

import hashlib
import json
from ipaddress import IPv4Address

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    BuiltServices,
    WithServices,
)

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.token_documents import Refusal, Report
from netboot.errors import StoreError
from netboot.model.boot.offer import InstallPlan
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.model.install.token import Tokens

CP1 = HostName("cp1")


async def boot_the_installer(services: BuiltServices) -> Tokens:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    return (await services.install_moves.read(CP1)).tokens


async def kickstart(services: BuiltServices, token: str) -> str | Refusal:
    return await services.document_service.serve_kickstart(token, ADDRESS, base_url=BASE_URL)


async def ignition(services: BuiltServices, token: str, part: IgnitionPart = IgnitionPart.WRAPPER) -> bytes | Refusal:
    return await services.document_service.serve_ignition(token, part, address=ADDRESS, base_url=BASE_URL)


async def report(services: BuiltServices, token: str, what: Report, body: str = "") -> Refusal | None:
    return await services.document_service.report(token, what, address=ADDRESS, body=body)


async def state(services: BuiltServices) -> InstallState:
    return (await services.install_moves.read(CP1)).state


def test_a_whole_install_from_kickstart_to_ready(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        document = await kickstart(services, tokens.kickstart)
        assert isinstance(document, str)
        assert tokens.report in document
        assert await report(services, tokens.report, Report.STARTED) is None
        assert await report(services, tokens.report, Report.DONE) is None
        assert not (await services.install_moves.read(CP1)).is_armed
        assert isinstance(await ignition(services, tokens.ignition), bytes)
        assert await report(services, tokens.report, Report.READY) is None
        assert await state(services) is InstallState.READY
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer", "script", "kickstart", "installing", "installed", "ignition", "ready"]


def test_three_tokens_open_three_different_documents(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)

        assert len({tokens.kickstart, tokens.ignition, tokens.report}) == 3
        assert await kickstart(services, tokens.ignition) is Refusal.UNKNOWN
        assert await ignition(services, tokens.report) is Refusal.UNKNOWN
        assert await report(services, tokens.kickstart, Report.DONE) is Refusal.UNKNOWN

    with_services(scenario)


def test_the_kickstart_is_dead_once_the_installer_has_started(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await report(services, tokens.report, Report.STARTED)

        assert await kickstart(services, tokens.kickstart) is Refusal.SPENT

    with_services(scenario)


def test_all_documents_are_dead_when_the_install_has_ended(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        for what in (Report.STARTED, Report.DONE, Report.READY):
            await report(services, tokens.report, what)

        assert await kickstart(services, tokens.kickstart) is Refusal.SPENT
        for part in IgnitionPart:
            assert await ignition(services, tokens.ignition, part) is Refusal.SPENT
        assert await report(services, tokens.report, Report.STARTED) is Refusal.SPENT

    with_services(scenario)


def test_a_lost_acknowledgement_is_given_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        for what in (Report.STARTED, Report.STARTED, Report.DONE, Report.DONE, Report.READY, Report.READY):
            assert await report(services, tokens.report, what) is None

        assert await state(services) is InstallState.READY

    with_services(scenario)


def test_an_unauthorised_address_with_a_live_token_is_refused_and_raises_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        documents = services.document_service

        refused = [
            await documents.serve_kickstart(tokens.kickstart, UNKNOWN_ADDRESS, base_url=BASE_URL),
            await documents.serve_ignition(
                tokens.ignition, IgnitionPart.ROLE, address=UNKNOWN_ADDRESS, base_url=BASE_URL
            ),
            await documents.report(tokens.report, Report.DONE, address=UNKNOWN_ADDRESS),
        ]

        assert refused == [Refusal.UNAUTHORISED] * 3
        assert (await services.event_names()).count("boot.alarm_raised") == 3
        assert await state(services) is InstallState.LOADING

    with_services(scenario)


def test_an_unauthorised_address_with_a_spent_token_gets_404_and_raises_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await report(services, tokens.report, Report.READY)

        refused = await services.document_service.serve_kickstart(tokens.kickstart, UNKNOWN_ADDRESS, base_url=BASE_URL)

        assert refused is Refusal.SPENT
        assert "boot.alarm_raised" in await services.event_names()

    with_services(scenario)


def test_a_cancelled_installer_gets_no_kickstart_and_may_not_start(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await services.install_moves.cancel(CP1, reason="wrong host")

        assert await kickstart(services, tokens.kickstart) is Refusal.SPENT
        assert await report(services, tokens.report, Report.STARTED) is Refusal.SPENT

    with_services(scenario)


def test_a_token_of_the_attempt_before_opens_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        first = await boot_the_installer(services)
        services.clock.pass_(300)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)

        assert await kickstart(services, first.kickstart) is Refusal.UNKNOWN
        assert await report(services, first.report, Report.DONE) is Refusal.UNKNOWN

    with_services(scenario)


def test_the_wrapper_names_the_very_bytes_of_its_children(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        wrapper = await ignition(services, tokens.ignition)
        role = await ignition(services, tokens.ignition, IgnitionPart.ROLE)
        overlay = await ignition(services, tokens.ignition, IgnitionPart.OVERLAY)
        assert isinstance(wrapper, bytes)
        assert isinstance(role, bytes)
        assert isinstance(overlay, bytes)

        merged = json.loads(wrapper)["ignition"]["config"]["merge"]

        assert [child["verification"]["hash"] for child in merged] == [
            f"sha512-{hashlib.sha512(part).hexdigest()}" for part in (role, overlay)
        ]
        assert role == services.hosts.get("cp1").ignition.read_bytes()  # type: ignore[union-attr]

    with_services(scenario)


def test_the_children_stay_what_the_wrapper_said_though_the_file_was_replaced(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await ignition(services, tokens.ignition)
        role_file = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        before = role_file.read_bytes()  # type: ignore[union-attr]
        role_file.write_bytes(before.replace(b"nginx_script", b"nginx_scripx"))  # type: ignore[union-attr]

        assert await ignition(services, tokens.ignition, IgnitionPart.ROLE) == before

    with_services(scenario)


def test_the_ignition_of_the_installed_system_ends_the_arming_though_every_report_was_lost(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)

        await ignition(services, tokens.ignition)

        install = await services.install_moves.read(CP1)
        assert (install.state, install.is_armed) == (InstallState.INSTALLED, False)

    with_services(scenario)


def test_a_head_request_for_the_ignition_changes_nothing(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)

        await services.document_service.serve_ignition(
            tokens.ignition, IgnitionPart.WRAPPER, address=ADDRESS, base_url=BASE_URL, is_head=True
        )

        assert await state(services) is InstallState.LOADING

    with_services(scenario)


def test_the_children_are_not_served_before_their_wrapper_or_the_end_of_the_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        for _ in ("while it loads", "while it installs"):
            for child in (IgnitionPart.ROLE, IgnitionPart.OVERLAY):
                assert await ignition(services, tokens.ignition, child) is Refusal.SPENT
            await report(services, tokens.report, Report.STARTED)
        assert isinstance(await ignition(services, tokens.ignition), bytes)
        for child in (IgnitionPart.ROLE, IgnitionPart.OVERLAY):
            assert isinstance(await ignition(services, tokens.ignition, child), bytes)

    with_services(scenario)


def test_a_child_that_is_requested_without_its_wrapper_is_in_the_timeline(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        for what in (Report.STARTED, Report.DONE):
            await report(services, tokens.report, what)
        assert isinstance(await ignition(services, tokens.ignition, IgnitionPart.ROLE), bytes)
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer", "script", "installing", "installed", "ignition"]


def test_a_document_that_two_addresses_of_one_host_request_raises_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        forged = IPv4Address("192.0.2.66")
        services.offer_service.record_address(MAC, forged, exchange=1)
        for address in (forged, forged, ADDRESS, ADDRESS):
            services.offer_service.record_address(MAC, address, exchange=1)
            assert isinstance(
                await services.document_service.serve_kickstart(tokens.kickstart, address, base_url=BASE_URL), str
            )

        alarms = [event.data for event in await services.events() if event.name == "boot.alarm_raised"]
        assert alarms == [
            {"document": "kickstart", "address": str(ADDRESS), "earlier": "192.0.2.66", "reason": "second-address"}
        ]

    with_services(scenario)


@pytest.mark.parametrize(("address", "alarms"), [(UNKNOWN_ADDRESS, 1), (ADDRESS, 0)])
def test_a_boot_that_another_address_begins_while_the_host_installs_raises_an_alarm(
    with_services: WithServices, address: IPv4Address, alarms: int
):
    async def scenario(services: BuiltServices) -> list[dict[str, object]]:
        tokens = await boot_the_installer(services)
        await report(services, tokens.report, Report.STARTED)
        services.boots(FIRMWARE, IPXE, address=address)
        assert isinstance(await services.script_for(MAC, address), InstallPlan)
        return [dict(event.data) for event in await services.events() if event.name == "boot.alarm_raised"]

    alarm = {"document": "script", "address": str(address), "earlier": str(ADDRESS), "reason": "second-address"}
    assert with_services(scenario) == [alarm] * alarms


def test_a_host_that_is_armed_again_may_boot_the_installer_from_another_address(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        for each in (Report.STARTED, Report.DONE):
            await report(services, tokens.report, each)
        await services.install_moves.arm_all([CP1], reason="again", attempts=3)
        services.boots(FIRMWARE, IPXE, address=UNKNOWN_ADDRESS)
        assert isinstance(await services.script_for(MAC, UNKNOWN_ADDRESS), InstallPlan)
        return await services.event_names()

    assert "boot.alarm_raised" not in with_services(scenario)


def test_a_token_that_a_forged_boot_replaced_is_in_the_timeline_of_the_host(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await report(services, tokens.report, Report.STARTED)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)

        assert await report(services, tokens.report, Report.DONE) is Refusal.UNKNOWN
        refused = [(each.host, each.data) for each in await services.events() if each.name == "boot.token_refused"]
        assert refused == [(CP1, {"document": "report", "address": str(ADDRESS), "reason": "unknown-token"})]

    with_services(scenario)


def test_the_tail_of_a_failed_installers_log_stays_in_its_history(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)

        await report(
            services, tokens.report, Report.FAILED, f"inst.ks=http://x/ks/{tokens.kickstart}\nno disk /dev/vda"
        )

        history = await services.install_moves.history(CP1)
        assert history[-1].what == "reported-failed"
        assert history[-1].note == "inst.ks=http://x/ks/TOKEN-HIDDEN\nno disk /dev/vda"
        assert (await services.install_moves.read(CP1)).is_armed

    with_services(scenario)


def test_a_request_may_come_from_any_address_of_its_machine_but_not_from_another_hosts(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        services.offer_service.record_address(OTHER_MAC, UNKNOWN_ADDRESS, exchange=1)

        refused = await services.document_service.serve_kickstart(tokens.kickstart, UNKNOWN_ADDRESS, base_url=BASE_URL)

        assert refused is Refusal.UNAUTHORISED

    with_services(scenario)


def test_noise_instead_of_a_token_costs_no_read_of_the_store(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        async with services.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        assert await kickstart(services, "../../etc/passwd") is Refusal.UNKNOWN

    with_services(scenario)


def test_events_and_history_never_hold_a_token(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await kickstart(services, tokens.kickstart)
        await ignition(services, tokens.ignition)
        await report(services, tokens.report, Report.READY)

        reported = f"{await services.events()} {await services.install_moves.history(CP1)}"

        for token in (tokens.kickstart, tokens.ignition, tokens.report):
            assert token not in reported

    with_services(scenario)


def test_nothing_that_a_terminal_obeys_gets_from_a_report_into_history_and_log(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await report(services, tokens.report, Report.FAILED, "no space\n\x1b]0;owned\x07\ton /dev/vda")

        assert (await services.install_moves.history(CP1))[-1].note == "no space\n\ufffd]0;owned\ufffd\ton /dev/vda"

    with_services(scenario)


def test_a_head_of_a_kickstart_is_no_step_of_the_boot(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        seen = await services.document_service.serve_kickstart(
            tokens.kickstart, ADDRESS, base_url=BASE_URL, is_head=True
        )
        assert seen == await kickstart(services, tokens.kickstart)
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer", "script", "kickstart"]


def test_requests_that_are_repeated_repeat_no_line_of_the_timeline(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        tokens = await boot_the_installer(services)
        for _ in range(3):
            await kickstart(services, tokens.kickstart)
        for event in (Report.STARTED, Report.STARTED, Report.DONE, Report.DONE):
            assert await report(services, tokens.report, event) is None
        for _ in range(3):
            await ignition(services, tokens.ignition)
        for _ in range(2):
            assert await report(services, tokens.report, Report.READY) is None
        return [event.step for event in await services.events() if event.step]

    assert with_services(scenario) == ["offer", "script", "kickstart", "installing", "installed", "ignition", "ready"]


def test_the_kickstart_of_the_next_boot_is_a_step_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[str]:
        await kickstart(services, (await boot_the_installer(services)).kickstart)
        services.clock.pass_(300)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        await kickstart(services, (await services.install_moves.read(CP1)).tokens.kickstart)
        return [event.step for event in await services.events() if event.step == "kickstart"]

    assert with_services(scenario) == ["kickstart", "kickstart"]


@pytest.mark.parametrize(("address", "name"), [(ADDRESS, "boot.token_refused"), (UNKNOWN_ADDRESS, "boot.alarm_raised")])
def test_a_dead_token_that_is_requested_again_and_again_is_one_event_and_a_count(
    with_services: WithServices, address: IPv4Address, name: str
):
    async def scenario(services: BuiltServices) -> list[object]:
        tokens = await boot_the_installer(services)
        await services.install_moves.cancel(CP1, reason="wrong host")
        for _ in range(100):
            refused = await services.document_service.serve_kickstart(tokens.kickstart, address, base_url=BASE_URL)
            assert refused is Refusal.SPENT
        services.clock.pass_(61)
        return [event.data.get("count") for event in await services.events() if event.name == name]

    assert with_services(scenario) == [None, 99]


def test_documents_that_are_held_back_are_one_event_of_each_address_and_a_count(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[str | None, object, object]]:
        services.boots(FIRMWARE)
        for address in (ADDRESS, UNKNOWN_ADDRESS) * 50:
            services.document_service.record_held_back("kickstart", address, StoreError("the disk is full"))
        services.clock.pass_(61)
        found = [event for event in await services.events() if event.name == "boot.document_held_back"]
        return [(event.host, event.data["address"], event.data.get("count")) for event in found]

    assert with_services(scenario) == [
        ("cp1", "192.0.2.50", None),
        (None, "192.0.2.66", None),
        ("cp1", "192.0.2.50", 49),
        (None, "192.0.2.66", 49),
    ]


def test_what_a_host_was_served_last_is_kept_without_tokens_and_without_its_role(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await kickstart(services, tokens.kickstart)
        await report(services, tokens.report, Report.STARTED)
        await report(services, tokens.report, Report.DONE)
        for part in IgnitionPart:
            await ignition(services, tokens.ignition, part)
        await services.database.finished()

        kept = {each.kind.value: each for each in await services.served.of(CP1)}

        assert kept.keys() == {"script", "kickstart", "overlay", "role"}
        assert {each.mac for each in kept.values()} == {MAC}
        assert [each.base_url for each in kept.values()].count(BASE_URL) == 3
        assert kept["role"].text is None
        for kind in ("script", "kickstart", "overlay"):
            text = kept[kind].text
            assert text is not None
            assert "TOKEN-HIDDEN" in text
            assert not any(token in text for token in (tokens.kickstart, tokens.ignition, tokens.report))

    with_services(scenario)


def test_a_head_request_and_a_refused_one_leave_no_record(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        tokens = await boot_the_installer(services)
        await services.document_service.serve_kickstart(tokens.kickstart, ADDRESS, base_url=BASE_URL, is_head=True)
        await services.document_service.serve_kickstart(tokens.kickstart, UNKNOWN_ADDRESS, base_url=BASE_URL)
        await services.database.finished()

        assert [each.kind.value for each in await services.served.of(CP1)] == ["script"]

    with_services(scenario)


def test_an_ignition_that_is_requested_again_a_minute_later_shows_a_restart(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[object]:
        tokens = await boot_the_installer(services)
        for what in (Report.STARTED, Report.DONE):
            await report(services, tokens.report, what)
        for pause_s in (0, 20, 100):
            services.clock.pass_(pause_s)
            await ignition(services, tokens.ignition)
            await ignition(services, tokens.ignition, IgnitionPart.ROLE)
        return [dict(event.data) for event in await services.events() if event.name == "boot.ignition_repeated"]

    assert with_services(scenario) == [{"address": str(ADDRESS), "seconds": 120}]
