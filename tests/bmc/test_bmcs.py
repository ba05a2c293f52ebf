"""Limits: one call at a time per BMC, few at a time in all, and an end for each."""

import asyncio
import importlib.util
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.bmc_host import a_host
from fixtures.operated_bmcs import OperatedBmcs
from fixtures.redfish_answers import answering_bmc, answers_of
from fixtures.wrong_bmc import WrongBmc, within, wrong_bmc

from netboot.bmc import bmcs as module
from netboot.bmc.bmcs import Bmcs
from netboot.bmc.quirks import KnownQuirks
from netboot.clients import power_client
from netboot.errors import BmcError
from netboot.model.bmc.bmc import Bmc
from netboot.model.host.host import Host, HostName
from netboot.model.power.power import PowerState, ResetAction
from netboot.operate.power import bmc_probes


def host(name: str, url: str) -> Host:
    return replace(a_host(Bmc(url)), name=HostName(name))


class Counting:
    """What runs in the threads; it counts how many run at once."""

    def __init__(self) -> None:
        self.running = self.most = self.ended = 0
        self._lock = threading.Lock()

    def __call__(self, _machine: object) -> int:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(0.02)
        with self._lock:
            self.running -= 1
            self.ended += 1
        return self.ended


def test_a_bmc_gets_one_call_at_a_time_and_all_together_a_few(quirks: KnownQuirks, credentials: Path):
    async def run(urls: list[str]) -> int:
        counting = Counting()
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=5, parallel=3)
        calls = [bmcs.call(host(f"w{index}", url), counting) for index, url in enumerate(urls)]
        await asyncio.gather(*calls)
        bmcs.close()
        assert counting.ended == len(urls)
        return counting.most

    assert asyncio.run(run(["http://192.0.2.1"] * 5)) == 1
    assert asyncio.run(run([f"http://192.0.2.{number}" for number in range(12)])) == 3


def test_a_bmc_that_hangs_does_not_hold_others_back(quirks: KnownQuirks, credentials: Path):
    async def run(hung: str, sound: str) -> list[object]:
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=0.3, parallel=2)
        results = await asyncio.gather(
            bmcs.call(host("w1", hung), lambda machine: machine.state()),
            *(bmcs.call(host(f"w{n}", sound), lambda machine: machine.state()) for n in range(2, 5)),
            return_exceptions=True,
        )
        bmcs.close()
        return results

    with wrong_bmc(lambda bmc: bmc.ended.wait(30)) as (hung, _), answering_bmc(answers_of("dell-r760")) as sound:
        first, *others = asyncio.run(run(hung, sound))

    assert isinstance(first, BmcError)
    assert (first.fault, others) == ("timeout", [PowerState.ON] * 3)


def test_a_call_that_waits_too_long_for_its_turn_is_an_error(
    quirks: KnownQuirks, credentials: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_QUEUED_S", 0.1)
    release = threading.Event()

    async def run() -> list[object]:
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=5, parallel=1)
        first = asyncio.create_task(bmcs.call(host("w1", "http://192.0.2.1"), lambda _: release.wait(5)))
        await asyncio.sleep(0)
        same, other = await asyncio.gather(
            bmcs.call(host("w2", "http://192.0.2.1"), lambda _: None),
            bmcs.call(host("w3", "http://192.0.2.3"), lambda _: None),
            return_exceptions=True,
        )
        release.set()
        done = await first
        after = await bmcs.call(host("w2", "http://192.0.2.1"), lambda _: "free")
        bmcs.close()
        return [same, other, done, after]

    same, other, done, after = asyncio.run(run())
    assert isinstance(same, BmcError)
    assert isinstance(other, BmcError)
    assert (same.fault, other.fault, done, after) == ("busy", "busy", True, "free")
    assert same.reason == "requests to this and other BMCs took more than 0.1 s"


def test_how_long_a_call_may_take_depends_on_the_time_of_a_request(quirks: KnownQuirks, credentials: Path):
    found = []
    for timeout_s in (30, 300):
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=timeout_s, parallel=1)
        found.append(bmcs.longest_s)
        bmcs.close()

    assert found == [245, 1325]


