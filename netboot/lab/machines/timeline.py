"""The steps of one machine's boot from the daemon's events, with seconds since power-on. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from netboot.model.install.event import Step

_NEVER_DUE: Final = frozenset({Step.PXE_REQUEST, Step.FAILED})  # not every firmware requests on port 4011
_ORDER: Final = tuple(step for step in Step if step not in _NEVER_DUE)


@dataclass(frozen=True, slots=True)
class ReachedStep:
    host: str
    step: Step
    seconds: float
    note: str = ""


class BootTimeline:
    """The steps of one machine since power-on, each with the time when it was first reached."""

    def __init__(self, host: str, powered_on: datetime) -> None:
        self.host = host
        self.powered_on = powered_on
        self.moments: dict[Step, ReachedStep] = {}
        self.last: Step | None = None  # the newest step, also a repeated one
        self.percent: int | None = None  # of the OSTree pull
        self.is_embedded = False  # the Ignition: the installed system requests none

    @property
    def is_over(self) -> bool:
        """Whether the machine is ready, or an attempt failed."""
        return Step.READY in self.moments or Step.FAILED in self.moments

    @property
    def waits_for(self) -> Step:
        """The step after the furthest one reached."""
        order = [step for step in _ORDER if not (self.is_embedded and step is Step.IGNITION)]
        reached = [index for index, step in enumerate(order) if step in self.moments]
        return order[min(max(reached, default=-1) + 1, len(order) - 1)]

    def take(self, event: Mapping[str, Any]) -> ReachedStep | None:
        """Add one event of the daemon's stream; return the step if it is new for this machine.

        A pull is also reported at each fifth; its time is that of the first report.
        """
        if event["host"] != self.host:
            return None
        self.is_embedded |= event["event"] == "boot.ignition_embedded"
        if event["step"] is None:
            return None
        step = Step(event["step"])
        self.last = step
        went_on = step is Step.OSTREE and self._pulled(event["data"].get("percent"))
        if step in self.moments and not went_on:
            return None
        seconds = (datetime.fromisoformat(event["at"]) - self.powered_on).total_seconds()
        moment = ReachedStep(self.host, step, seconds, note=_note(step, event["data"]))
        self.moments.setdefault(step, moment)
        return moment

    def _pulled(self, percent: int | None) -> bool:
        if percent is None:
            return False
        before, self.percent = self.percent or 0, percent
        return percent // 20 > before // 20

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        steps = [{"step": moment.step, "seconds": round(moment.seconds, 1)} for moment in self.moments.values()]
        return {"host": self.host, "ready": Step.READY in self.moments, "steps": steps}


def _note(step: Step, data: Mapping[str, Any]) -> str:
    match step:
        case Step.OFFER | Step.LOADER:
            return str(data.get("boot_file") or data.get("name") or "")
        case Step.OSTREE if "percent" in data:
            return f"{data['percent']} %"
        case Step.FAILED:
            return str(data.get("note") or "").strip()
        case _:
            return ""
