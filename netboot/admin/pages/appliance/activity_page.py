"""The page of activity: what happened and who requested it, newest first, with a filter in the URL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web
from pydantic import ValidationError

from netboot.admin.api.activity.activity_query import ON_A_PAGE, ActivityQuery
from netboot.admin.pages.page_engine import PageEngine
from netboot.events.activity import ActivityFilter, ActivityLog, ActivityPage
from netboot.model.install.event import Event, Step, actor_in
from netboot.operate.boots.event_sentence import event_sentence

URL: Final = "/activity"
_FIELDS: Final = ("host", "mac", "event", "actor", "since", "until", "audit")
_PERIODS: Final = (("1h", "last hour"), ("24h", "last day"), ("7d", "last week"))
_ALARM: Final = "boot.alarm_raised"


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One event. `url` leads to its host, `tone` is the class of its colour, empty for most."""

    id: int
    at: datetime
    event: str
    subject: str
    url: str
    actor: str
    text: str
    tone: str


@dataclass(frozen=True, slots=True)
class FilterLink:
    """A filter that is one click away."""

    label: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class ActivityView:
    """What the page shows. `values` are those of the form, `fault` is why they are refused."""

    values: Mapping[str, str]
    areas: Sequence[str]
    names: Sequence[str]
    links: Sequence[FilterLink]
    rows: Sequence[ActivityRow]
    older_url: str | None
    newest_url: str | None
    csv_url: str
    lines_url: str
    fault: str | None

    @property
    def is_filtered(self) -> bool:
        """Some events are left out."""
        return any(self.values.values())


class ActivityPages:
    """Serves the page."""

    def __init__(self, activity: ActivityLog, engine: PageEngine, *, now: Callable[[], datetime]) -> None:
        self._activity, self._engine, self._now = activity, engine, now

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/activity", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """Show the newest events that match, or those before one."""
        values = {key: request.query.get(key, "").strip() for key in _FIELDS}
        before = request.query.get("before", "")
        wanted, fault = _filter({**values, "before": before}, self._now())
        found = await self._activity.page(wanted, limit=ON_A_PAGE) if wanted is not None else ActivityPage(())
        view = activity_view(values, await self._activity.names(), found, before=before, fault=fault)
        return await self._engine.answer(request, "activity.html.j2", status=400 if fault else 200, page=view)


def activity_view(
    values: Mapping[str, str], names: Sequence[str], found: ActivityPage, *, before: str = "", fault: str | None = None
) -> ActivityView:
    """Return what the page shows of the events that were `found`."""
    return ActivityView(
        values,
        sorted({f"{name.partition('.')[0]}.*" for name in names}),
        names,
        _links(values),
        [_row(event) for event in found.events],
        None if found.older_before is None else _url(URL, {**values, "before": str(found.older_before)}),
        _url(URL, values) if before else None,
        _url("/api/v1/activity.csv", values),
        _url("/api/v1/activity.jsonl", values),
        fault,
    )


def _filter(given: Mapping[str, str], now: datetime) -> tuple[ActivityFilter | None, str | None]:
    """Read the fields of the form; return the filter, or why it is refused."""
    try:
        return ActivityQuery.model_validate({key: text for key, text in given.items() if text}).filter(now), None
    except ValidationError as error:
        key = str(error.errors()[0]["loc"][0])
        return None, f"{key} is {ActivityQuery.model_fields[key].description}"
    except ValueError as error:
        return None, str(error)


def _links(values: Mapping[str, str]) -> list[FilterLink]:
    """Offer what is requested often: what people requested, alarms, and periods."""
    is_audit, is_alarm = values["audit"] == "1", values["event"] == _ALARM
    audit = _url(URL, {**values, "audit": "" if is_audit else "1"})
    alarms = _url(URL, {**values, "event": "" if is_alarm else _ALARM})
    periods = [
        FilterLink(label, _url(URL, {**values, "since": "" if values["since"] == age else age}), values["since"] == age)
        for age, label in _PERIODS
    ]
    return [FilterLink("requested by people", audit, is_audit), FilterLink("alarms", alarms, is_alarm), *periods]


def _row(event: Event) -> ActivityRow:
    subject = event.host or event.mac or ""
    return ActivityRow(
        event.id,
        event.at,
        event.name,
        subject,
        _page_of(event),
        actor_in(event.data) or "",
        event_sentence(event),
        _tone(event),
    )


def _page_of(event: Event) -> str:
    """Return the URL of the host or machine of an event; the page of a machine leads to its host, if it has one."""
    if event.host:
        return f"/hosts/{quote(event.host, safe='')}"
    return f"/machines/{event.mac}" if event.mac else ""


def _tone(event: Event) -> str:
    if event.name == _ALARM or event.step is Step.FAILED:
        return "red"
    if event.data.get("outcome") == "refused":
        return "amber"
    return "green" if event.step is Step.READY else ""


def _url(path: str, values: Mapping[str, str]) -> str:
    query = urlencode({key: text for key, text in values.items() if text})
    return f"{path}?{query}" if query else path
