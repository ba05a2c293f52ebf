"""A part of a support archive that fails."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from netboot.errors import StoreError
from netboot.operate.support import support_parts
from netboot.operate.support.support_parts import SupportFile, SupportPart, gathered, single


def test_a_part_that_fails_or_hangs_is_named_and_the_others_are_kept(monkeypatch: pytest.MonkeyPatch):
    async def refused() -> object:
        raise StoreError("the store does not answer")

    async def broken() -> object:
        raise KeyError("x")

    async def hanging() -> Sequence[SupportFile]:
        await asyncio.sleep(60)
        return []

    async def found() -> object:
        return {"a": 1}

    monkeypatch.setattr(support_parts, "PART_S", 0.05)
    parts = [
        single("store.json", "", refused, str),
        single("broken.json", "", broken, str),
        SupportPart("slow/", "", hanging),
        single("found.json", "", found, str),
    ]

    with capture_logs() as logs:
        result = asyncio.run(gathered(parts))

    assert [(file.name, file.read()) for file in result.files] == [("found.json", b"{'a': 1}")]
    assert result.faults == [
        "store.json: is missing: the store does not answer",
        "broken.json: is missing: a fault of netboot's own, KeyError; see the log",
        "slow/: is missing: it was not gathered within 0.05 s",
    ]
    assert [(line["event"], line["part"]) for line in logs] == [("support.part_failed", "broken.json")]
