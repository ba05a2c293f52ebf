"""Packets as firmware and servers sent them, by name from `captures/`."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy-box", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy-box")

CAPTURES = Path(__file__).parent / "captures"


def read_capture(name: str) -> bytes:
    """Read one capture: its last line in hex, `[00*n]` for n zero bytes."""
    line = (CAPTURES / f"{name}.hex").read_text().splitlines()[-1]
    return bytes.fromhex(re.sub(r"\[00\*(\d+)\]", lambda zeros: "00" * int(zeros[1]), line))


@pytest.fixture(scope="session")
def capture() -> Callable[[str], bytes]:
    """Hand out captures by name."""
    return read_capture
