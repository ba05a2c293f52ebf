"""Connections that find no descriptor are one line a minute, and every other fault of the loop is logged as before."""

import asyncio
import logging
from typing import Any

import pytest
from structlog.testing import capture_logs

from netboot.app.running.accept_faults import limit_accept_faults
from netboot.serve.net.descriptors import cure, permitted


def test_a_thousand_connections_without_a_descriptor_are_one_line(caplog: pytest.LogCaptureFixture):
    loop = asyncio.new_event_loop()
    limit_accept_faults(loop)
    fault: dict[str, Any] = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(24, "Too many open files"),
    }

    with capture_logs() as logs, caplog.at_level(logging.ERROR, "asyncio"):
        for _ in range(1000):
            loop.call_exception_handler(fault)
        loop.call_exception_handler({"message": "another fault"})
    loop.close()

    reason = f"[Errno 24] Too many open files; {cure(permitted())}"
    assert logs == [{"event": "daemon.accept_failed", "reason": reason, "log_level": "error"}]
    assert [record.message for record in caplog.records] == ["another fault"]
