"""The entries of `hooks` in `netboot.yaml`: which events are delivered, and where."""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from netboot.model.hook import ABOUT_HOOKS, ALL_EVENTS, MOVED, CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostName
from netboot.model.install.event_names import EVENT_NAMES
from netboot.model.install.install import InstallState
from netboot.settings.setting_types import SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.faults import did_you_mean, shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import described, refuse
from netboot.yamlfile.value_kinds import ValueKind, choice, matching, whole_number

MOST_HOOKS: Final = 16
_AREAS: Final = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENT_NAMES))
_PATTERNS: Final = (ALL_EVENTS, *_AREAS, *EVENT_NAMES)
_LONGEST: Final = 2048  # characters of a URL or an argument
# RFC 3986 without user, password and fragment: a fragment is not sent.
_URL: Final = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][A-Za-z0-9._~:/?@!$&'*+,;=%()\[\]-]*)?"
)


def _event_pattern(scalar: Scalar) -> str:
    if scalar.text in _PATTERNS:
        return scalar.text
    if scalar.text.startswith(ABOUT_HOOKS):
        cure = "remove it; netboot hooks list and the log show what hooks lack"
        raise refuse("events about hooks are not delivered by hooks", cure)
    raise refuse(f"no such event {shown(scalar.text)}", did_you_mean(scalar.text, _PATTERNS))


def _url(scalar: Scalar) -> str:
    """Read a URL; no message shows it, because it may contain a secret."""
    cure = "write it as https://hooks.example.org/netboot, without user, password, spaces and fragment"
    try:
        is_valid = len(scalar.text) <= _LONGEST and _URL.fullmatch(scalar.text) and urlsplit(scalar.text).port != 0
    except ValueError:  # a port beyond 65535, an address that is none
        is_valid = False
    if not is_valid:
        raise refuse("is not a URL of http or https", cure)
    return scalar.text


def _argument(scalar: Scalar) -> str:
    if len(scalar.text) > _LONGEST:
        raise refuse(f"has {len(scalar.text)} characters", f"write {_LONGEST} at most")
    return scalar.text


EventPattern = Annotated[str, ValueKind(_event_pattern, "name of an event, AREA.* or *", {"enum": list(_PATTERNS)})]
HookUrl = Annotated[str, ValueKind(_url, "URL", matching(_URL))]
Argument = Annotated[str, ValueKind(_argument, "argument", {"type": ["string", "number", "boolean"]})]
AttemptSeconds = Annotated[int, whole_number(1, 25, "seconds, 1–25")]
State = Annotated[InstallState, choice(InstallState)]


class HookSetting(SettingSection):
    """A web server or a command that gets events."""

    name: values.Name = Field(description="The name of the hook in commands, events and counters.", examples=["pager"])
    events: tuple[EventPattern, ...] = Field(description="The events that it gets.", examples=["[install.moved]"])
    states: tuple[State, ...] = described((), "The states of an install to which `install.moved` is delivered.")
    hosts: tuple[values.Name, ...] = described((), "The hosts whose events are delivered.")
    url: HookUrl | None = Field(
        default=None,
        repr=False,  # may contain a secret
        description="The URL to which each event is posted.",
    )
    secret_file: values.SecretFile | None = described(None, "The file with the secret that signs each request.")
    ca_file: values.FilePath | None = described(None, "The CA of the web server, in PEM.")
    command: tuple[Argument, ...] = Field(
        default=(), repr=False, description="A command with its arguments, instead of a URL."
    )
    timeout_s: AttemptSeconds = described(10, "The duration of one attempt, in seconds.")

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if not self.events:
            raise refuse("names no event", "write one at least, as [install.moved]", key="events")
        if (self.url is None) == (not self.command):
            raise refuse("needs either url or command", "write one of the two")
        if self.command and not Path(self.command[0]).is_absolute():
            raise refuse("does not begin with an absolute path", "write it as [/usr/local/bin/notify]", key="command")
        for key in ("secret_file", "ca_file"):
            if self.command and getattr(self, key) is not None:
                raise refuse("is for a url only", "remove it", key=key)
        if self.ca_file is not None and not str(self.url).startswith("https:"):
            raise refuse("is for an https URL only", "remove it, or correct url", key="ca_file")
        if self.states and not {ALL_EVENTS, "install.*", MOVED} & set(self.events):
            raise refuse(f"needs {MOVED} among the events", f"add {MOVED} to events", key="states")
        return self

    def hook(self) -> Hook:
        """Return the hook for the deliveries."""
        target = CommandTarget(self.command) if self.url is None else WebTarget(
            self.url, self.secret_file, self.ca_file
        )  # fmt: skip
        return Hook(
            self.name,
            target,
            self.events,
            states=frozenset(self.states),
            hosts=frozenset(map(HostName, self.hosts)),
            timeout_s=self.timeout_s,
        )


def named_once(hooks: tuple[HookSetting, ...]) -> tuple[HookSetting, ...]:
    """Refuse hooks of one name, and more hooks than the daemon serves."""
    for name, times in Counter(hook.name for hook in hooks).items():
        if times > 1:
            raise refuse(f"{name} is named {times} times", "give each hook its own name")
    if len(hooks) > MOST_HOOKS:
        raise refuse(f"has {len(hooks)} entries", f"declare {MOST_HOOKS} hooks at most")
    return hooks
