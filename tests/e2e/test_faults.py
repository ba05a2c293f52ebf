"""Faults on a machine's way to `ready`, each named with its right cause in time; healthy boots without a false alarm.

The appliance has learned from earlier boots how long each step takes. After each boot, none of its outputs has a secret
of the run.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from e2e.run_outputs import RunSecrets, outputs
from e2e.staged_boots import FAULTS, HEALTHY, StagedBoot, staged
from secrets_search import search

pytestmark = pytest.mark.e2e

GRACE_S: Final = 10.0  # beyond the limit of the step that does not come
LONGEST_S: Final = 300.0  # without a step that is due
HARMLESS: Final = "info"  # the severity of causes that are as intended


OVERDUE: Final = frozenset({"foreign-server", "no-script"})  # no packet shows these: a step does not come
QUICK: Final = frozenset({"blocked-tftp", "missing-release", "stopped-store"})


def parameter(name: str) -> Any:
    return pytest.param(name, id=name, marks=[] if name in QUICK else [pytest.mark.proof])


async def shown(boot: StagedBoot) -> Mapping[str, Any]:
    """Return what `netboot install show HOST --json` prints."""
    return await boot.daemon.install(boot.host)


def alarm(install: Mapping[str, Any]) -> str | None:
    """Return the name of the cause that an operator must act on."""
    cause = install["cause"]
    return cause["name"] if cause is not None and cause["severity"] != HARMLESS else None


def due_at(install: Mapping[str, Any]) -> datetime | None:
    """Return when the cause must be named; None while no step is due."""
    wait = install["wait"]
    if wait is None:
        return None
    return datetime.fromisoformat(wait["since"]) + timedelta(seconds=wait["expected"]["limit_s"] + GRACE_S)


async def cause_in_time(boot: StagedBoot, staging: asyncio.Task[None], secrets: RunSecrets) -> str:
    """Return the first cause that is named; fail if none is in time.

    That is the limit of the step that does not come and ten seconds; ten seconds after the fault if no step is due.
    """
    staged_at: datetime | None = None
    while (named := alarm(install := await shown(boot))) is None:
        now = datetime.now(UTC)
        if staging.done() and staged_at is None:
            staging.result()
            staged_at = now
        due = due_at(install) or (staged_at + timedelta(seconds=GRACE_S) if staged_at else None)
        assert due is None or now < due, install
        await secrets.add_tokens()
        await asyncio.sleep(1)
    return named


@pytest.mark.parametrize("name", [*map(parameter, FAULTS)])
async def test_a_fault_is_named_with_its_right_cause_in_time(name: str):
    case = FAULTS[name]
    async with staged(case) as boot:
        secrets = RunSecrets(boot.lab)
        staging = asyncio.create_task(case.stage(boot))
        try:
            async with asyncio.timeout(LONGEST_S):
                assert await cause_in_time(boot, staging, secrets) == case.cause
            if name in OVERDUE:
                await boot.event("boot.step_overdue", cause=case.cause, timeout_s=GRACE_S)
        finally:
            staging.cancel()
            await asyncio.gather(staging, return_exceptions=True)

        assert search(await outputs(boot.lab, boot.host), secrets.found) == []


@pytest.mark.parametrize("name", [*map(parameter, HEALTHY)])
async def test_a_healthy_boot_raises_no_alarm(name: str):
    async with staged(HEALTHY[name]) as boot:
        secrets = RunSecrets(boot.lab)
        alarms = []
        staging = asyncio.create_task(HEALTHY[name].stage(boot))
        while not staging.done():
            alarms.append(alarm(await shown(boot)))
            await secrets.add_tokens()
            await asyncio.wait({staging}, timeout=1)
        await staging

        assert set(alarms) == {None}
        assert [event for event in boot.events if event["event"] == "boot.step_overdue"] == []
        assert ("kickstart_token of installs" in secrets.kinds) == HEALTHY[name].is_armed
        assert search(await outputs(boot.lab, boot.host), secrets.found) == []
