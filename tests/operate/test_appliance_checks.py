"""The check of the appliance runs as a process, one at a time, and its end is a result in any case."""

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netboot.operate.appliance import appliance_checks
from netboot.operate.appliance.appliance_checks import ApplianceChecks, CheckedAppliance

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
FAULT = {"file": "a.yaml", "line": 3, "column": 1, "where": "dhcp.port", "what": "is no port", "cure": "write 67"}
FOUND = {"faults": [FAULT], "problems": ["p"], "warnings": ["w"], "notes": ["n"], "ok": False}


def printing(text: str, *, status: int = 0, seconds: float = 0) -> list[str]:
    program = f"import sys, time; time.sleep({seconds}); print({text!r}); sys.exit({status})"
    return [sys.executable, "-c", program]


def result_of(command: list[str]) -> CheckedAppliance:
    return asyncio.run(ApplianceChecks(command, now=lambda: NOW).result())


def test_a_result_has_what_the_command_prints():
    assert result_of(printing(json.dumps(FOUND), status=2)) == CheckedAppliance(
        NOW, ["a.yaml:3:1: dhcp.port: is no port; write 67"], ["p"], ["w"], ["n"]
    )


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (printing("no JSON"), "the check printed nothing that can be read"),
        (printing(json.dumps({"problems": []})), "the check printed nothing that can be read"),
        (printing("", status=3), "the check failed: it ended with 3"),
        ([sys.executable, "-c", "raise SystemExit('netboot: broken')"], "the check printed nothing that can be read"),
        (["/nowhere/netboot"], "the check cannot be started: No such file or directory"),
    ],
)
def test_a_check_without_a_result_says_why(command: list[str], why: str):
    found = result_of(command)

    assert (found.failure, found.is_sound) == (why, False)


def test_a_check_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(appliance_checks, "LONGEST_S", 0.2)

    assert result_of(printing("", seconds=60)).failure == "the check did not end within 0.2 s"


def test_two_requests_share_one_check_and_a_later_one_its_result_for_a_moment(tmp_path: Path):
    ran = tmp_path / "ran"
    program = f"import json; open({str(ran)!r}, 'a').write('x'); print({json.dumps(FOUND)!r})"
    times = [NOW]

    async def scenario() -> list[int]:
        checks = ApplianceChecks([sys.executable, "-c", program], now=lambda: times[-1])
        first, second = await asyncio.gather(checks.result(), checks.result())
        counts = [len(ran.read_text())]
        assert first is second is checks.last
        await checks.result()
        counts.append(len(ran.read_text()))
        times.append(NOW + timedelta(seconds=11))
        await checks.result()
        return [*counts, len(ran.read_text())]

    assert asyncio.run(scenario()) == [1, 1, 2]


def test_close_ends_the_process(tmp_path: Path):
    async def scenario() -> tuple[bool, bool]:
        checks = ApplianceChecks(printing("", seconds=60), now=lambda: NOW)
        checks.begin()
        await asyncio.sleep(0.3)
        was_running = checks.is_running
        await checks.close()
        return was_running, checks.is_running

    assert asyncio.run(scenario()) == (True, False)
