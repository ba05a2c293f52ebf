"""A fault of one part that works in the background ends neither the part nor the daemon."""

import asyncio

import pytest
from structlog.testing import capture_logs

from netboot.app.running import lasting_work
from netboot.app.running.lasting_work import lasting


def test_work_that_fails_is_logged_and_runs_again_until_it_returns_or_is_cancelled(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lasting_work, "AGAIN_S", 0.01)
    began: list[str] = []

    async def work() -> None:
        began.append("run")
        if len(began) < 3:
            raise ValueError("'parked' is not a valid InstallState")
        if len(began) == 4:
            raise asyncio.CancelledError

    with capture_logs() as logs:
        asyncio.run(lasting(work))
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(lasting(work))

    assert began == ["run"] * 4
    assert [(each["event"], each["log_level"], each["work"].rpartition(".")[2]) for each in logs] == [
        ("daemon.work_failed", "error", "work"),
        ("daemon.work_failed", "error", "work"),
    ]
