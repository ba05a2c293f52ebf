"""The offer of a boot to an armed host is stored later: an offer never waits for the store."""

import asyncio
from typing import Any

import pytest
from fixtures.appliance import OnOneStore
from fixtures.services import BuiltServices, WithServices
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.model.host.host import HostName
from netboot.model.install.install import InstallState
from netboot.store.database import STEP_S
from netboot.store.installs import Installs

CP1 = HostName("cp1")


async def arm(services: BuiltServices) -> None:
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)


def test_an_offer_that_is_made_during_a_transaction_is_stored_when_the_burst_ends(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[InstallState, InstallState, float]:
        moves, loop, w1 = services.install_moves, asyncio.get_running_loop(), HostName("w1")
        await moves.arm_all([CP1, w1], reason="test", attempts=3)
        running = asyncio.create_task(moves.run())
        moves.record_offer(CP1)
        await asyncio.sleep(0)  # the transaction of cp1 begins
        moves.record_offer(w1)
        while moves.known(CP1).state is not InstallState.OFFERED:  # noqa: ASYNC110
            await asyncio.sleep(0)
        states, stored_at = (moves.known(CP1).state, moves.known(w1).state), loop.time()
        while moves.known(w1).state is not InstallState.OFFERED:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        waited_s = loop.time() - stored_at
        running.cancel()
        await asyncio.wait([running])
        return (*states, waited_s)

    first, second, waited_s = with_services(scenario)

    assert (first, second) == (InstallState.OFFERED, InstallState.REGISTERED)
    assert waited_s >= STEP_S


def test_offers_that_the_store_does_not_accept_are_dropped_with_one_warning_and_later_ones_are_stored(
    with_services: WithServices, monkeypatch: pytest.MonkeyPatch
):
    failed = asyncio.Event()

    async def fails(*_: Any, **__: Any) -> list[Any]:
        failed.set()
        raise StoreError("the store failed")

    async def scenario(services: BuiltServices) -> list[InstallState]:
        moves = services.install_moves
        await arm(services)
        running = asyncio.create_task(moves.run())
        with monkeypatch.context() as failing:
            failing.setattr(Installs, "change_all", fails)
            for _ in range(2):
                failed.clear()
                moves.record_offer(CP1)
                assert moves.offers_waiting_count == 1
                await asyncio.wait_for(failed.wait(), timeout=30)
                assert moves.offers_waiting_count == 0
        states = [moves.known(CP1).state]
        moves.record_offer(CP1)
        async with asyncio.timeout(30):
            while moves.known(CP1).state is InstallState.REGISTERED:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])
        return [*states, (await moves.read(CP1)).state]

    with capture_logs() as logs:
        states = with_services(scenario)

    assert states == [InstallState.REGISTERED, InstallState.OFFERED]
    assert [each for each in logs if each["event"] == "store.offer_delayed"] == [
        {"event": "store.offer_delayed", "log_level": "warning", "hosts": 1, "reason": "the store failed"}
    ]


def test_an_offer_to_a_host_that_another_appliance_disarmed_changes_nothing(on_one_store: OnOneStore):
    async def scenario(first: BuiltServices, second: BuiltServices) -> None:
        await arm(first)
        await second.install_moves.load()
        await first.install_moves.cancel(CP1, reason="test")
        running = asyncio.create_task(second.install_moves.run())
        second.install_moves.record_offer(CP1)
        async with asyncio.timeout(30):
            while second.install_moves.known(CP1).is_armed:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])

        assert second.install_moves.known(CP1).state is InstallState.REGISTERED
        assert [move.what for move in await second.install_moves.history(CP1)] == ["armed", "cancelled"]

    on_one_store(scenario)
