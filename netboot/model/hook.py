"""A hook: the events that it gets, and the web server or the command to which they are delivered."""

from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from netboot.model.host.host import HostName
from netboot.model.install.event import Event
from netboot.model.install.install import InstallState

ALL_EVENTS: Final = "*"
ABOUT_HOOKS: Final = "hooks."  # such an event is delivered by no hook: a delivery that fails would cause another one
MOVED: Final = "install.moved"  # the event that `states` restricts


@dataclass(frozen=True, slots=True)
class WebTarget:
    """A URL to which events are posted, signed with the secrets of a file."""

    url: str = field(repr=False)  # may contain a secret, as the URLs of chat services do
    secret_file: Path | None = None
    ca_file: Path | None = None

    def __str__(self) -> str:
        """Return the part of the URL that contains no secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class CommandTarget:
    """A program with its arguments, which may contain secrets; it is run without a shell."""

    command: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.command[0]


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as `netboot.yaml` declares it. `events` has names, `AREA.*`, or `*`; empty `states` or `hosts`: of all."""

    name: str
    target: WebTarget | CommandTarget
    events: tuple[str, ...]
    _: KW_ONLY
    states: frozenset[InstallState] = frozenset()
    hosts: frozenset[HostName] = frozenset()
    timeout_s: int = 10

    def selects(self, event: Event) -> bool:
        """Return whether the hook gets an event."""
        area = event.name.partition(".")[0]
        if event.name.startswith(ABOUT_HOOKS) or {ALL_EVENTS, f"{area}.*", event.name}.isdisjoint(self.events):
            return False
        if self.hosts and event.host not in self.hosts:
            return False
        if not self.states or event.name != MOVED:
            return True
        before, after = event.data.get("from"), event.data.get("to")
        return after in self.states and after != before  # an arming is an event too, and changes no state
