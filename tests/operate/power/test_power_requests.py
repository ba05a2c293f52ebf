"""Power actions on hosts: judged, stored before anything is sent, sent once, and recorded with their actor."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from fixtures.fake_bmcs import FakeBmcs, bmc_error
from fixtures.services import BuiltServices, WithServices

from netboot.boot.install_moves import ChangeCause
from netboot.errors import BmcError, StoreError, TransitionError
from netboot.events.activity import ActivityLog
from netboot.model.actor import Actor, Source
from netboot.model.bmc.bmc import Bmc, NetworkBoot
from netboot.model.host.host import Host, HostName
from netboot.model.install.event import Event
from netboot.model.install.install import Install, InstallEvent, InstallState
from netboot.model.power.power import IntentState, PowerAction, PowerIntent, PowerState, ResetAction
from netboot.operate.power import power_readings
from netboot.operate.power import power_requests as module
from netboot.operate.power.boot_lan import NoBootUri
from netboot.operate.power.power_request import ObservedPower, PowerRefusedError, PowerRequest
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.power.power_sender import PowerSender
from netboot.operate.selection import HostSelection
from netboot.store.database import Database
from netboot.store.power.power_intents import PowerIntents
from netboot.telemetry.metrics import Metrics, Reading

CP1, W1 = HostName("cp1"), HostName("w1")
ALICE: Final = Actor("alice", Source.API)
OWN: Final = "this appliance"
A = PowerAction


@dataclass
class Rack:
    """The use cases with two hosts that have a BMC."""

    services: BuiltServices
    bmcs: FakeBmcs
    intents: PowerIntents
    power: PowerRequests

    async def ends_of(self, action: PowerAction, *hosts: str, **options: Any) -> list[PowerIntent]:
        """Request an action, and return its intents when they have ended."""
        requested = await self.power.request(PowerRequest(hosts or ("cp1",), action, **options), actor=ALICE)
        return [await self.end_of(each.id) for each in requested]

    async def end_of(self, intent_id: str) -> PowerIntent:
        found = await self.power.ended(intent_id, timeout_s=10.0)
        assert not found.is_open
        return found

    async def refusal_of(self, action: PowerAction, *hosts: str, **options: Any) -> PowerRefusedError:
        with pytest.raises(PowerRefusedError) as caught:
            await self.power.request(PowerRequest(hosts or ("cp1",), action, **options), actor=ALICE)
        return caught.value

    async def events(self) -> list[Event]:
        return [event for event in await self.services.events() if event.name.startswith("power.")]

    async def become(self, state: InstallState, host: HostName = CP1) -> None:
        def moved(before: Install) -> Install:
            return replace(before, state=state)

        at = self.services.clock.now()
        await self.services.install_moves.installs.change(host, moved, at=at, what="test")


Work = Callable[[Rack], Awaitable[None]]
Left = Callable[[Rack], PowerIntent]


class OvertakenIntents(PowerIntents):
    """A table in which another appliance stores its intents between our judgement and ours."""

    def __init__(self, database: Database, others: Sequence[PowerIntent]) -> None:
        super().__init__(database)
        self._others = others

    async def add(self, intents: Sequence[PowerIntent]) -> Sequence[PowerIntent]:
        await super().add(self._others)
        return await super().add(intents)


def built(
    services: BuiltServices,
    *,
    running: Sequence[str] | None = (OWN,),
    is_shared: bool = False,
    others: Sequence[PowerIntent] = (),
) -> Rack:
    """Build the use cases; `running` are the appliances that run, `others` what another one stores first."""
    for name in (CP1, W1):
        if services.hosts.get(name):
            services.change_host(name, bmc=Bmc(f"https://{name}.example"))
    bmcs = FakeBmcs()
    intents: Any = OvertakenIntents(services.database, others) if others else PowerIntents(services.database)

    async def no_pause(_seconds: float) -> None:
        await asyncio.sleep(0)

    def boot_uri(host: Host) -> str | NoBootUri:
        if host.name != CP1:
            return NoBootUri(f"no URL for {host.name}")
        return f"http://192.0.2.10:8080/boot/{host.mac.hyphenated}/snponly.efi"

    sender = PowerSender(
        bmcs,
        intents,
        services.install_moves,
        services.event_bus,
        hosts=services.registry.hosts,
        boot_uri=boot_uri,
        store_events=services.event_log.flush,
        metrics=Metrics(),
        clock=services.clock,
        observed={},
        pause=no_pause,
    )
    ids = iter(map(str, range(1, 100)))
    power = PowerRequests(
        sender,
        activity=ActivityLog(services.database),
        owner=OWN,
        running_ids=lambda: running,
        is_shared=is_shared,
        new_id=lambda: next(ids),
    )
    return Rack(services, bmcs, intents, power)


def with_rack(
    with_services: WithServices, work: Work, *, left: Left | None = None, others: Sequence[PowerIntent] = ()
) -> None:
    """Run `work` on a rack; `left` makes what a daemon that was killed has left in the store."""

    async def scenario(services: BuiltServices) -> None:
        rack = built(services, others=others)
        if left is not None:
            await rack.intents.add([left(rack)])
        running = asyncio.create_task(rack.power.run())
        try:
            await work(rack)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    with_services(scenario)


@pytest.mark.parametrize(
    ("action", "state", "options", "sent"),
    [
        pytest.param(A.ON, "off", {}, ["reset on"], id="on"),
        pytest.param(A.ON, "on", {}, [], id="on-already"),
        pytest.param(A.OFF, "on", {}, ["reset off"], id="off"),
        pytest.param(A.CYCLE, "on", {}, ["reset cycle"], id="cycle"),
        pytest.param(A.PXE, "on", {}, ["once pxe", "reset cycle"], id="pxe"),
        pytest.param(A.PXE, "off", {"network_boot": NetworkBoot.HTTP}, ["once http", "reset on"], id="pxe-by-http"),
        pytest.param(
            A.PXE,
            "off",
            {"network_boot": NetworkBoot.HTTP_URI},
            ["uri http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/snponly.efi", "reset on"],
            id="pxe-by-a-written-url",
        ),
    ],
)
def test_an_action_is_sent_to_the_bmc_once(with_services: WithServices, action, state, options, sent):
    async def work(rack: Rack) -> None:
        rack.bmcs.of("cp1").power_state = PowerState(state)

        (end,) = await rack.ends_of(action, **options)

        assert end.state is IntentState.DONE
        assert rack.bmcs.of("cp1").sent == sent

    with_rack(with_services, work)


def test_a_boot_of_which_something_remains_to_be_done_is_not_done(with_services: WithServices):
    """A BIOS applies attributes at a restart, and boots them if its boot order permits."""

    async def work(rack: Rack) -> None:
        rack.bmcs.of("cp1").remaining = ("request it again", "put it first")

        (end,) = await rack.ends_of(A.PXE, network_boot=NetworkBoot.HTTP_URI)

        assert (end.state, end.is_open) == (IntentState.INCOMPLETE, False)
        assert end.detail == (
            "the reset was sent, and cp1 boots its URL only after this: request it again; put it first"
        )
        assert rack.bmcs.of("cp1").sent[1:] == ["reset on"]
        last = (await rack.events())[-1]
        assert (last.name, last.data["outcome"], last.data["reason"]) == ("power.failed", "incomplete", end.detail)

    with_rack(with_services, work)


def test_a_host_can_declare_how_it_boots_from_the_network(with_services: WithServices):
    async def work(rack: Rack) -> None:
        rack.services.change_host("cp1", bmc=Bmc("https://cp1.example", network_boot=NetworkBoot.HTTP))

        await rack.ends_of(A.PXE)
        await rack.ends_of(A.PXE, network_boot=NetworkBoot.PXE)

        assert rack.bmcs.of("cp1").sent == ["once http", "reset on", "once pxe", "reset cycle"]

    with_rack(with_services, work)


def test_the_intent_and_its_event_are_stored_before_the_reset_is_sent(with_services: WithServices):
    async def work(rack: Rack) -> None:
        seen, loop = {}, asyncio.get_running_loop()

        async def stored() -> tuple[list[IntentState], list[str]]:
            names = [event.name for event in await rack.services.event_log.after(0)]
            return [each.state for each in await rack.intents.open()], names[-1:]

        def before(call: str) -> None:
            seen[call] = asyncio.run_coroutine_threadsafe(stored(), loop).result(10)

        rack.bmcs.of("cp1").before = before
        await rack.ends_of(A.PXE)

        assert seen["boot_once"][0] == seen["state"][0] == [IntentState.REQUESTED]
        assert seen["power"] == ([IntentState.SENDING], ["power.sent"])

    with_rack(with_services, work)


def test_each_step_of_an_action_is_recorded_with_its_actor(with_services: WithServices):
    async def work(rack: Rack) -> None:
        await rack.ends_of(A.PXE, is_forced=True)

        about = {
            "intent": "1",
            "action": "pxe",
            "network_boot": "pxe",
            "forced": True,
            "actor": "alice",
            "source": "api",
        }
        assert [(event.name, event.host, dict(event.data)) for event in await rack.events()] == [
            ("power.requested", "cp1", about),
            ("power.sent", "cp1", {**about, "reset": "on"}),
            ("power.ended", "cp1", {**about, "outcome": "done", "reason": None}),
        ]

    with_rack(with_services, work)


def test_a_reset_in_the_first_boot_is_refused_for_all_hosts_of_a_request_unless_it_is_forced(
    with_services: WithServices,
):
    async def work(rack: Rack) -> None:
        await rack.become(InstallState.INSTALLED)

        refused = await rack.refusal_of(A.CYCLE, "cp1", "w1")

        first = next(iter(refused.reasons["cp1"]))
        assert first.startswith("cp1 is installed and not ready: a reset in its first boot makes Ignition run again")
        assert str(refused).splitlines() == [
            f"cannot power cycle: {first}",
            "nothing was requested; correct this, or request it anyway with --force",
        ]
        assert await rack.intents.open() == []
        assert [(each.name, each.host, each.data["actor"]) for each in await rack.events()] == [
            ("power.refused", "cp1", "alice")
        ]
        assert [each.state for each in await rack.ends_of(A.CYCLE, "cp1", "w1", is_forced=True)] == [
            IntentState.DONE,
            IntentState.DONE,
        ]

    with_rack(with_services, work)


@pytest.mark.parametrize("state", [InstallState.INSTALLING, InstallState.INSTALLED])
@pytest.mark.parametrize("calls_before", [0, 1])
def test_a_host_whose_install_goes_on_while_its_bmc_is_waited_for_is_not_reset(
    with_services: WithServices, state: InstallState, calls_before: int
):
    """The first call sets the next boot, the second one resets; each may wait minutes for its turn and its login."""

    async def work(rack: Rack) -> None:
        original, calls = rack.bmcs.call, iter(range(9))

        async def call(host: Host, what: Callable[[Any], Any], **_limit: float) -> Any:
            if next(calls) == calls_before:
                await rack.become(state)
            return await original(host, what)

        rack.bmcs.call = call
        (end,) = await rack.ends_of(A.CYCLE)

        assert (end.state, end.sent_at, rack.bmcs.of("cp1").sent) == (IntentState.CANCELLED, None, [])
        assert f"cp1 is {state}" in end.detail
        assert [event.name for event in await rack.events()] == ["power.requested", "power.ended"]

    with_rack(with_services, work)


def test_a_reset_whose_bmc_was_waited_for_too_long_is_not_sent(with_services: WithServices):
    async def work(rack: Rack) -> None:
        original, calls = rack.bmcs.call, iter(range(9))

        async def call(host: Host, what: Callable[[Any], Any], **_limit: float) -> Any:
            if next(calls) == 1:
                rack.services.clock.pass_(601)
            return await original(host, what)

        rack.bmcs.call = call
        (end,) = await rack.ends_of(A.CYCLE, is_forced=True)

        assert (end.state, end.sent_at, rack.bmcs.of("cp1").sent) == (IntentState.CANCELLED, None, [])
        assert end.detail == "it was requested at 2026-11-21 00:16:40 and not sent in time; request it again"

    with_rack(with_services, work)


def announced(original: Callable[..., Any], has_ended: threading.Event) -> Callable[..., Any]:
    """Return the calls of BMCs, of which the first that fails is announced."""

    async def call(*arguments: Any, **options: Any) -> Any:
        try:
            return await original(*arguments, **options)
        except BmcError:
            has_ended.set()
            raise

    return call


def test_a_reset_that_is_judged_when_its_call_has_ended_already_has_failed(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    """The store answers so late that the limit of the call is over: `sending` is stored, and no reset was sent."""

    async def work(rack: Rack) -> None:
        original, is_stored, has_ended = rack.intents.move, threading.Event(), threading.Event()

        async def move(before: PowerIntent, state: IntentState, **options: Any) -> PowerIntent | None:
            stored = await original(before, state, **options)
            if state is IntentState.SENDING:
                is_stored.set()
                await asyncio.to_thread(has_ended.wait, 10)
                for _ in range(200):  # the sender gets the error of the call meanwhile
                    await asyncio.sleep(0)
            return stored

        def power(_action: ResetAction, allow: Callable[[], Future[None]]) -> None:
            allow()
            assert is_stored.wait(10)
            raise bmc_error()

        rack.bmcs.call = announced(rack.bmcs.call, has_ended)
        monkeypatch.setattr(rack.intents, "move", move)
        rack.bmcs.of("cp1").power = power
        (end,) = await rack.ends_of(A.CYCLE)

        assert (end.state, end.detail) == (IntentState.FAILED, str(bmc_error()))
        assert [event.name for event in await rack.events()] == ["power.requested", "power.failed"]

    with_rack(with_services, work)


def test_the_end_of_a_reset_whose_call_ended_while_it_was_recorded_states_that_it_was_not_sent(
    with_services: WithServices,
):
    async def work(rack: Rack) -> None:
        is_recorded, has_ended = threading.Event(), threading.Event()
        flush = rack.services.event_log.flush

        async def store_events() -> None:
            is_recorded.set()
            await asyncio.to_thread(has_ended.wait, 10)
            for _ in range(200):
                await asyncio.sleep(0)
            await flush()

        def power(_action: ResetAction, allow: Callable[[], Future[None]]) -> None:
            allow()
            assert is_recorded.wait(10)
            raise bmc_error()

        rack.bmcs.call = announced(rack.bmcs.call, has_ended)
        rack.power._sender = replace(rack.power._sender, store_events=store_events)
        rack.bmcs.of("cp1").power = power
        (end,) = await rack.ends_of(A.CYCLE)

        untrue = "power.sent was recorded before, and is not true"
        assert (end.state, end.detail) == (IntentState.FAILED, f"{bmc_error()}; {untrue}")
        assert [event.name for event in await rack.events()] == ["power.requested", "power.sent", "power.failed"]

    with_rack(with_services, work)


@pytest.mark.parametrize("thread_late_s", [0.0, 0.2])
def test_a_reset_that_is_judged_at_a_stop_is_requested_still(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch, thread_late_s: float
):
    """The next start continues it; `sending` would be unknown then. The loop may judge before the thread goes on."""
    monkeypatch.setattr(module, "STOP_S", 0.0)
    begin = asyncio.run_coroutine_threadsafe

    def begin_late(judgement: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> Future[None]:
        begun = begin(judgement, loop)
        time.sleep(thread_late_s)
        return begun

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", begin_late)

    async def scenario(services: BuiltServices) -> None:
        rack, original = built(services), services.install_moves.installs.get
        is_judged, goes_on, has_ended = asyncio.Event(), asyncio.Event(), threading.Event()

        async def get(host: HostName) -> Install:
            if rack.bmcs.of("cp1").sent:
                is_judged.set()
                await goes_on.wait()
            return await original(host)

        def power(_action: ResetAction, allow: Callable[[], Future[None]]) -> None:
            rack.bmcs.of("cp1").sent.append("opened")
            try:
                allow().result(10)
            finally:
                has_ended.set()

        monkeypatch.setattr(services.install_moves.installs, "get", get)
        rack.bmcs.of("cp1").power = power
        running = asyncio.create_task(rack.power.run())
        (intent,) = await rack.power.request(PowerRequest(["cp1"], A.CYCLE), actor=ALICE)
        await is_judged.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        goes_on.set()

        assert await asyncio.to_thread(has_ended.wait, 10)
        assert await rack.intents.get(intent.id) == intent

    with_services(scenario)


def test_a_reset_that_is_sent_again_is_judged_again(with_services: WithServices):
    async def work(rack: Rack) -> None:
        machine, loop, sent = rack.bmcs.of("cp1"), asyncio.get_running_loop(), []

        def power(action: ResetAction, allow: Callable[[], Future[None]]) -> None:
            allow().result(10)
            sent.append(action)  # and the BMC answers that it is to be sent again
            asyncio.run_coroutine_threadsafe(rack.become(InstallState.INSTALLING), loop).result(10)
            with pytest.raises(TransitionError):
                allow().result(10)
            raise bmc_error()

        machine.power = power
        (end,) = await rack.ends_of(A.CYCLE)

        assert (end.state, len(sent)) == (IntentState.FAILED, 1)
        assert end.detail.startswith("it was not sent again: cp1 is installing")

    with_rack(with_services, work)


def test_a_reset_that_another_appliance_has_judged_meanwhile_is_not_sent_again(with_services: WithServices):
    async def work(rack: Rack) -> None:
        machine, loop = rack.bmcs.of("cp1"), asyncio.get_running_loop()

        async def taken_over() -> None:
            (mine,) = await rack.intents.open()
            other = await rack.intents.claim(mine, "another")
            await rack.intents.move(other, IntentState.UNKNOWN, at=rack.services.clock.now())

        def power(action: ResetAction, allow: Callable[[], Future[None]]) -> None:
            allow().result(10)
            asyncio.run_coroutine_threadsafe(taken_over(), loop).result(10)
            with pytest.raises(TransitionError):
                allow().result(10)
            raise bmc_error()

        machine.power = power
        (end,) = await rack.ends_of(A.CYCLE)

        assert (end.state, end.owner) == (IntentState.UNKNOWN, "another")

    with_rack(with_services, work)


@pytest.mark.parametrize(
    ("forged", "state"),
    [
        pytest.param([InstallEvent.OFFER_SENT], InstallState.OFFERED, id="a-discover"),
        pytest.param([InstallEvent.SCRIPT_SENT], InstallState.LOADING, id="a-script"),
        pytest.param([InstallEvent.SCRIPT_SENT, InstallEvent.OFFER_SENT], InstallState.OFFERED, id="both"),
        pytest.param([InstallEvent.SCRIPT_SENT, InstallEvent.ATTEMPTS_SPENT], InstallState.FAILED, id="every-boot"),
    ],
)
def test_a_forged_request_for_a_boot_allows_no_reset_while_the_disk_is_written(
    with_services: WithServices, forged: Sequence[InstallEvent], state: InstallState
):
    """Anybody on the boot LAN can send a DISCOVER, or request a script, with the MAC of an armed host."""

    async def work(rack: Rack) -> None:
        moves, clock = rack.services.install_moves, rack.services.clock
        await moves.arm_all([CP1], reason="test", attempts=2)
        await rack.become(InstallState.LOADING)
        await moves.move(CP1, InstallEvent.REPORTED_STARTED, cause=ChangeCause())
        clock.pass_(600)
        for event in forged:
            moved = await moves.move(CP1, event, cause=ChangeCause())
        refused = await rack.refusal_of(A.CYCLE, "cp1")
        shown = {each.action: bool(each.reasons) for each in (await rack.power.of_host("cp1")).actions}
        clock.pass_(3001)
        (later,) = await rack.ends_of(A.CYCLE)

        assert moved.state is state
        what = f"cp1 is {state}, and was installing before: its installer is writing the disk"
        assert refused.reasons["cp1"][0].startswith(what)
        assert shown == {A.ON: False, A.OFF: True, A.CYCLE: True, A.PXE: True}
        assert later.state is IntentState.DONE

    with_rack(with_services, work)


def test_an_arming_that_is_cancelled_allows_no_reset_in_the_first_boot(with_services: WithServices):
    async def work(rack: Rack) -> None:
        moves = rack.services.install_moves
        await moves.arm_all([CP1], reason="test", attempts=2)
        await rack.become(InstallState.LOADING)
        await moves.move(CP1, InstallEvent.REPORTED_DONE, cause=ChangeCause())
        await moves.arm_all([CP1], reason="by mistake", attempts=1)
        await moves.move(CP1, InstallEvent.OFFER_SENT, cause=ChangeCause())
        armed = {each.action: bool(each.reasons) for each in (await rack.power.of_host("cp1")).actions}
        await moves.cancel(CP1, reason="test")

        refused = await rack.refusal_of(A.CYCLE, "cp1")

        assert not any(armed.values())
        (why,) = refused.reasons["cp1"]
        assert why.startswith("cp1 is offered, and was installed before and not ready: a reset in its first boot makes")
        assert why.endswith("if it is switched off: netboot power on cp1; to install it anew: netboot install arm cp1")

    with_rack(with_services, work)


@pytest.mark.parametrize("end", ["spent", "cancelled"])
def test_an_arming_whose_installer_was_served_ends_the_first_boot_of_the_install_before(
    with_services: WithServices, end: str
):
    async def work(rack: Rack) -> None:
        moves = rack.services.install_moves
        await moves.arm_all([CP1], reason="test", attempts=2)
        await rack.become(InstallState.LOADING)
        await moves.move(CP1, InstallEvent.REPORTED_DONE, cause=ChangeCause())
        await moves.arm_all([CP1], reason="anew", attempts=1)
        await moves.move(CP1, InstallEvent.OFFER_SENT, cause=ChangeCause())
        await moves.move(CP1, InstallEvent.SCRIPT_SENT, cause=ChangeCause())
        if end == "spent":
            await moves.move(CP1, InstallEvent.ATTEMPTS_SPENT, cause=ChangeCause())
        else:
            await moves.cancel(CP1, reason="test")
        install = await moves.read(CP1)

        (ended,) = await rack.ends_of(A.CYCLE)

        assert (install.state, install.is_armed) == (
            InstallState.FAILED if end == "spent" else InstallState.LOADING,
            False,
        )
        assert ended.state is IntentState.DONE

    with_rack(with_services, work)


@pytest.mark.parametrize("state", [InstallState.LOADING, InstallState.INSTALLING])
def test_a_host_that_is_armed_anew_or_was_not_written_may_be_reset(with_services: WithServices, state: InstallState):
    async def work(rack: Rack) -> None:
        moves = rack.services.install_moves
        await moves.arm_all([CP1], reason="test", attempts=2)
        await rack.become(state)
        await moves.move(CP1, InstallEvent.OFFER_SENT, cause=ChangeCause())
        if state is InstallState.INSTALLING:
            await moves.cancel(CP1, reason="test")
            assert "--force" in str(await rack.refusal_of(A.CYCLE, "cp1"))
            await moves.arm_all([CP1], reason="again", attempts=1)
        (end,) = await rack.ends_of(A.CYCLE)

        assert end.state is IntentState.DONE

    with_rack(with_services, work)


def test_what_no_force_overrides(with_services: WithServices):
    async def work(rack: Rack) -> None:
        rack.services.change_host("w1", bmc=None)
        without = await rack.refusal_of(A.ON, "w1", is_forced=True)
        assert str(without).splitlines() == [
            "cannot power on: no BMC is declared for w1; set hosts.w1.bmc, or press its power button",
            "nothing was requested",
        ]

        rack.services.change_host("w1", bmc=Bmc("https://w1.example"))
        no_url = await rack.refusal_of(A.PXE, "w1", network_boot=NetworkBoot.HTTP_URI, is_forced=True)
        assert no_url.reasons["w1"] == ["no URL for w1"]
        assert await rack.intents.of_host(W1, limit=9) == []

    with_rack(with_services, work)


def test_without_sushy_power_is_refused_and_a_problem_of_the_appliance(with_services: WithServices):
    async def work(rack: Rack) -> None:
        rack.bmcs.unusable = "sushy is missing"

        refused = await rack.refusal_of(A.ON, "cp1", is_forced=True)

        assert refused.reasons["cp1"] == ["sushy is missing"]
        assert [each.reasons for each in (await rack.power.of_host("cp1")).actions] == [["sushy is missing"]] * 4
        assert rack.power.problems() == ["sushy is missing"]
        rack.services.change_host("w1", bmc=None)
        rack.services.change_host("cp1", bmc=None)
        assert rack.power.problems() == []

    with_rack(with_services, work)


def test_what_would_be_refused_is_shown_with_the_actions_of_a_host(with_services: WithServices):
    async def work(rack: Rack) -> None:
        rack.services.change_host("w1", bmc=Bmc("https://w1.example", network_boot=NetworkBoot.HTTP_URI))

        shown = {each.action: each for each in (await rack.power.of_host("w1")).actions}

        assert {action: each.reasons for action, each in shown.items() if each.reasons} == {A.PXE: ["no URL for w1"]}
        assert not shown[A.PXE].is_forcible

    with_rack(with_services, work)


def test_of_two_appliances_that_request_at_once_one_is_refused(with_services: WithServices):
    other = PowerIntent("x", CP1, A.OFF, ALICE, datetime(2026, 11, 21, 0, 16, tzinfo=UTC), owner="another")

    async def work(rack: Rack) -> None:
        busy = await rack.refusal_of(A.ON, "cp1", is_forced=True)

        assert busy.reasons["cp1"] == [
            "power off of cp1, requested by alice at 00:16:00, has not ended; netboot power status cp1"
        ]
        assert "--force" not in str(busy)

    with_rack(with_services, work, others=[other])


def test_an_end_by_another_appliance_is_seen_soon_also_if_its_waiter_comes_between_two_readings(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "CHECK_S", 3600.0)

    async def scenario(services: BuiltServices) -> None:
        rack = built(services, running=(OWN, "another"), is_shared=True)
        other = PowerIntent("x", CP1, A.OFF, ALICE, services.clock.now(), owner="another")
        assert await rack.intents.add([other]) == ()
        running = asyncio.create_task(rack.power.run())
        await wait_until(lambda: Reading("power_actions_open", 1) in rack.power.readings())
        waiting = asyncio.create_task(rack.power.ended("x", timeout_s=10.0))
        await asyncio.sleep(0)
        await rack.intents.move(other, IntentState.CANCELLED, at=services.clock.now())

        ended = await asyncio.wait_for(waiting, 5.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert ended.state is IntentState.CANCELLED

    with_services(scenario)


def test_hosts_are_selected_by_their_role(with_services: WithServices):
    async def work(rack: Rack) -> None:
        workers = HostSelection("worker")
        names = workers.names(rack.services.hosts)
        for name in names:
            rack.services.change_host(name, bmc=Bmc(f"https://{name}.example"))

        found = await rack.power.request(PowerRequest((), A.ON, selection=workers), actor=ALICE)

        assert [each.host for each in found] == names

    with_rack(with_services, work)


def test_a_request_that_is_repeated_with_its_id_sends_nothing_again(with_services: WithServices):
    async def work(rack: Rack) -> None:
        (first,) = await rack.ends_of(A.PXE, id="r1-cp1-1")
        (again,) = await rack.ends_of(A.PXE, id="r1-cp1-1")

        assert first == again
        assert rack.bmcs.of("cp1").sent == ["once pxe", "reset on"]

    with_rack(with_services, work)


@pytest.mark.parametrize("call", ["verify_host", "boot_once", "state", "power"])
def test_what_a_bmc_refuses_has_failed_and_is_not_repeated(with_services: WithServices, call):
    async def work(rack: Rack) -> None:
        machine, calls = rack.bmcs.of("cp1"), []

        def before(name: str) -> None:
            calls.append(name)
            if name == call:
                raise bmc_error()

        machine.before = before
        (end,) = await rack.ends_of(A.PXE)

        assert (end.state, end.detail, calls.count(call)) == (IntentState.FAILED, str(bmc_error()), 1)
        failed = (await rack.events())[-1]
        assert (failed.name, failed.data["outcome"], failed.data["reason"]) == ("power.failed", "failed", end.detail)
        assert rack.power.problems() == []

    with_rack(with_services, work)


@pytest.mark.parametrize(
    ("action", "state", "end", "detail"),
    [
        pytest.param(A.ON, "on", "done", "it did not answer in time; cp1 is on", id="was-done"),
        pytest.param(
            A.ON, "off", "failed", "it did not answer in time, and cp1 is off; request it again", id="was-not-done"
        ),
        pytest.param(
            A.CYCLE,
            "on",
            "unknown",
            "it did not answer in time: the machine was restarted or not; look at the machine: netboot power status "
            "cp1; then request it again if it is needed",
            id="cannot-be-known",
        ),
    ],
)
def test_a_reset_without_an_answer_is_judged_by_the_state_of_the_machine(
    with_services: WithServices, action, state, end, detail
):
    async def work(rack: Rack) -> None:
        machine = rack.bmcs.of("cp1")
        machine.power_state = PowerState.OFF if action is A.ON else PowerState.ON

        def before(name: str) -> None:
            if name == "power":
                machine.power_state = PowerState(state)
                raise bmc_error(is_outcome_unknown=True)

        machine.before = before
        (found,) = await rack.ends_of(action)

        assert (found.state, found.detail) == (IntentState(end), detail)

    with_rack(with_services, work)


def left_behind(rack: Rack, state: IntentState, action: PowerAction, *, age: timedelta = timedelta(0)) -> PowerIntent:
    """Return an intent as a daemon that was killed left it."""
    at = rack.services.clock.now() - age
    sent_at = at if state is IntentState.SENDING else None
    return PowerIntent("old", CP1, action, ALICE, at, state=state, owner="killed", sent_at=sent_at)


@pytest.mark.parametrize(
    ("state", "action", "power", "end", "sent"),
    [
        pytest.param("requested", A.CYCLE, "on", "done", ["reset cycle"], id="nothing-was-sent"),
        pytest.param("sending", A.CYCLE, "on", "unknown", [], id="cycle-is-not-repeated"),
        pytest.param("sending", A.PXE, "off", "unknown", [], id="pxe-is-not-repeated"),
        pytest.param("sending", A.OFF, "off", "done", [], id="off-was-done"),
        pytest.param("sending", A.OFF, "on", "failed", [], id="off-was-not-done"),
    ],
)
def test_after_a_kill_an_intent_is_neither_forgotten_nor_repeated(
    with_services: WithServices, state, action, power, end, sent
):
    async def work(rack: Rack) -> None:
        found = await rack.end_of("old")

        assert (found.state, found.owner, rack.bmcs.of("cp1").sent) == (IntentState(end), OWN, sent)
        if found.state is IntentState.UNKNOWN:
            await wait_until(
                lambda: rack.power.problems() == [f"power {action} of cp1 was done or not: {found.detail}"]
            )
            rack.services.clock.pass_(1)
            await rack.ends_of(A.ON)
            await wait_until(lambda: rack.power.problems() == [])

    def left(rack: Rack) -> PowerIntent:
        rack.bmcs.of("cp1").power_state = PowerState(power)
        return left_behind(rack, IntentState(state), action)

    with_rack(with_services, work, left=left)


@pytest.mark.parametrize(
    ("action", "is_left"), [(A.PXE, False), (A.CYCLE, False), (A.ON, False), (A.OFF, True)], ids=str
)
def test_an_unknown_action_is_no_problem_of_a_node_that_is_ready_since(
    with_services: WithServices, action: PowerAction, is_left: bool
):
    async def ready(rack: Rack) -> None:
        def moved(before: Install) -> Install:
            return replace(before, state=InstallState.READY, changed_at=rack.services.clock.now())

        moves = rack.services.install_moves
        await moves.installs.change(CP1, moved, at=rack.services.clock.now(), what="test")
        await moves.read(CP1)

    def fails(_call: str) -> None:
        raise bmc_error()

    async def work(rack: Rack) -> None:
        rack.bmcs.of("cp1").before = fails
        await ready(rack)
        rack.services.clock.pass_(1)
        old = left_behind(rack, IntentState.SENDING, action)
        await rack.intents.add([old])
        await rack.power.begin_open()
        assert (await rack.end_of("old")).state is IntentState.UNKNOWN
        await rack.power.begin_open()
        before = rack.power.problems()
        rack.services.clock.pass_(1)
        await ready(rack)

        assert (len(before), bool(rack.power.problems())) == (1, is_left)
        assert {each.gauge: each.value for each in rack.power.readings()}["power_actions_unknown"] == is_left

    async def scenario(services: BuiltServices) -> None:
        await work(built(services))

    with_services(scenario)


def test_who_waits_for_an_end_reads_no_intent_for_those_of_others(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    """A rollout waits for hundreds at once."""

    async def work(rack: Rack) -> None:
        original, read, hold = rack.intents.get, [], threading.Event()

        async def get(intent_id: str) -> PowerIntent | None:
            read.append(intent_id)
            return await original(intent_id)

        monkeypatch.setattr(rack.intents, "get", get)
        rack.bmcs.of("w1").before = lambda _call: hold.wait(10)
        (slow,) = await rack.power.request(PowerRequest(["w1"], A.ON), actor=ALICE)
        waiting = asyncio.create_task(rack.end_of(slow.id))
        await asyncio.sleep(0)
        (first,) = await rack.ends_of(A.ON, "cp1")
        (second,) = await rack.ends_of(A.CYCLE, "cp1")
        hold.set()

        assert {first.state, second.state, (await waiting).state} == {IntentState.DONE}
        assert read.count(slow.id) == 2

    with_rack(with_services, work)


def test_an_end_that_another_appliance_has_stored_is_seen(with_services: WithServices):
    async def work(rack: Rack) -> None:
        at = rack.services.clock.now()
        intent = PowerIntent("theirs", CP1, A.ON, ALICE, at, owner="another")
        await rack.intents.add([intent])
        both = [asyncio.create_task(rack.end_of("theirs")) for _ in range(2)]
        open_ = await rack.power.ended("theirs", timeout_s=0.01)
        await rack.intents.move(intent, IntentState.DONE, at=at)

        assert open_ == intent
        assert [(await each).state for each in both] == [IntentState.DONE] * 2

    async def scenario(services: BuiltServices) -> None:
        rack = built(services, running=(OWN, "another"), is_shared=True)
        running = asyncio.create_task(rack.power.run())
        await work(rack)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    with_services(scenario)


async def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not become so")


def test_the_url_of_an_appliance_that_ended_is_not_written_by_another_one(with_services: WithServices):
    uri = "http://192.0.2.99:8080/boot/52-54-00-aa-bb-01/snponly.efi"

    async def work(rack: Rack) -> None:
        found = await rack.end_of("old")

        assert (found.state, rack.bmcs.of("cp1").sent) == (IntentState.CANCELLED, [])
        assert found.detail == f"its URL, {uri}, is not the one of cp1 here now; request it again"

    def left(rack: Rack) -> PowerIntent:
        old = left_behind(rack, IntentState.REQUESTED, A.PXE)
        return replace(old, network_boot=NetworkBoot.HTTP_URI, uri=uri)

    with_rack(with_services, work, left=left)


def test_a_request_of_ten_minutes_ago_is_not_sent_any_more(with_services: WithServices):
    async def work(rack: Rack) -> None:
        found = await rack.end_of("old")

        assert (found.state, rack.bmcs.of("cp1").sent) == (IntentState.CANCELLED, [])
        assert found.detail == "it was requested at 2026-11-21 00:05:40 and not sent in time; request it again"

    with_rack(
        with_services,
        work,
        left=lambda rack: left_behind(rack, IntentState.REQUESTED, A.CYCLE, age=timedelta(minutes=11)),
    )


@pytest.mark.parametrize(
    ("running", "is_shared", "age_s", "is_taken"),
    [
        pytest.param(None, True, 600, False, id="not-known-yet"),
        pytest.param(["killed", OWN], True, 600, False, id="it-runs"),
        pytest.param([OWN], True, 300, False, id="it-may-only-be-cut-off"),
        pytest.param(["another", OWN], True, 300, False, id="it-may-only-be-cut-off-beside-another-one"),
        pytest.param([OWN], True, 306, True, id="no-call-to-a-bmc-takes-so-long"),
        pytest.param([OWN], False, 1, True, id="the-store-has-one-daemon"),
    ],
)
def test_what_another_appliance_was_sending_is_taken_over_when_it_has_ended(
    with_services: WithServices, running, is_shared, age_s, is_taken
):
    async def scenario(services: BuiltServices) -> None:
        rack = built(services, running=running, is_shared=is_shared)
        old = left_behind(rack, IntentState.SENDING, A.CYCLE, age=timedelta(seconds=age_s))
        await rack.intents.add([old])

        await rack.power.begin_open()

        found = await rack.power.ended("old", timeout_s=10.0 if is_taken else 0.0)
        assert (found.owner, found.state) == (
            (OWN, IntentState.UNKNOWN) if is_taken else ("killed", IntentState.SENDING)
        )

    with_services(scenario)


def test_an_end_is_stored_when_the_store_works_again(with_services: WithServices, monkeypatch: pytest.MonkeyPatch):
    async def work(rack: Rack) -> None:
        original, failures = rack.intents.move, iter([StoreError("the disk is full")] * 3)

        async def move(before: PowerIntent, state: IntentState, **options: Any) -> PowerIntent | None:
            if state is IntentState.DONE and (error := next(failures, None)) is not None:
                raise error
            return await original(before, state, **options)

        monkeypatch.setattr(rack.intents, "move", move)
        (end,) = await rack.ends_of(A.CYCLE)

        assert (end.state, rack.bmcs.of("cp1").sent) == (IntentState.DONE, ["reset on"])
        assert [event.name for event in await rack.events()] == ["power.requested", "power.sent", "power.ended"]

    with_rack(with_services, work)


def test_the_state_of_machines_is_read_and_remembered_until_their_next_reset(with_services: WithServices):
    async def work(rack: Rack) -> None:
        at = rack.services.clock.now()
        rack.bmcs.of("cp1").power_state = PowerState.ON

        def unreachable(_call: str) -> None:
            raise bmc_error("w1")

        rack.bmcs.of("w1").before = unreachable
        assert rack.power.observed(CP1) is None
        read = await rack.power.read_all(HostSelection())
        expected = {
            "cp1": ObservedPower(CP1, PowerState.ON, at, "OSRunning"),
            "w1": ObservedPower(W1, PowerState.UNKNOWN, at, fault=str(bmc_error("w1"))),
        }
        assert {each.host: each for each in read} == expected
        shown = await rack.power.of_host("cp1")
        assert (shown.observed, shown.has_bmc, shown.intents) == (expected["cp1"], True, [])
        assert {each.action: each.reasons for each in shown.actions} == {action: [] for action in A}

        (end,) = await rack.ends_of(A.CYCLE)

        assert rack.power.observed(CP1) is None
        assert (await rack.power.read("cp1")).intents == [end]

    with_rack(with_services, work)


def test_machines_that_did_not_answer_are_read_last_and_leave_time_for_the_others(with_services: WithServices):
    async def work(rack: Rack) -> None:
        original, calls = rack.bmcs.call, list[tuple[str, float]]()

        async def call(host: Host, what: Callable[[Any], Any], *, limit_s: float) -> Any:
            calls.append((host.name, limit_s))
            return await original(host, what)

        def unreachable(_call: str) -> None:
            raise bmc_error("cp1")

        rack.bmcs.call, rack.bmcs.of("cp1").before = call, unreachable
        rack.bmcs.parallel = 1
        first, again = [await rack.power.read_all(HostSelection()) for _ in range(2)]
        rack.bmcs.parallel = 2
        await rack.power.read_all(HostSelection())

        assert [each.host for each in first] == [each.host for each in again] == ["cp1", "w1"]
        assert calls == [
            *(("cp1", 10.0), ("w1", 10.0)),
            *(("w1", 10.0), ("cp1", 10.0)),
            *(("w1", 20.0), ("cp1", 20.0)),
        ]

    with_rack(with_services, work)


def test_machines_that_had_no_turn_are_read_before_those_that_did_not_answer(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(power_readings, "STATUS_S", 1.0)

    async def work(rack: Rack) -> None:
        original, calls, turn = rack.bmcs.call, list[str](), asyncio.Lock()

        async def call(host: Host, what: Callable[[Any], Any], *, limit_s: float) -> Any:
            await turn.acquire()
            calls.append(host.name)
            if host.name == "cp1":
                raise bmc_error("cp1")  # others that do not answer use its turn
            turn.release()
            return await original(host, what)

        rack.bmcs.call = call
        first = await rack.power.read_all(HostSelection())
        turn.release()
        second = await rack.power.read_all(HostSelection())

        assert calls == ["cp1", "w1", "cp1"]
        assert [each.fault for each in first] == [str(bmc_error("cp1")), power_readings._NO_TURN]
        assert [each.fault for each in second] == [str(bmc_error("cp1")), None]

    with_rack(with_services, work)


def test_no_more_actions_begin_than_bmcs_are_used_at_a_time(with_services: WithServices):
    """The call of one that waited for its turn would fail after two minutes: of a large rack, most of them."""

    async def work(rack: Rack) -> None:
        has_begun, may_end, others = threading.Event(), threading.Event(), list[str]()
        rack.bmcs.parallel = 1
        rack.bmcs.of("cp1").before = lambda _call: (has_begun.set(), may_end.wait(10))
        rack.bmcs.of("w1").before = others.append

        cp1, w1 = await rack.power.request(PowerRequest(("cp1", "w1"), A.ON), actor=ALICE)
        await asyncio.to_thread(has_begun.wait, 10)
        await rack.power.begin_open()
        await asyncio.sleep(0.1)  # what would begin has begun
        before = (others.copy(), (await rack.power.ended(w1.id, timeout_s=0)).state)
        may_end.set()
        ends = [(await rack.end_of(each.id)).state for each in (cp1, w1)]

        assert before == ([], IntentState.REQUESTED)
        assert ends == [IntentState.DONE, IntentState.DONE]
        assert rack.bmcs.of("w1").sent == ["reset on"]

    with_rack(with_services, work)


def test_the_histories_of_many_hosts_are_read_at_once(with_services: WithServices, monkeypatch: pytest.MonkeyPatch):
    """Each query costs milliseconds: those of a large rack would be longer than a client waits."""

    async def scenario(services: BuiltServices) -> None:
        rack, read = built(services), []
        installs = services.install_moves.installs
        original = installs.histories

        async def counted(hosts: Sequence[HostName]) -> Any:
            read.append(list(hosts))
            return await original(hosts)

        monkeypatch.setattr(installs, "histories", counted)
        for host in (CP1, W1):
            await rack.become(InstallState.INSTALLED, host)
            await rack.become(InstallState.FAILED, host)

        intents = await rack.power.request(PowerRequest(("cp1", "w1"), A.OFF), actor=ALICE)

        assert [each.host for each in intents] == [CP1, W1]
        assert read == [[CP1, W1]]

    with_services(scenario)
