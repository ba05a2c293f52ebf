"""Commands of an operator on a lab's appliance, beside its daemon."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import Any

from netboot.lab.lab import Lab


async def netboot(lab: Lab, *words: str) -> Any:
    """Run a command with --json; return what it printed."""
    return json.loads(await printed(lab, *words, "--json"))


async def printed(lab: Lab, *words: str) -> str:
    """Run a command; return what it printed as text."""
    command = (sys.executable, "-m", "netboot", *words, "--config", str(lab.appliance.paths.settings))
    done = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    text, errors = await done.communicate()
    assert done.returncode == 0, (text + errors).decode()
    return text.decode()
