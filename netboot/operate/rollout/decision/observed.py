"""What is known of the hosts, the files and the cluster when a rollout decides what is done next. Values only."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.host.role_ignition import LIFETIMES, RoleUse, SecretKind
from netboot.model.install.install import Install, InstallState
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import Rollout, RolloutHost

# Of the secret of a file that ends first.
FIRST_LIFETIME: Final = {
    RoleUse.CONTROL_PLANE: LIFETIMES[SecretKind.CERTIFICATE_KEY],
    RoleUse.WORKER: LIFETIMES[SecretKind.BOOTSTRAP],
}
# Of two clocks: what ends later than it can was made by one that was wrong.
SKEW: Final = timedelta(minutes=1)
# A machine that fetched its file joins within this time: the secrets of a file are not given to it later.
MARGIN: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ObservedInstall:
    """The install of a host. `note`: why it failed; `hold`: why a person confirms its machine first.

    `armed_at`, `armed_for`: when and with which reason it was armed. A new arming ends its tokens.
    """

    state: InstallState = InstallState.REGISTERED
    is_armed: bool = False
    changed_at: datetime | None = None
    ignition_sha256: str | None = None  # of the token of its last boot into the installer
    note: str = ""
    hold: str | None = None
    armed_at: datetime | None = None
    armed_for: str = ""

    @classmethod
    def of(cls, install: Install, ignition_sha256: str | None, note: str = "") -> "ObservedInstall":
        hold = f"{install.hold.what}; {install.hold.cure(install.host)}" if install.hold is not None else None
        at, reason = (install.arming.at, install.arming.reason) if install.arming is not None else (None, "")
        return cls(install.state, install.is_armed, install.changed_at, ignition_sha256, note, hold, at, reason)

    def is_armed_by(self, rollout: Rollout, each: RolloutHost) -> bool:
        """Return whether its arming is that of the host's attempt, or the one that the rollout adopted."""
        is_adopted = self.armed_at is not None and self.armed_at == each.armed_at
        return self.is_armed and (is_adopted or self.armed_for == rollout.arming_reason(each))


NOTHING_SEEN: Final = ObservedInstall()


@dataclass(frozen=True, slots=True)
class FileInPlace:
    """The Ignition file of a use that is in place; its first secret ends at `until`, None: it has none that ends."""

    sha256: str
    until: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Return whether a machine that fetches it now has time to join."""
        return self.until is None or self.until - now > MARGIN

    @property
    def permitted_until(self) -> datetime | None:
        return None if self.until is None else self.until - MARGIN


@dataclass(frozen=True, slots=True)
class Observed:
    """`nodes_ready`: those for which `cluster.commands.ready` succeeded; `arming`: those that are being armed."""

    installs: Mapping[HostName, ObservedInstall] = field(default_factory=dict)
    files: Mapping[RoleUse, FileInPlace] = field(default_factory=dict)
    api_answers: bool = False
    nodes_ready: Collection[HostName] = frozenset()
    arming: Collection[HostName] = frozenset()

    def install(self, host: HostName) -> ObservedInstall:
        return self.installs.get(host, NOTHING_SEEN)

    def file(self, use: RoleUse, now: datetime) -> FileInPlace | None:
        """Return the file of a use if a machine may be given it now.

        One that would last longer than its secrets can was made by a clock that was ahead: its secrets may have ended.
        """
        found, lifetime = self.files.get(use), FIRST_LIFETIME.get(use)
        if found is None or not found.lasts(now):
            return None
        is_ahead = lifetime is not None and found.until is not None and found.until - now > lifetime + SKEW
        return None if is_ahead else found


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that a rollout obeys. `configured`: the commands that are run; a person runs the others."""

    configured: Collection[CommandKind] = frozenset()
    has_ready_check: bool = False
    boot_limit: timedelta = timedelta(minutes=15)
    install_limit: timedelta = timedelta(hours=1)
    api_limit: timedelta = timedelta(minutes=30)
    join_limit: timedelta = timedelta(minutes=30)
