"""What a token opens, for whom, and until when."""

import hashlib
import json
from ipaddress import IPv4Address

import pytest
from fixtures.house import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_MAC,
    STRANGER_ADDRESS,
    House,
    InHouse,
)

from netboot.boot.token_documents import IgnitionPart, Refusal, Report
from netboot.errors import StoreError
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState, Tokens

CP1 = HostName("cp1")


async def boot_the_installer(house: House) -> Tokens:
    await house.book.arm(CP1, reason="test", attempts=3)
    house.boots(FIRMWARE, IPXE)
    await house.desk.script_for(MAC, ADDRESS)
    return (await house.book.ask(CP1)).tokens


async def kickstart(house: House, token: str) -> str | Refusal:
    return await house.token_desk.kickstart_for(token, ADDRESS, base_url=BASE_URL)


async def ignition(house: House, token: str, part: IgnitionPart = IgnitionPart.WRAPPER) -> bytes | Refusal:
    return await house.token_desk.ignition_for(token, part, address=ADDRESS, base_url=BASE_URL)


async def report(house: House, token: str, what: Report, body: str = "") -> Refusal | None:
    return await house.token_desk.report(token, what, address=ADDRESS, body=body)


async def state(house: House) -> InstallState:
    return (await house.book.ask(CP1)).state


def test_a_whole_install_from_kickstart_to_ready(in_house: InHouse):
    async def scenario(house: House) -> list[str]:
        tokens = await boot_the_installer(house)
        document = await kickstart(house, tokens.kickstart)
        assert isinstance(document, str)
        assert tokens.report in document
        assert await report(house, tokens.report, Report.STARTED) is None
        assert await report(house, tokens.report, Report.DONE) is None
        assert not (await house.book.ask(CP1)).is_armed
        assert isinstance(await ignition(house, tokens.ignition), bytes)
        assert await report(house, tokens.report, Report.READY) is None
        assert await state(house) is InstallState.READY
        return [event.step for event in await house.events() if event.step]

    assert in_house(scenario) == ["offer", "script", "kickstart", "installing", "installed", "ignition", "ready"]


def test_three_tokens_open_three_different_documents(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)

        assert len({tokens.kickstart, tokens.ignition, tokens.report}) == 3
        assert await kickstart(house, tokens.ignition) is Refusal.UNKNOWN
        assert await ignition(house, tokens.report) is Refusal.UNKNOWN
        assert await report(house, tokens.kickstart, Report.DONE) is Refusal.UNKNOWN

    in_house(scenario)


