"""Gathers what a page shows of the boots of one machine: one of them with its timeline and log, and their list."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from netboot.admin.json_views import json_view
from netboot.admin.pages.boots.boot_gantt import BootGantt, boot_gantt
from netboot.admin.pages.boots.shown_log import MOST_LINES, ShownLog, no_log, shown_log
from netboot.admin.texts.boot_text import NO_SIGN, broken_text, duration_text, progress_text, status_text
from netboot.boot_records.shown_captures import BootCaptures
from netboot.boot_records.shown_logs import BootLogs, NoLogError
from netboot.model.words import printable
from netboot.operate.boots.boot_files import file_number
from netboot.operate.boots.boot_history import BootHistory, NoBootError, ShownBoot

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class BootRow:
    """A boot in the list of a machine."""

    number: int
    url: str
    began_at: datetime
    plan: str
    end: str
    took: str
    retries: int
    is_shown: bool
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class MachineBootView:
    """One boot. `status` is what it waits for, `percent` how far what is sent to it now is."""

    number: int
    boots: int
    began_at: datetime
    mac: str
    client: str
    plan: str
    end: str
    ended_at: datetime | None
    is_running: bool
    status: str
    progress: str
    percent: int | None
    broken: str
    gantt: BootGantt
    capture_url: str | None


@dataclass(frozen=True, slots=True)
class BootsView:
    """The boots of a machine, the newest first; `boot` is the shown one, None if none is kept."""

    boot: MachineBootView | None
    rows: tuple[BootRow, ...]
    log: ShownLog

    @property
    def is_running(self) -> bool:
        """Return whether a boot goes on, so that the page changes without an event."""
        return self.boot is not None and self.boot.is_running

    def page(self, name: str, url: str) -> "BootPageView":
        """Return what the page of the shown boot has; `url` is the page of its machine."""
        return BootPageView(name, url, self)


@dataclass(frozen=True, slots=True)
class BootPageView:
    """What the page of one boot shows."""

    name: str
    url: str
    boots: BootsView


@dataclass(frozen=True, slots=True)
class MachineBoots:
    """Reads boots, logs and captures. `page_url` returns the URL of the page of a machine."""

    history: BootHistory
    logs: BootLogs
    captures: BootCaptures
    now: Callable[[], datetime]

    async def of(self, name: str, *, page_url: str, number: int = 0) -> BootsView:
        """Show a boot of a machine, 0: the last one; raise UnknownHostError, NoBootError, StoreError."""
        shown = await self.history.all(name)
        if number and not any(each.number == number for each in shown):
            raise NoBootError(f"no boot {number} of {name} is kept; there are {len(shown) or 'none'}")
        chosen = shown[number - 1] if shown else None
        rows = tuple(_row(each, page_url, is_shown=each is chosen) for each in reversed(shown))
        if chosen is None:
            return BootsView(None, rows, await self._log(name, 0, page_url, is_last=True))
        began, place = [each.record.began_at for each in shown], chosen.number or len(shown)
        log = file_number(began, place, await self.logs.began(name))
        capture = file_number(began, place, await self.captures.began(name))
        view = await self._boot(name, chosen, capture)
        return BootsView(view, rows, await self._log(name, log, page_url, is_last=chosen is shown[-1]))

    async def _boot(self, name: str, shown: ShownBoot, capture: int | None) -> MachineBootView:
        record, found = shown.record, json_view(shown)
        facts = (record.facts.arch, record.facts.protocol, record.facts.vendor_class, record.facts.address)
        return MachineBootView(
            shown.number or 1,
            shown.boots or 1,
            record.began_at,
            record.mac,
            printable(", ".join(fact for fact in facts if fact)),
            record.plan,
            _end(found),
            record.ended_at,
            shown.wait is not None or shown.progress is not None,
            NO_SIGN if shown.is_inactive else status_text(found) if record.end is None else "",
            printable(progress_text(found["progress"])) if shown.progress is not None else "",
            shown.progress.percent if shown.progress is not None else None,
            broken_text(found["broken"]) if record.broken is not None else "",
            boot_gantt(shown, await self.history.expected(), self.now()),
            _capture_url(name, capture),
        )

    async def _log(self, name: str, number: int | None, page_url: str, *, is_last: bool) -> ShownLog:
        """Show a log, 0: the last one; None: the boot has none, and lines that come are those of the last boot."""
        is_followed = is_last and self.logs.can_follow
        if number is None and not is_last:
            return no_log(name, "no log of this boot is kept", is_awaited=False)
        try:
            tail = await self.logs.tail(name, boot=number or 0, most_lines=MOST_LINES)
        except NoLogError as error:
            return no_log(name, str(error), is_awaited=is_followed)
        shown = shown_log(name, tail, page_url=page_url, is_followed=is_followed)
        return shown if number is not None else replace(shown, lines=(), problem="no line of this boot came so far")


def _row(shown: ShownBoot, page_url: str, *, is_shown: bool) -> BootRow:
    record, found = shown.record, json_view(shown)
    return BootRow(
        shown.number or 1,
        f"{page_url}/boots/{shown.number}",
        record.began_at,
        record.plan,
        _end(found),
        duration_text(found),
        record.retries,
        is_shown,
        bool(record.overdue),
    )


def _end(found: Any) -> str:
    return str(found["end"] or ("inactive" if found["inactive"] else "running"))


def _capture_url(name: str, number: int | None) -> str | None:
    path = f"/api/v1/installs/{quote(name, safe='')}/capture"
    return f"{path}?{urlencode({'boot': number})}" if number is not None else None


def boot_number(request: web.Request) -> int:
    """Read the number of a boot; raise HTTPNotFound."""
    number = request.match_info["boot"]
    if not _NUMBER.fullmatch(number):
        raise web.HTTPNotFound(text="a boot has a number; 1 is the oldest")
    return int(number)
