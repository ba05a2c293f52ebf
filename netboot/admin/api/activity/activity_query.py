"""The filter of activity in the query of a URL: the same one for the API, its export and the page."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from netboot.admin.api.request_models import RequestModel
from netboot.events.activity import EVENT_PATTERN, MOST_ON_A_PAGE, ActivityFilter
from netboot.model.host.host import HostName
from netboot.model.host.mac import Mac

ON_A_PAGE: Final = 100
_MOST_ID: Final = 10**18
_AGE: Final = re.compile(r"([0-9]{1,4})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Text = Annotated[str, Field(max_length=256)]


def _mac(text: Any) -> Any:
    return text and Mac.parse(text)


class ActivityQuery(RequestModel):
    """Which events are shown; an empty field excludes none."""

    host: Text = Field("", description="the name of a host, also of one that is not declared any more")
    mac: Annotated[str, BeforeValidator(_mac)] = Field(
        "", description="the address of a network card, as 52:54:00:aa:bb:01"
    )
    event: str = Field(
        "",
        description="the name of an event, as boot.offered, or an area, as boot.*",
        pattern=f"^({EVENT_PATTERN})?$",
    )
    actor: Text = Field("", description="who requested a change: a user, a token, or the uid of a command")
    since: Text = Field("", description="a time, as 2026-11-29T02:00 (UTC without an offset), or an age, as 30m or 7d")
    until: Text = Field("", description="a time or an age, as since has it; events at it are left out")
    audit: Literal["", "0", "1"] = Field("", description="1 for what somebody requested alone, else 0")
    before: int | None = Field(None, ge=1, lt=_MOST_ID, description="the id of an event: only older ones")

    def filter(self, now: datetime) -> ActivityFilter:
        """Return the filter; raise ValueError with a sentence for a time that is none."""
        return ActivityFilter(
            host=HostName(self.host.strip()) if self.host.strip() else None,
            mac=Mac(self.mac) if self.mac else None,
            event=self.event,
            actor=self.actor.strip(),
            since=_time("since", self.since.strip(), now),
            until=_time("until", self.until.strip(), now),
            is_audit=self.audit == "1",
            before=self.before,
        )


class ActivityPageQuery(ActivityQuery):
    """A filter, and how many events a page has."""

    limit: int = Field(
        ON_A_PAGE,
        ge=1,
        le=MOST_ON_A_PAGE,
        description=f"how many events the answer has at most, 1 to {MOST_ON_A_PAGE}",
    )


def _time(key: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    if age := _AGE.fullmatch(text):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        description = ActivityQuery.model_fields[key].description
        raise ValueError(f"{key} is {description}") from None