def test_the_kickstart_is_dead_once_the_installer_has_started(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await report(house, tokens.report, Report.STARTED)

        assert await kickstart(house, tokens.kickstart) is Refusal.SPENT

    in_house(scenario)


def test_all_documents_are_dead_when_the_install_has_ended(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        for what in (Report.STARTED, Report.DONE, Report.READY):
            await report(house, tokens.report, what)

        assert await kickstart(house, tokens.kickstart) is Refusal.SPENT
        for part in IgnitionPart:
            assert await ignition(house, tokens.ignition, part) is Refusal.SPENT
        assert await report(house, tokens.report, Report.STARTED) is Refusal.SPENT

    in_house(scenario)


def test_a_lost_acknowledgement_is_given_again(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        for what in (Report.STARTED, Report.STARTED, Report.DONE, Report.DONE, Report.READY, Report.READY):
            assert await report(house, tokens.report, what) is None

        assert await state(house) is InstallState.READY

    in_house(scenario)


def test_a_stranger_with_a_live_token_is_refused_and_raises_an_alarm(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        ask = house.token_desk

        refused = [
            await ask.kickstart_for(tokens.kickstart, STRANGER_ADDRESS, base_url=BASE_URL),
            await ask.ignition_for(tokens.ignition, IgnitionPart.ROLE, address=STRANGER_ADDRESS, base_url=BASE_URL),
            await ask.report(tokens.report, Report.DONE, address=STRANGER_ADDRESS),
        ]

        assert refused == [Refusal.STRANGER] * 3
        assert (await house.event_names()).count("boot.alarm_raised") == 3
        assert await state(house) is InstallState.LOADING

    in_house(scenario)


def test_a_stranger_with_a_spent_token_learns_nothing_but_raises_an_alarm(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await report(house, tokens.report, Report.READY)

        refused = await house.token_desk.kickstart_for(tokens.kickstart, STRANGER_ADDRESS, base_url=BASE_URL)

        assert refused is Refusal.SPENT
        assert "boot.alarm_raised" in await house.event_names()

    in_house(scenario)


def test_a_cancelled_installer_gets_no_kickstart_and_may_not_start(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await house.book.cancel(CP1, reason="wrong host")

        assert await kickstart(house, tokens.kickstart) is Refusal.SPENT
        assert await report(house, tokens.report, Report.STARTED) is Refusal.SPENT

    in_house(scenario)


def test_a_token_of_the_attempt_before_opens_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        first = await boot_the_installer(house)
        house.clock.pass_(300)
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)

        assert await kickstart(house, first.kickstart) is Refusal.UNKNOWN
        assert await report(house, first.report, Report.DONE) is Refusal.UNKNOWN

    in_house(scenario)


def test_the_wrapper_names_the_very_bytes_of_its_children(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        wrapper = await ignition(house, tokens.ignition)
        role = await ignition(house, tokens.ignition, IgnitionPart.ROLE)
        overlay = await ignition(house, tokens.ignition, IgnitionPart.OVERLAY)
        assert isinstance(wrapper, bytes)
        assert isinstance(role, bytes)
        assert isinstance(overlay, bytes)

        merged = json.loads(wrapper)["ignition"]["config"]["merge"]

        assert [child["verification"]["hash"] for child in merged] == [
            f"sha512-{hashlib.sha512(part).hexdigest()}" for part in (role, overlay)
        ]
        assert role == house.desk.hosts.get("cp1").ignition.read_bytes()  # type: ignore[union-attr]

    in_house(scenario)


def test_the_children_stay_what_the_wrapper_said_though_the_file_was_replaced(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await ignition(house, tokens.ignition)
        role_file = house.desk.hosts.get("cp1").ignition  # type: ignore[union-attr]
        before = role_file.read_bytes()  # type: ignore[union-attr]
        role_file.write_bytes(before.replace(b"nginx_script", b"nginx_scripx"))  # type: ignore[union-attr]

        assert await ignition(house, tokens.ignition, IgnitionPart.ROLE) == before

    in_house(scenario)


def test_the_ignition_of_the_installed_system_ends_the_arming_though_every_report_was_lost(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)

        await ignition(house, tokens.ignition)

        install = await house.book.ask(CP1)
        assert (install.state, install.is_armed) == (InstallState.INSTALLED, False)

    in_house(scenario)


def test_a_look_at_the_ignition_moves_nothing(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)

        await house.token_desk.ignition_for(
            tokens.ignition, IgnitionPart.WRAPPER, address=ADDRESS, base_url=BASE_URL, is_look=True
        )

        assert await state(house) is InstallState.LOADING

    in_house(scenario)


def test_the_tail_of_a_failed_installers_log_stays_in_its_history(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)

        await report(house, tokens.report, Report.FAILED, f"inst.ks=http://x/ks/{tokens.kickstart}\nno disk /dev/vda")

        history = await house.book.history(CP1)
        assert history[-1].what == "reported-failed"
        assert history[-1].note == "inst.ks=http://x/ks/TOKEN-HIDDEN\nno disk /dev/vda"
        assert (await house.book.ask(CP1)).is_armed

    in_house(scenario)


def test_a_machine_may_ask_from_any_of_its_own_addresses_but_not_from_another_hosts(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        house.offer_desk.saw_address(OTHER_MAC, STRANGER_ADDRESS, exchange=1)

        refused = await house.token_desk.kickstart_for(tokens.kickstart, STRANGER_ADDRESS, base_url=BASE_URL)

        assert refused is Refusal.STRANGER

    in_house(scenario)


def test_noise_instead_of_a_token_costs_no_look_into_the_store(in_house: InHouse):
    async def scenario(house: House) -> None:
        async with house.database.transaction() as connection:
            await connection.exec_driver_sql("DROP TABLE installs")

        assert await kickstart(house, "../../etc/passwd") is Refusal.UNKNOWN

    in_house(scenario)


def test_events_and_history_never_hold_a_token(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await kickstart(house, tokens.kickstart)
        await ignition(house, tokens.ignition)
        await report(house, tokens.report, Report.READY)

        told = f"{await house.events()} {await house.book.history(CP1)}"

        for token in (tokens.kickstart, tokens.ignition, tokens.report):
            assert token not in told

    in_house(scenario)


def test_nothing_that_a_terminal_obeys_gets_from_a_report_into_history_and_log(in_house: InHouse):
    async def scenario(house: House) -> None:
        tokens = await boot_the_installer(house)
        await report(house, tokens.report, Report.FAILED, "no space\n\x1b]0;owned\x07\ton /dev/vda")

        assert (await house.book.history(CP1))[-1].note == "no space\n\ufffd]0;owned\ufffd\ton /dev/vda"

    in_house(scenario)


def test_a_head_of_a_kickstart_is_no_step_of_the_boot(in_house: InHouse):
    async def scenario(house: House) -> list[str]:
        tokens = await boot_the_installer(house)
        seen = await house.token_desk.kickstart_for(tokens.kickstart, ADDRESS, base_url=BASE_URL, is_look=True)
        assert seen == await kickstart(house, tokens.kickstart)
        return [event.step for event in await house.events() if event.step]

    assert in_house(scenario) == ["offer", "script", "kickstart"]


def test_requests_that_are_repeated_repeat_no_line_of_the_timeline(in_house: InHouse):
    async def scenario(house: House) -> list[str]:
        tokens = await boot_the_installer(house)
        for _ in range(3):
            await kickstart(house, tokens.kickstart)
        for event in (Report.STARTED, Report.STARTED, Report.DONE, Report.DONE):
            assert await report(house, tokens.report, event) is None
        for _ in range(3):
            await ignition(house, tokens.ignition)
        for _ in range(2):
            assert await report(house, tokens.report, Report.READY) is None
        return [event.step for event in await house.events() if event.step]

    assert in_house(scenario) == ["offer", "script", "kickstart", "installing", "installed", "ignition", "ready"]


def test_the_kickstart_of_the_next_boot_is_a_step_again(in_house: InHouse):
    async def scenario(house: House) -> list[str]:
        await kickstart(house, (await boot_the_installer(house)).kickstart)
        house.clock.pass_(300)
        house.boots(FIRMWARE, IPXE)
        await house.desk.script_for(MAC, ADDRESS)
        await kickstart(house, (await house.book.ask(CP1)).tokens.kickstart)
        return [event.step for event in await house.events() if event.step == "kickstart"]

    assert in_house(scenario) == ["kickstart", "kickstart"]


@pytest.mark.parametrize(
    ("address", "name"), [(ADDRESS, "boot.token_refused"), (STRANGER_ADDRESS, "boot.alarm_raised")]
)
def test_a_dead_token_that_is_requested_again_and_again_is_one_event_and_a_count(
    in_house: InHouse, address: IPv4Address, name: str
):
    async def scenario(house: House) -> list[object]:
        tokens = await boot_the_installer(house)
        await house.book.cancel(CP1, reason="wrong host")
        for _ in range(100):
            refused = await house.token_desk.kickstart_for(tokens.kickstart, address, base_url=BASE_URL)
            assert refused is Refusal.SPENT
        house.clock.pass_(61)
        return [event.data.get("count") for event in await house.events() if event.name == name]

    assert in_house(scenario) == [None, 99]


def test_documents_that_are_held_back_are_one_event_of_each_address_and_a_count(in_house: InHouse):
    async def scenario(house: House) -> list[tuple[str | None, object, object]]:
        house.boots(FIRMWARE)
        for address in (ADDRESS, STRANGER_ADDRESS) * 50:
            house.desk.record_held_back("kickstart", address, StoreError("the disk is full"))
        house.clock.pass_(61)
        found = [event for event in await house.events() if event.name == "boot.document_held_back"]
        return [(event.host, event.data["address"], event.data.get("count")) for event in found]

    assert in_house(scenario) == [
        ("cp1", "192.0.2.50", None),
        (None, "192.0.2.66", None),
        ("cp1", "192.0.2.50", 49),
        (None, "192.0.2.66", 49),
    ]
