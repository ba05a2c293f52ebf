"""A machine that is not the one of its MAC: the alarms, and armed installs that wait for a person."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

from fixtures.services import (
    ADDRESS,
    FIRMWARE,
    IPXE,
    MAC,
    OTHER_ADDRESS,
    OTHER_MAC,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.token_documents import Refusal, Report
from netboot.errors import TransitionError
from netboot.model.actor import Actor, Source
from netboot.model.boot.machine_facts import MachineFact
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, ScriptPlan, UnknownHosts, WaitPlan
from netboot.model.boot.reasons import explain
from netboot.model.host.host import HostName, InstallRequire
from netboot.model.host.mac import Mac
from netboot.model.install.install import InstallState
from netboot.model.install.machine_identity import (
    HoldReason,
    Identity,
    IdentitySource,
    KnownIdentity,
    RecordedIdentity,
)
from netboot.model.urls import LONGEST_BASE_URL

CP1 = HostName("cp1")
UUID_1, UUID_2 = UUID("4c4c4544-0042-3510-8052-b4c04f4e3332"), UUID("4c4c4544-0042-3510-8052-b4c04f4e3333")
FACTS_1 = {MachineFact.UUID: str(UUID_1), MachineFact.SERIAL: "7XK1"}
FACTS_2 = {MachineFact.UUID: str(UUID_2), MachineFact.SERIAL: "7XK2"}
KNOWN = Identity(MAC, str(ADDRESS), str(UUID_1), "7XK1", is_reported=True)
CHECKS = "netboot-checks 1\nfirmware pass UEFI\ndisk pass sda\nmembers pass none\n"


async def arm(services: BuiltServices) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)


def boots(services: BuiltServices, uuid: UUID | None, mac: Mac = MAC, address: IPv4Address = ADDRESS) -> None:
    """Let a machine announce itself as firmware and as iPXE, some minutes after the boot before."""
    shown = None if uuid is None else uuid.bytes_le
    services.boots(*(replace(each, mac=mac, uuid=shown) for each in (FIRMWARE, IPXE)), address=address)


async def script(
    services: BuiltServices,
    facts: Any = None,
    *,
    mac: Mac = MAC,
    address: IPv4Address = ADDRESS,
    language: ScriptLanguage = ScriptLanguage.IPXE,
) -> ScriptPlan:
    return (
        await services.script_service.serve_script(mac, address, language, base_url=LONGEST_BASE_URL, facts=facts or {})
    ).plan


async def install(services: BuiltServices, uuid: UUID | None = UUID_1) -> None:
    """Install cp1 once, by a machine that reports UUID and serial number in its checks."""
    await arm(services)
    boots(services, uuid)
    assert isinstance(await script(services), InstallPlan)
    await report(services, f"{CHECKS}identity pass UUID {uuid}, serial 7XK1\n")
    services.clock.pass_(3600)


async def report(services: BuiltServices, checks: str) -> Refusal | None:
    """Report the checks, the start, the end and that the system is up."""
    documents, token = services.document_service, (await services.install_moves.read(CP1)).tokens.report
    await documents.report_checks(token, address=ADDRESS, body=checks)
    for each in (Report.STARTED, Report.DONE, Report.READY):
        refusal = await documents.report(token, each, address=ADDRESS)
        if refusal is not None:
            return refusal
    return None


async def alarms(services: BuiltServices) -> list[tuple[str | None, str, str, str]]:
    return [
        (event.host, event.data["reason"], event.data["shown"], event.data["expected"])
        for event in await services.events()
        if event.name == "boot.alarm_raised"
    ]


async def known(services: BuiltServices) -> KnownIdentity:
    return (await services.install_moves.read(CP1)).identity


def waits(plan: ScriptPlan) -> str:
    return plan.reason.value if isinstance(plan, WaitPlan) else type(plan).__name__


def test_an_installed_machine_is_recorded_and_installed_again_without_a_word(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        recorded = (await known(services)).recorded
        await arm(services)
        boots(services, UUID(bytes_le=UUID_1.bytes))  # its firmware shows the other byte order by now

        plan = await script(services)

        assert recorded is not None
        assert (recorded.identity, recorded.source) == (KNOWN, IdentitySource.INSTALL)
        assert isinstance(plan, InstallPlan)
        assert await alarms(services) == []

    with_services(scenario)


def test_a_replaced_mainboard_waits_for_a_person_and_goes_on_after_the_confirmation(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_2)

        first = await script(services)
        second = await script(services, FACTS_2)
        before = await services.install_moves.read(CP1)
        third = await script(services, FACTS_2)
        change = await services.install_moves.confirm(
            CP1,
            before.hold.id,
            reason="new mainboard",
            actor=Actor("ann", Source.COMMAND),  # type: ignore[union-attr]
        )
        fourth = await script(services, FACTS_2)

        assert [waits(each) for each in (first, second, third, fourth)] == ["identity", "held", "held", "InstallPlan"]
        assert before.hold is not None
        assert before.hold.reason is HoldReason.OTHER_MACHINE
        assert (before.hold.expected, before.arming.spent) == (KNOWN, 0)  # type: ignore[union-attr]
        assert change.after.identity.recorded.identity.serial == "7XK2"  # type: ignore[union-attr]
        shown, reported = f"MAC {MAC}, UUID {UUID_2}", f"MAC {MAC}, address {ADDRESS}, UUID {UUID_2}, serial 7XK2"
        assert await alarms(services) == [
            ("cp1", "other-machine", shown, str(KNOWN)),
            ("cp1", "other-machine", reported, str(KNOWN)),
        ]
        moves = [(each.what, each.actor) for each in await services.install_moves.history(CP1)][-3:]
        assert moves == [("held", None), ("confirmed", Actor("ann", Source.COMMAND)), ("script-sent", None)]

    with_services(scenario)


def test_a_forged_dhcp_request_raises_an_alarm_and_holds_no_machine_that_reports_what_is_recorded(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_1)
        services.offer(replace(FIRMWARE, uuid=UUID_2.bytes_le))  # from another machine, with the MAC of cp1

        plans = [await script(services), await script(services, FACTS_1)]

        assert [waits(each) for each in plans] == ["identity", "InstallPlan"]
        assert {reason for _, reason, _, _ in await alarms(services)} == {"two-machines", "other-machine"}
        assert (await known(services)).recorded == RecordedIdentity(
            KNOWN, services.clock.now().replace(hour=0, minute=16, second=40), IdentitySource.INSTALL
        )

    with_services(scenario)


def test_an_unarmed_machine_with_another_uuid_boots_its_disk_and_raises_an_alarm(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        for _ in range(2):  # it repeats its request
            boots(services, UUID_2)
            plan = await script(services, FACTS_2)

        assert isinstance(plan, LocalBootPlan)
        assert {each[:2] for each in await alarms(services)} == {("cp1", "other-machine")}
        assert (await known(services)).hold is None

    with_services(scenario)


def test_a_grub_that_reports_nothing_is_held_by_its_dhcp_requests_once_in_an_arming(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_2)

        held = await script(services, language=ScriptLanguage.GRUB)
        await services.install_moves.confirm(CP1, None, reason="")
        boots(services, UUID_1)  # any machine can forge it
        boots(services, UUID_2)
        led = await script(services, language=ScriptLanguage.GRUB)

        assert (waits(held), waits(led)) == ("held", "InstallPlan")

    with_services(scenario)


def test_two_machines_with_one_mac_hold_the_first_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        boots(services, UUID_1)
        services.clock.pass_(100)
        boots(services, UUID_2)

        plans = [await script(services), await script(services, FACTS_2)]
        hold = (await known(services)).hold

        assert [waits(each) for each in plans] == ["identity", "held"]
        assert hold is not None
        assert (hold.reason, hold.expected) == (HoldReason.TWO_MACHINES, Identity(MAC, uuid=str(UUID_1)))

    with_services(scenario)


def test_a_second_machine_under_one_arming_waits_and_the_tokens_of_the_first_end_when_it_is_confirmed(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        boots(services, UUID_1)
        first = await script(services, FACTS_1)
        services.clock.pass_(1000)
        boots(services, UUID_2)
        second = await script(services, FACTS_2)
        tokens = (await services.install_moves.read(CP1)).tokens

        change = await services.install_moves.confirm(CP1, None, reason="")

        assert (waits(first), waits(second)) == ("InstallPlan", "held")
        assert tokens.kickstart == first.kickstart_token  # type: ignore[union-attr]
        assert (change.before.hold.reason, change.after.tokens.kickstart) == (HoldReason.TWO_MACHINES, "")  # type: ignore[union-attr]

    with_services(scenario)


def test_another_card_than_at_the_last_install_waits_for_a_person(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        card = Mac.parse("52:54:00:aa:bb:31")
        services.change_host("cp1", macs=(MAC, card))
        await install(services)
        await arm(services)
        boots(services, UUID_1, mac=card)

        held = await script(services, mac=card)
        hold = (await known(services)).hold
        await services.install_moves.cancel(CP1, reason="a wrong cable")

        assert waits(held) == "held"
        assert hold is not None
        assert hold.what == f"it boots from its card {card}, and booted from {MAC} when it was installed last"
        assert isinstance(await script(services, mac=card), LocalBootPlan)
        assert [each[1] for each in await alarms(services)] == ["other-card"] * 1
        assert (await known(services)).recorded.identity.mac == MAC  # type: ignore[union-attr]

    with_services(scenario)


def test_a_machine_of_a_host_with_an_unregistered_card_names_the_host(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        services.use(policy=replace(services.policy, unknown=UnknownHosts.WAIT))

        boots(services, UUID_1, mac=UNKNOWN_MAC, address=UNKNOWN_ADDRESS)

        assert await alarms(services) == [
            ("cp1", "machine-of-host", f"MAC {UNKNOWN_MAC}, UUID {UUID_1}", str(KNOWN)),
        ]
        event = [each for each in await services.events() if each.name == "boot.alarm_raised"][-1]
        explained = explain(event.name, event.data, host="cp1")
        assert explained is not None
        assert explained.sentence == (
            f"the machine of cp1 boots from a card that is not registered: seen MAC {UNKNOWN_MAC}, UUID {UUID_1}; "
            f"before {KNOWN}"
        )

    with_services(scenario)


def test_a_uuid_that_two_hosts_have_names_neither(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        actor = Actor("ann", Source.COMMAND)
        twins = {CP1: Identity(MAC, uuid=str(UUID_1)), HostName("w1"): Identity(OTHER_MAC, uuid=str(UUID_1))}
        await services.install_moves.identify(twins, actor=actor)

        boots(services, UUID_1, mac=UNKNOWN_MAC, address=UNKNOWN_ADDRESS)
        boots(services, UUID_1)
        boots(services, UUID_1, mac=OTHER_MAC, address=OTHER_ADDRESS)

        assert await alarms(services) == []

    with_services(scenario)


def test_a_machine_without_an_identity_is_installed_as_before(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        placeholder = UUID("03000200-0400-0500-0006-000700080009")
        await install(services, placeholder)
        await arm(services)
        boots(services, None)
        boots(services, UUID_1)

        assert isinstance(await script(services), InstallPlan)
        assert await alarms(services) == []

    with_services(scenario)


def test_an_approval_shows_the_machine_and_lets_each_arming_go_on_once(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.use(policy=replace(services.policy, requires=InstallRequire.APPROVAL))
        for number in range(2):
            await arm(services)
            boots(services, UUID_1)
            held = [await script(services), await script(services, FACTS_1)]
            hold = (await known(services)).hold
            await services.install_moves.confirm(CP1, None, reason="it is the one")
            led = await script(services)
            boots(services, UUID_1)  # its second boot of this arming
            again = await script(services, FACTS_1)
            assert await report(services, CHECKS) is None
            services.clock.pass_(3600)

            assert [waits(each) for each in (*held, led, again)] == ["held", "held", "InstallPlan", "InstallPlan"]
            assert hold is not None
            assert (hold.reason, hold.shown) == (HoldReason.APPROVAL, KNOWN), number
        assert await alarms(services) == []

    with_services(scenario)


def test_one_confirmation_is_enough_after_a_forged_dhcp_request_and_covers_no_other_machine(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        services.use(policy=replace(services.policy, requires=InstallRequire.APPROVAL))
        await arm(services)
        boots(services, None)  # its firmware shows no UUID by DHCP
        services.offer(replace(FIRMWARE, uuid=UUID_2.bytes_le))  # from another machine, with the MAC of cp1
        held = [await script(services)]
        forged = (await known(services)).hold
        held += [await script(services, FACTS_1), await script(services, FACTS_2)]
        hold = (await known(services)).hold
        refused = ""
        try:
            await services.install_moves.confirm(CP1, forged.id if forged else "", reason="")
        except TransitionError as error:
            refused = str(error)

        await services.install_moves.confirm(CP1, hold.id if hold else "", reason="")
        other = await script(services, FACTS_2)
        await services.install_moves.cancel(CP1, reason="")
        await arm(services)
        boots(services, UUID_1)
        held += [await script(services, FACTS_1)]
        await services.install_moves.confirm(CP1, None, reason="")
        led = await script(services, FACTS_1)

        assert [waits(each) for each in (*held, other, led)] == [*["held"] * 5, "InstallPlan"]
        assert forged is not None
        assert hold is not None
        assert (forged.reason, forged.shown.uuid) == (HoldReason.APPROVAL, str(UUID_2))
        by_dhcp = Identity(MAC, uuid=str(UUID_2))
        assert (hold.reason, hold.shown, hold.expected) == (HoldReason.TWO_MACHINES, KNOWN, by_dhcp)
        assert hold.since == forged.since
        assert refused == "the machine of cp1 shows something else by now; read it: netboot install show cp1"
        assert await report(services, f"{CHECKS}identity pass UUID {UUID_1}, serial 7XK1\n") is None
        assert [each[1] for each in await alarms(services)].count("two-machines") > 0

    with_services(scenario)


def test_a_second_machine_that_reports_under_a_hold_is_an_alarm_and_does_not_change_what_is_confirmed(
    with_services: WithServices,
):
    async def scenario(services: BuiltServices) -> None:
        services.use(policy=replace(services.policy, requires=InstallRequire.APPROVAL))
        await arm(services)
        boots(services, None)  # neither firmware shows a UUID by DHCP
        held = [await script(services, FACTS_2)]  # it was first with the address of cp1
        hold = (await known(services)).hold
        held += [await script(services, FACTS_1), await script(services, FACTS_1), await script(services, FACTS_2)]

        assert [waits(each) for each in held] == ["held"] * 4
        assert (await known(services)).hold == hold is not None
        other = Identity(MAC, str(ADDRESS), str(UUID_2), "7XK2", is_reported=True)
        assert await alarms(services) == [("cp1", "two-machines", str(KNOWN), str(other))]

    with_services(scenario)


def test_a_held_machine_that_reports_what_is_recorded_stays_held_and_is_what_is_confirmed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_2)  # forged
        held = [await script(services, language=ScriptLanguage.GRUB), await script(services, FACTS_1)]
        hold = (await known(services)).hold
        await services.install_moves.confirm(CP1, None, reason="")

        led = await script(services, FACTS_1)

        assert [waits(each) for each in (*held, led)] == ["held", "held", "InstallPlan"]
        assert hold is not None
        assert hold.what == f"two machines have MAC {MAC}: UUID {UUID_1} instead of {UUID_2}"
        assert (await known(services)).recorded.identity == KNOWN  # type: ignore[union-attr]

    with_services(scenario)


def test_nothing_is_approved_while_its_arming_was_cancelled_and_set_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        services.change_host("cp1", install_require=InstallRequire.APPROVAL)
        await arm(services)
        boots(services, UUID_1)
        await script(services)
        await services.install_moves.confirm(CP1, None, reason="")
        await services.install_moves.cancel(CP1, reason="")
        await arm(services)

        assert waits(await script(services)) == "held"

    with_services(scenario)


def test_an_installer_that_finds_another_machine_waits_before_it_writes(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_1)  # a UUID that many machines have, and that is no known placeholder
        assert isinstance(await script(services), InstallPlan)
        token = (await services.install_moves.read(CP1)).tokens.report
        documents = services.document_service
        checks = f"{CHECKS}identity pass UUID {UUID_1}, serial 7XK2\n"

        accepted = await documents.report_checks(token, address=ADDRESS, body=checks)
        started = await documents.report(token, Report.STARTED, address=ADDRESS)
        await services.install_moves.confirm(CP1, None, reason="")
        after = await documents.report(token, Report.STARTED, address=ADDRESS)

        assert (accepted, started, after) == ([], Refusal.HELD, None)
        assert (await services.install_moves.read(CP1)).state is InstallState.INSTALLING
        assert [each[1] for each in await alarms(services)] == ["other-machine"]

    with_services(scenario)


def test_a_cancelled_installer_that_waited_is_refused(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_1)
        await script(services)
        token = (await services.install_moves.read(CP1)).tokens.report
        checks = f"{CHECKS}identity pass UUID {UUID_2}, serial 7XK2\n"
        await services.document_service.report_checks(token, address=ADDRESS, body=checks)
        await services.install_moves.cancel(CP1, reason="another machine")

        refused = await services.document_service.report(token, Report.STARTED, address=ADDRESS)

        assert refused is Refusal.SPENT
        assert (await known(services)).recorded.identity == KNOWN  # type: ignore[union-attr]

    with_services(scenario)


def test_a_request_from_another_address_neither_holds_nor_completes(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await install(services)
        await arm(services)
        boots(services, UUID_1)

        await script(services, FACTS_2, address=UNKNOWN_ADDRESS)

        assert (await known(services)).hold is None
        assert isinstance(await script(services, FACTS_1), InstallPlan)

    with_services(scenario)


def test_a_host_that_is_not_held_cannot_be_confirmed(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        refused = ""
        try:
            await services.install_moves.confirm(CP1, None, reason="")
        except TransitionError as error:
            refused = str(error)

        assert refused == "cp1 is not held: nothing is to be confirmed; netboot install show cp1"

    with_services(scenario)
