"""Plays the first boot of an installed system: Ignition, and the units by which it reports that it is up."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from netboot.ignition.resource import content_of
from netboot.ignition.schema import Json
from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.ignition_config import IGNITION_CLIENT, IgnitionConfig
from netboot.probe.installer.install_reports import SCRIPT_CURL
from netboot.probe.installer.installed_system import InstalledSystem
from netboot.probe.installer.installer_run import InstallerMachine

_URL: Final = re.compile(r"https?://[^\s'\"]{1,2048}")
_REPORT: Final = re.compile(r".+?/report/[\w-]+/(ready|log)(?![\w/-])")
_LARGEST_SCRIPT: Final = 1 << 20
_COMMAND: Final = re.compile(r"^ExecStart=(.*)$", re.MULTILINE)
_REFUSED: Final = (403, 404, 409, 410)
_TRIES: Final = 10  # of the script's 60: seven minutes
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class FirstBoot:
    """What a first boot was. `config` is all that Ignition applies, with the keys of the cluster."""

    ended_at: Step
    config: Json = field(repr=False)
    resources: int
    notes: tuple[str, ...] = ()


async def first_boot(
    machine: InstallerMachine,
    installed: InstalledSystem,
    *,
    until: Step,
    spends: bool,
    planned_ignition: str | None = None,
) -> FirstBoot | None:
    """Play it up to the step `until`; raise BootFailedError where Ignition stops.

    Without `spends` no URL with a token is requested: `planned_ignition` is what the server plans to be merged, or None
    if that is not known; then nothing is played.
    """
    order = tuple(Step)
    if order.index(until) < order.index(Step.IGNITION):
        return None
    async with HttpClient(machine, IGNITION_CLIENT) as client, HttpClient(machine, SCRIPT_CURL) as curl:
        ignition = IgnitionConfig(machine, client)
        config = await _config(machine, ignition, installed, spends=spends, planned=planned_ignition)
        if config is None:
            return None
        text = f"Ignition merged: {len(list(_files(config)))} files, {len(_units(config))} units"
        machine.timeline.add(Step.IGNITION, text)
        if until is Step.IGNITION or not spends:
            return FirstBoot(Step.IGNITION, config, ignition.resources)
        notes = await _report_ready(machine, curl, config)
        return FirstBoot(Step.IGNITION if notes else Step.READY, config, ignition.resources, notes)


async def _config(
    machine: InstallerMachine,
    ignition: IgnitionConfig,
    installed: InstalledSystem,
    *,
    spends: bool,
    planned: str | None,
) -> Json | None:
    """Return the merged configuration, from the network, from /boot, or as it is planned."""
    if not spends:
        if planned is None:
            machine.timeline.add(Step.IGNITION, "not requested: its URL has a token")
            return None
        text = "as the server plans it, without its secrets; its URL has a token, so it is not requested"
        machine.timeline.add(Step.IGNITION, text)
        return _plan(planned)
    url = installed.ignition_url
    if url is not None:
        began_s = machine.timeline.now_s
        config = await ignition.fetch(url)
        machine.timeline.add(Step.IGNITION, "Ignition fetched", since_s=began_s)
        return config
    if installed.embedded_ignition is not None:
        machine.timeline.add(Step.IGNITION, "Ignition read from the archive in /boot")
        return await ignition.merge(installed.embedded_ignition)
    raise BootFailedError(
        Step.IGNITION,
        "the kernel line has no ignition.config.url and /boot no archive: the node boots unconfigured",
        cure="correct the template kickstart/node.ks.j2: bootloader --append, or include kickstart/embed.ks.j2",
    )


def _plan(text: str) -> Json:
    """Read what is planned to be merged. Its secrets are hidden, so its contents are not verified."""
    try:
        config = json.loads(text)
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise BootFailedError(
            Step.IGNITION, "the server cannot plan the Ignition of this host", cure="netboot plan HOST prints why"
        )
    return config


async def _report_ready(machine: InstallerMachine, curl: HttpClient, config: Json) -> tuple[str, ...]:
    """Send what the enabled units send: lines of the journal, then that the system is up; return what was not sent."""
    urls = dict(_reports(config))
    if "log" in urls:
        line = {"PRIORITY": "6", "SYSLOG_IDENTIFIER": "ignition", "MESSAGE": "simulated first boot", "__CURSOR": "s=0"}
        with suppress(BootFailedError):
            await curl.post(urls["log"], json.dumps(line).encode() + b"\n", step=Step.IGNITION, any_status=True)
    if "ready" not in urls:
        machine.timeline.add(Step.READY, "note: no enabled unit reports ready, so the appliance never sees this system")
        return ("no enabled unit reports ready",)
    pause_s, status = 1.0, 0
    for _ in range(_TRIES):
        try:
            status = (await curl.post(urls["ready"], b"", step=Step.READY, any_status=True)).status
        except BootFailedError:
            status = 0
        if 200 <= status < 300:
            machine.timeline.add(Step.READY, "report ready: acknowledged")
            return ()
        if status in _REFUSED:
            break
        await asyncio.sleep(machine.behaviour.wait_s(pause_s))
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    raise BootFailedError(
        Step.READY,
        f"the report ready is not acknowledged (HTTP {status:03}): the system runs, and the appliance does not know it",
        cure="netboot install show HOST; its install may have ended, or its address changed",
        evidence=(f"POST /report/…/ready: status {status:03}",),
    )


def _reports(config: Json) -> Iterator[tuple[str, str]]:
    """Yield event and URL of each report in the scripts that enabled units start."""
    files = dict(_files(config))
    enabled = [unit.get("contents") or "" for unit in _units(config) if unit.get("enabled")]
    words = [word for text in enabled for command in _COMMAND.findall(text) for word in command.split()]
    for path in dict.fromkeys(words):  # each script once, however often units name it
        for url in _URL.findall(files.get(path, b"")[:_LARGEST_SCRIPT].decode("utf-8", "replace")):
            if (found := _REPORT.match(url)) is not None:
                yield found[1], found[0]


def _files(config: Json) -> Iterator[tuple[str, bytes]]:
    for file in config.get("storage", {}).get("files", []):
        yield file.get("path", ""), content_of(file.get("contents", {})) or b""


def _units(config: Json) -> list[Json]:
    units: list[Json] = config.get("systemd", {}).get("units", [])
    return units
