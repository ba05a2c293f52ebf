"""Renders the documents of a host and judges them: by the programs of their makers, and by their own hashes.

No document, and no text of one, is in a finding: a program that quotes a line is reported by the line's number.
"""

import asyncio
import hashlib
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import which
from typing import Final

from netboot.boot.documents.ignition_documents import IgnitionPart, IgnitionSet
from netboot.doctor.doctor_finding import DoctorFinding, Level
from netboot.doctor.host.host_facts import HostFacts
from netboot.errors import ContentError, RenderError
from netboot.ignition.check import read_ignition
from netboot.model import urls
from netboot.model.host.host import Host
from netboot.operate.planning.host_plan import PLAN_TOKENS, HostPlanner

KICKSTART: Final = "host.kickstart"
IGNITION: Final = "host.ignition"
_TIMEOUT_S: Final = 30.0
_UNKNOWN_MAJOR: Final = 9  # the Kickstart for a medium whose release is not known is written for 9 and later
_LINE: Final = re.compile(r"\bline (\d+)")
_PLACE: Final = re.compile(r"\bat (\$\.[\w.\[\]]+)|line (\d+)")
_NO_PROGRAM: Final = "{} is not installed"


async def check_kickstart(facts: HostFacts, host: Host) -> tuple[list[DoctorFinding], str | None]:
    """Render the Kickstart and let ksvalidator read it; return why it was not read, else None."""
    planner = HostPlanner(facts.content.registry.documents, host, host.mac, facts.base_url)
    plan = await planner.plan({})
    if plan.kickstart.startswith("# cannot "):
        return [], "it cannot be rendered, as host.ready states"
    program = _program("ksvalidator")
    if program is None:
        return [], _NO_PROGRAM.format("ksvalidator")
    major = await facts.content.registry.documents.content.installer_major(host) or _UNKNOWN_MAJOR
    status, output = await _run(program, ["--version", f"RHEL{major}", "--firsterror"], "node.ks", plan.kickstart)
    if status == 0:
        return [], None
    found = _LINE.search(output)
    where = f"line {found[1]} of it" if found else "it"
    sentence = f"ksvalidator refuses the Kickstart of {host.name} for RHEL{major}"
    cure = f"netboot plan {host.name} shows it; correct the template or the value that {where} has"
    return [DoctorFinding(KICKSTART, Level.PROBLEM, sentence, (where,), cure)], None


async def check_ignition(facts: HostFacts, host: Host) -> tuple[list[DoctorFinding], str | None]:
    """Render the Ignition, compare the hashes in the wrapper, and let ignition-validate read each part."""
    documents = facts.content.registry.documents
    try:
        made = await documents.ignition.render(
            host, PLAN_TOKENS, mac=host.mac, base_url=facts.base_url, is_embedded=documents.embeds_ignition
        )
    except (RenderError, ContentError):
        return [], "it cannot be rendered, as host.ready states"
    found = list(_hash_faults(made, facts.base_url))
    program = _program("ignition-validate")
    if program is None:
        return found, _NO_PROGRAM.format("ignition-validate")
    for part in (IgnitionPart.WRAPPER, IgnitionPart.ROLE, IgnitionPart.OVERLAY):
        output = await _refusal(program, made[part].decode("utf-8", "replace"))
        if output is not None:
            places = sorted({place or f"line {line}" for place, line in _PLACE.findall(output)})
            sentence = f"ignition-validate refuses the {part} of {host.name}"
            cure = "correct the template (ignition/*), or have ocne write the role's file again"
            found.append(DoctorFinding(IGNITION, Level.WARNING, sentence, tuple(places[:10]), cure))
    return found, None


async def _refusal(program: str, text: str) -> str | None:
    """Return what ignition-validate prints of a document that it refuses; None if it accepts it."""
    status, output = await _run(program, [], "part.ign", text)
    if status != 0 and "version" in output:  # Debian 12's Ignition (2.14) reads up to 3.3
        status, output = await _run(program, [], "part.ign", _lowered(text, "3.3.0"))
    return output if status != 0 else None


def _hash_faults(made: IgnitionSet, base_url: str) -> Iterator[DoctorFinding]:
    """Compare the hashes that the wrapper states with the parts, as Ignition does before it uses them."""
    wrapper = read_ignition(made[IgnitionPart.WRAPPER]).config
    ours = {
        urls.ignition(base_url, PLAN_TOKENS.ignition, part.value): made[part]
        for part in (IgnitionPart.ROLE, IgnitionPart.OVERLAY)
    }
    named: Sequence[Mapping[str, Mapping[str, str]]] = wrapper.get("ignition", {}).get("config", {}).get("merge", [])
    for resource in named:
        content = ours.get(str(resource.get("source")))
        stated = resource.get("verification", {}).get("hash")
        if content is not None and stated != f"sha512-{hashlib.sha512(content).hexdigest()}":
            sentence = "the Ignition wrapper states another hash than its part has, so Ignition stops"
            yield DoctorFinding(IGNITION, Level.PROBLEM, sentence, cure="report this fault of netboot")


def _program(name: str) -> str | None:
    """Find a program in the path, or installed by pip beside this Python."""
    return which(name) or which(name, path=str(Path(sys.executable).parent))


def _lowered(text: str, version: str) -> str:
    return re.sub(r'("version"\s*:\s*")3\.[4-9]\.\d+(")', rf"\g<1>{version}\g<2>", text, count=1)


async def _run(program: str, options: Sequence[str], name: str, text: str) -> tuple[int, str]:
    """Run a program on a document in a private directory; return its status and what it printed."""
    with tempfile.TemporaryDirectory(prefix="netboot-doctor-") as directory:
        file = Path(directory, name)
        await asyncio.to_thread(file.write_text, text)
        process = await asyncio.create_subprocess_exec(
            program,
            *options,
            str(file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            return -1, f"no result in {_TIMEOUT_S:.0f} s"
        return process.returncode or 0, output.decode("utf-8", "replace")
