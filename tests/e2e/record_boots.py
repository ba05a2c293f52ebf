"""Records boots of the lab's cases in tests/fixtures/boots, which `fixtures.boot_cases` reads.

.ci/isolated env PYTHONPATH=tests .venv/bin/python -m e2e.record_boots [CASE...]
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from e2e.staged_boots import FAULTS, HEALTHY, Case, staged
from fixtures.boot_cases import RECORDINGS

from netboot.lab.lab import Lab
from netboot.model.install.event_names import EVENT_NAMES

STAGED_S: Final = 80.0  # for the faults that never end by themselves; an install is not longer
AFTERWARDS_S: Final = 25.0
_KEYS: Final = ("event", "timestamp", "host", "mac", "step", "level")

View = dict[str, Any]


async def record(case: Case) -> list[View]:
    """Run one case and return its events."""
    async with staged(case) as boot:
        staging = asyncio.create_task(case.stage(boot))
        await asyncio.wait({staging}, timeout=STAGED_S if case.cause else None)
        if staging.done():
            staging.result()
        await asyncio.sleep(AFTERWARDS_S)
        staging.cancel()
        await asyncio.gather(staging, return_exceptions=True)
        return logged_events(boot.lab)


def logged_events(lab: Lab) -> list[View]:
    """Return the events of the log, also those that the store did not accept; paths as on a server."""
    directory = lab.work.as_posix()
    lines = lab.appliance.log.read_text().replace(f"{directory}/content", "/srv/netboot").splitlines()
    entries = [json.loads(line.replace(f"{directory}/appliance", "/etc/netboot")) for line in lines if line[:1] == "{"]
    return [event_of(entry) for entry in entries if entry["event"] in EVENT_NAMES]


def event_of(entry: Mapping[str, Any]) -> View:
    """Return an event of the log as the API has it."""
    at = entry["timestamp"].replace("Z", "+00:00")
    known = {key: entry.get(key) for key in ("host", "mac", "step")}
    return {"at": at, "event": entry["event"], **known, "data": {k: v for k, v in entry.items() if k not in _KEYS}}


def main(*names: str) -> None:
    """Record each case, or those that are named."""
    cases = {**FAULTS, **HEALTHY}
    for name in names or cases:
        events = asyncio.run(record(cases[name]))
        lines = ",\n".join(f"  {json.dumps(event)}" for event in events)
        (RECORDINGS / f"{name}.json").write_text(f'{{"case": "{name}", "events": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main(*sys.argv[1:])