def test_a_client_waits_for_a_probe_as_long_as_the_daemon():
    assert power_client.PROBE_S > module._QUEUED_S + bmc_probes.PROBE_S + module._ENDING_S


def test_a_call_that_nobody_waits_for_is_ended(quirks: KnownQuirks, credentials: Path):
    async def run(url: str) -> PowerState:
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=20, parallel=1)
        hung = host("w1", url)
        call = asyncio.create_task(bmcs.call(hung, lambda machine: machine.state()))
        await asyncio.to_thread(requested.wait, 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        answers.clear()
        state = await bmcs.call(hung, lambda machine: machine.state())
        bmcs.close()
        return state

    sound, requested = answers_of("dell-r760"), threading.Event()
    answers = ["hang"]

    def answer(bmc: WrongBmc) -> None:
        requested.set()
        if answers:
            bmc.ended.wait(30)
        else:
            found = sound.resource(bmc.path)
            without_sessions = {
                key: each for key, each in (found or {}).items() if key not in ("SessionService", "Links")
            }
            bmc.send(200 if found else 404, without_sessions)

    began = time.monotonic()
    with wrong_bmc(answer) as (url, _):
        assert asyncio.run(run(url)) is PowerState.ON
    assert within(10, began)


def test_a_call_whose_time_is_over_is_ended_while_its_reset_is_judged(quirks: KnownQuirks, credentials: Path):
    """The event loop may wait for the store; no thread waits for it for ever."""
    bmc, judged = answers_of("dell-r760"), Future[None]()

    async def run(url: str) -> object:
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=20, parallel=1)
        called = host("w1", url)
        call = bmcs.call(called, lambda machine: machine.power(ResetAction.CYCLE, lambda: judged), limit_s=0.5)
        error = (await asyncio.gather(call, return_exceptions=True))[0]
        bmcs.close()
        return error

    with answering_bmc(bmc) as url:
        error = asyncio.run(run(url))

    assert isinstance(error, BmcError)
    assert (error.reason, error.cure) == (
        "nothing was sent, because it was not judged in time",
        "request it again; the page /appliance shows a slow store",
    )
    assert (error.fault, error.is_outcome_unknown, judged.done(), bmc.changes) == ("timeout", False, False, [])


def test_after_the_end_no_call_is_taken(bmcs: Bmcs, credentials: Path):
    bmcs.close()

    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(host("w1", "http://192.0.2.1"), lambda _: None))

    assert (caught.value.fault, caught.value.is_outcome_unknown) == ("timeout", False)


def test_the_end_shuts_the_connections(quirks: KnownQuirks, credentials: Path):
    async def run(url: str) -> object:
        bmcs = OperatedBmcs(quirks, credentials, timeout_s=20, parallel=1)
        call = asyncio.create_task(bmcs.call(host("w1", url), lambda machine: machine.state()))
        await asyncio.to_thread(requested.wait, 5)
        bmcs.close()
        return (await asyncio.gather(call, return_exceptions=True))[0]

    def hang(bmc: WrongBmc) -> None:
        requested.set()
        bmc.ended.wait(30)

    began, requested = time.monotonic(), threading.Event()
    with wrong_bmc(hang) as (url, _):
        error = asyncio.run(run(url))

    assert isinstance(error, BmcError)
    assert error.fault == "timeout"
    assert within(10, began)


def test_bmcs_without_sushy_are_unusable(bmcs: Bmcs, credentials: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    without = Bmcs(bmcs.quirks, credentials, timeout_s=5, parallel=1)
    without.close()

    assert (bmcs.unusable, without.unusable) == (
        None,
        "sushy is missing, by which BMCs are used; pip install 'netboot-ocne[bmc]', then systemctl restart netboot",
    )


def test_without_sushy_the_error_names_the_extra(bmcs: Bmcs, credentials: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "sushy", None)

    with pytest.raises(BmcError) as caught:
        asyncio.run(bmcs.call(host("w1", "http://192.0.2.1"), lambda machine: machine.state()))

    assert str(caught.value) == (
        "cannot read the power state of w1: sushy is missing, by which BMCs are used; "
        "pip install 'netboot-ocne[bmc]', then systemctl restart netboot"
    )
