"""A power-on that a rollout requested and withdraws: it is not sent, and one that was sent is left."""

import asyncio
from dataclasses import replace

from fixtures.fake_bmcs import FakeBmcs, bmc_error
from fixtures.services import BuiltServices, WithServices

from netboot.events.activity import ActivityLog
from netboot.model.actor import Actor, Source
from netboot.model.bmc.bmc import Bmc, NetworkBoot
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.operate.power.power_request import PowerRequest
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.power.power_sender import PowerSender
from netboot.operate.rollout.decision import person_texts
from netboot.operate.rollout.decision.person_texts import ToPress
from netboot.operate.rollout.machine_power import BmcPower
from netboot.store.power.power_intents import PowerIntents
from netboot.telemetry.metrics import Metrics

W1 = HostName("w1")
ACTOR = Actor("uid 0", Source.ROLLOUT)


def requests_of(services: BuiltServices, bmcs: FakeBmcs) -> PowerRequests:
    services.change_host("w1", bmc=Bmc("https://w1.example"))
    sender = PowerSender(
        bmcs,
        PowerIntents(services.database),
        services.install_moves,
        services.event_bus,
        hosts=services.registry.hosts,
        boot_uri=lambda _host: "http://192.0.2.10/a.efi",
        store_events=services.event_log.flush,
        metrics=Metrics(),
        clock=services.clock,
        observed={},
    )
    activity = ActivityLog(services.database)
    return PowerRequests(
        sender, activity=activity, owner="a", running_ids=lambda: ["a"], is_shared=False, new_id=lambda: "1"
    )


