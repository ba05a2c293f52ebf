"""What every page shows around its content: navigation, user, messages."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from netboot.content.library.uploads import UploadState
from netboot.model.install.install import InstallState
from netboot.model.rollout.rollout import Phase, RolloutState
from netboot.operate.content.verifications import VerificationState
from netboot.operate.updates.updates_board import UpdateState

NAVIGATION: Final = (
    ("/", "Rack"),
    ("/machines", "Machines"),
    ("/content", "Content"),
    ("/updates", "Updates"),
    ("/cluster", "Cluster"),
    ("/rollout", "Rollout"),
    ("/activity", "Activity"),
    ("/throughput", "Throughput"),
    ("/appliance", "Appliance"),
    ("/users", "Users"),
)
SOUND: Final = "sound"
DAMAGED: Final = "damaged"
_COLOURS: Final[Mapping[str, str]] = {
    InstallState.OFFERED: "blue",
    InstallState.LOADING: "blue",
    InstallState.INSTALLING: "blue",
    InstallState.INSTALLED: "blue",
    InstallState.READY: "green",
    InstallState.FAILED: "red",
    UploadState.RECEIVING: "blue",
    UploadState.IMPORTING: "blue",
    UploadState.DONE: "green",
    VerificationState.RUNNING: "blue",
    SOUND: "green",
    DAMAGED: "red",
    UpdateState.CURRENT: "green",
    UpdateState.STAGED: "amber",
    UpdateState.RESTARTING: "blue",
    Phase.POWERING: "blue",
    Phase.NEEDS_PERSON: "amber",
    Phase.JOINING: "blue",
    RolloutState.PAUSED: "amber",
}


@dataclass(frozen=True, slots=True)
class NavigationLink:
    """An entry of the navigation."""

    url: str
    label: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Flash:
    """One sentence about the last change, shown once; `kind` is good, info, warning or bad."""

    kind: str
    text: str

    def cookie(self) -> str:
        """Write it as the value of a cookie."""
        return base64.urlsafe_b64encode(json.dumps([self.kind, self.text]).encode()).decode()

    @classmethod
    def of_cookie(cls, value: str) -> Self | None:
        """Read the value of a cookie; None if it is not one of ours."""
        try:
            kind, text = json.loads(base64.urlsafe_b64decode(value))
        except (ValueError, TypeError, RecursionError):
            return None
        shown = str(text).encode("utf-8", "replace").decode()  # a surrogate cannot be sent
        return cls(str(kind), shown) if kind in ("good", "info", "warning", "bad") else None


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame of one page. `csrf` is the token of its forms, `last_event` the id of the newest event, or None.

    `role` is that of a login, `login_url` leads to the login of a browser that has none, `refusal` is why this
    requester may change nothing.
    """

    navigation: tuple[NavigationLink, ...]
    user: str
    role: str | None
    login_url: str | None
    refusal: str | None
    csrf: str
    flash: Flash | None
    now: datetime
    version: str
    last_event: int | None
    addresses: Mapping[str, str]  # of static files

    def static(self, name: str) -> str:
        """Return the URL of a static file, which changes with its content."""
        return self.addresses[name]

    @staticmethod
    def colour_of(state: str) -> str:
        """Return the class of a state's colour; empty for a state without one."""
        return _COLOURS.get(state, "")


def navigation_at(path: str) -> tuple[NavigationLink, ...]:
    """Return the navigation; the pages of hosts, and of actions on several, belong to the rack."""
    sections = (*(url for url, _ in NAVIGATION[1:]), "/hosts", "/installs")
    section = next((url for url in sections if path == url or path.startswith(f"{url}/")), path)
    section = "/" if section in ("/hosts", "/installs") else section
    return tuple(NavigationLink(url, label, url == section) for url, label in NAVIGATION)
