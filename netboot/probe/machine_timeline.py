"""The timeline of one simulated machine, in the steps that the server's record of a boot has."""

from collections.abc import Callable
from dataclasses import dataclass, field

from netboot.model.install.event import Step


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """One thing that the machine sent or received. `at_s` counts from its power-on; `took_s` ends then."""

    at_s: float
    step: Step
    text: str
    size_bytes: int | None = None
    took_s: float | None = None


@dataclass(slots=True)
class MachineTimeline:
    """The events of one machine in their order; `report` gets each one as it is added, for progress."""

    clock: Callable[[], float]
    report: Callable[[ClientEvent], object] = lambda _: None
    events: list[ClientEvent] = field(default_factory=list)
    _began_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    @property
    def now_s(self) -> float:
        """Return the seconds since power-on."""
        return self.clock() - self._began_s

    def add(self, step: Step, text: str, *, size_bytes: int | None = None, since_s: float | None = None) -> None:
        """Add an event of now; `since_s` is when it began, in seconds since power-on."""
        now_s = self.now_s
        took_s = None if since_s is None else now_s - since_s
        event = ClientEvent(now_s, step, text, size_bytes, took_s)
        self.events.append(event)
        self.report(event)