def test_a_power_on_that_was_not_sent_is_cancelled_and_its_request_ends(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        bmcs = FakeBmcs()
        requests = requests_of(services, bmcs)
        power = BmcPower(requests, services.registry.hosts)
        [intent] = await requests.request(PowerRequest(["w1"], PowerAction.PXE, id="r-1"), actor=ACTOR)
        waiting = asyncio.create_task(power.power_on_to_network(W1, request_id="r-1", actor=ACTOR))

        await power.withdraw("r-1", reason="rollout 1")
        text = await asyncio.wait_for(waiting, 10)
        running = asyncio.create_task(requests.run())
        ended = await requests.ended(intent.id, timeout_s=10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert (ended.state, ended.detail) == (IntentState.CANCELLED, "withdrawn: rollout 1")
        assert text is not None
        assert text.text.startswith("its BMC did not power it on (cancelled: withdrawn: rollout 1)")
        assert not text.is_sent
        assert bmcs.of("w1").sent == []
        ends = [event.data for event in await services.events() if event.name == "power.ended"]
        assert [(each["intent"], each["outcome"]) for each in ends] == [("r-1", "cancelled")]

    with_services(scenario)


def test_a_boot_of_which_something_remains_calls_a_person_at_once(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        bmcs = FakeBmcs()
        bmcs.of("w1").remaining = ("put it first",)
        requests = requests_of(services, bmcs)
        services.change_host("w1", bmc=Bmc("https://w1.example", network_boot=NetworkBoot.HTTP_URI))
        running = asyncio.create_task(requests.run())

        text = await BmcPower(requests, services.registry.hosts).power_on_to_network(W1, request_id="r-1", actor=ACTOR)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        what = "the reset was sent, and w1 boots its URL only after this: put it first"
        assert text == ToPress(f"{what}; {person_texts.power_again(W1)}", is_sent=True)
        assert bmcs.of("w1").sent == ["uri http://192.0.2.10/a.efi", "reset on"]

    with_services(scenario)


def test_a_power_on_that_is_sent_or_not_known_is_left(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        requests = requests_of(services, FakeBmcs())
        power, intents = BmcPower(requests, services.registry.hosts), PowerIntents(services.database)
        [intent] = await requests.request(PowerRequest(["w1"], PowerAction.PXE, id="r-1"), actor=ACTOR)
        sending = await intents.move(intent, IntentState.SENDING, at=services.clock.now())

        await power.withdraw("r-1", reason="rollout 1")
        await power.withdraw("r-2", reason="rollout 1")

        assert await intents.get("r-1") == sending

    with_services(scenario)


def test_a_reset_that_was_sent_by_a_killed_daemon_is_not_repeated_and_has_a_command(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        bmcs = FakeBmcs()
        requests = requests_of(services, bmcs)
        intents, at = PowerIntents(services.database), services.clock.now()
        intent = PowerIntent("r-1", W1, PowerAction.PXE, ACTOR, at, network_boot=NetworkBoot.PXE, owner="a")
        assert await intents.add([intent]) == ()
        assert await intents.move(intent, IntentState.SENDING, at=at) is not None
        running = asyncio.create_task(requests.run())

        power = BmcPower(requests, services.registry.hosts)
        text = await asyncio.wait_for(power.power_on_to_network(W1, request_id="r-1", actor=ACTOR), 10)
        sent = [*bmcs.of("w1").sent]
        services.clock.pass_(1)
        [again] = await requests.request(PowerRequest(["w1"], PowerAction.PXE, id="again"), actor=ACTOR)
        ended = await requests.ended(again.id, timeout_s=10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert sent == []
        assert text == ToPress(
            "it is not known whether its BMC powered it on; if it does not boot from the network, do it again "
            "(unknown: netboot ended while it sent the reset: the machine was restarted or not; look at the machine: "
            "netboot power status w1; then request it again if it is needed); netboot power pxe w1, or power the "
            "machine on and let it boot from the network once (often F12 at its start)",
            is_sent=True,
        )
        assert (ended.state, bmcs.of("w1").sent) == (IntentState.DONE, ["once pxe", "reset on"])

    with_services(scenario)


def test_a_bmc_is_examined_with_the_cards_of_its_machine(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        bmcs = FakeBmcs()
        requests = requests_of(services, bmcs)
        power, calls = BmcPower(requests, services.registry.hosts), []

        def refuse(call: str) -> None:
            calls.append(call)
            if call == "verify_host":
                raise bmc_error("w1")

        sound = await power.problem(W1)
        bmcs.of("w1").before = refuse
        found = await power.problem(W1)

        assert sound is None
        assert found == str(bmc_error("w1"))
        assert calls == ["verify_host"]
        assert bmcs.of("w1").sent == []
        assert await power.problem(HostName("cp1")) is None, "it has no BMC"

    with_services(scenario)


def test_a_person_examines_a_machine_first_whose_former_installer_may_write(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        power = BmcPower(requests_of(services, FakeBmcs()), services.registry.hosts)
        await services.install_moves.installs.change(
            W1, lambda install: replace(install, state=InstallState.INSTALLING), at=services.clock.now(), what="test"
        )
        await services.install_moves.arm_all([W1], reason="rollout 1, attempt 2", attempts=1)

        text = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR)

        assert text == ToPress(
            "cannot power pxe: w1 is installing: its installer is writing the disk; wait for its end "
            f"(netboot install watch w1); {person_texts.CHECK_FIRST}"
        )

    with_services(scenario)


def test_a_person_requests_again_what_was_refused_for_another_reason_than_the_machine(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        bmcs = FakeBmcs()
        requests = requests_of(services, bmcs)
        power = BmcPower(requests, services.registry.hosts)
        bmcs.unusable = "sushy is missing"
        without_library = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR)
        bmcs.unusable = None
        await requests.request(PowerRequest(["w1"], PowerAction.CYCLE), actor=Actor("alice", Source.API))
        beside_another = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR)

        assert without_library == ToPress(f"cannot power pxe: sushy is missing; {person_texts.power_again(W1)}")
        assert beside_another == ToPress(
            f"cannot power pxe: power cycle of w1, requested by alice at {services.clock.now():%H:%M:%S}, has not "
            f"ended; netboot power status w1; {person_texts.power_again(W1)}"
        )

    with_services(scenario)


def test_a_person_examines_a_machine_if_it_is_not_known_whether_the_machine_was_powered_on(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        requests = requests_of(services, FakeBmcs())
        power, intents = BmcPower(requests, services.registry.hosts), PowerIntents(services.database)
        [intent] = await requests.request(PowerRequest(["w1"], PowerAction.PXE, id="r-1"), actor=ACTOR)
        sending = await intents.move(intent, IntentState.SENDING, at=services.clock.now())
        assert sending is not None
        under_way = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR, timeout_s=0)
        await intents.move(sending, IntentState.UNKNOWN, at=services.clock.now(), detail="HTTP status 500")
        unknown = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR)

        what = "it is not known whether its BMC powered it on; if it does not boot from the network, do it again"
        assert under_way == ToPress(f"{what} (sending); {person_texts.power_again(W1)}", is_sent=True)
        assert unknown == ToPress(f"{what} (unknown: HTTP status 500); {person_texts.power_again(W1)}", is_sent=True)

    with_services(scenario)


def test_a_power_on_that_a_person_does_in_time_is_not_sent_later(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        requests = requests_of(services, FakeBmcs())
        power, intents = BmcPower(requests, services.registry.hosts), PowerIntents(services.database)

        text = await power.power_on_to_network(W1, request_id="r-1", actor=ACTOR, timeout_s=0)

        assert text == ToPress(
            "its BMC did not power it on (cancelled: withdrawn: it was not sent within 0 s); "
            + person_texts.power_again(W1)
        )
        assert (await intents.get("r-1")).state is IntentState.CANCELLED

    with_services(scenario)
