"""The requests to arm hosts and to cancel, the refusal to arm, and the messages of a cancelled arming. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netboot.errors import NetbootError
from netboot.model.host.host import HostName
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot
from netboot.model.install.install import MID_INSTALL, Install, InstallState
from netboot.operate.selection import EVERY_HOST, HostSelection

Reasons = Mapping[HostName, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """Hosts to arm; without names, those of the selection. Without `attempts`, the setting applies."""

    hosts: Sequence[str]
    reason: str = ""
    attempts: int | None = None
    force: bool = False
    selection: HostSelection = EVERY_HOST


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Hosts whose arming is cancelled, also of hosts that are no longer declared; without names, the selected ones."""

    hosts: Sequence[str]
    reason: str = ""
    selection: HostSelection = EVERY_HOST


@dataclass(frozen=True, slots=True)
class ConfirmRequest:
    """A held install whose machine a person confirms. `hold`: the id of what was read; None: what is held now."""

    host: str
    hold: str | None = None
    reason: str = ""

    @property
    def body(self) -> Mapping[str, str | None]:
        """What a request of the API has."""
        return {"hold": self.hold, "reason": self.reason}


class ArmingRefusedError(NetbootError):
    """Hosts that are not armed, with every reason of each. `is_forcible`: --force arms them anyway."""

    code = "arming-refused"

    def __init__(self, reasons: Reasons, *, is_forcible: bool) -> None:
        self.reasons = reasons
        lines = [f"cannot arm {host}: {reason}" for host, found in reasons.items() for reason in found]
        cure = "; correct this, or arm anyway with --force" if is_forcible else ""
        super().__init__("\n".join([*lines, f"nothing was armed{cure}"]))


def arming_refusals(installs: Mapping[HostName, Install], unready: Reasons) -> Reasons:
    """Collect the reasons of each host that cannot be armed: a running install, and why it cannot be installed now."""
    found = {host: [*install.arming_refusals(), *unready.get(host, ())] for host, install in installs.items()}
    return {host: reasons for host, reasons in found.items() if reasons}


def rescue_reasons(host: HostName, request: RequestedBoot | None) -> list[str]:
    """Return why a host is not armed while its rescue is requested; `request` is what its machine boots once."""
    if request is None or request.kind is not OneTimeBoot.RESCUE:
        return []
    return [f"its rescue is requested, and an install would wipe the disk; netboot host rescue {host} --cancel first"]


def cancel_refusals(install: Install) -> list[str]:
    """Return why there is nothing to cancel; empty: the host is armed."""
    return [] if install.is_armed else [f"{install.host} is not armed"]


def confirm_refusals(install: Install) -> list[str]:
    """Return why there is nothing to confirm; empty: its install is held."""
    return [] if install.hold is not None else [f"{install.host} is not held"]


def cancel_notes(before: Install) -> list[str]:
    """Return what a cancel did, and what it cannot undo."""
    host, state = before.host, before.state
    is_mid_install = state in MID_INSTALL
    if not before.is_armed:
        found = [f"{host} was not armed; nothing was changed"]
    else:
        found = [f"{host} is no longer armed" if is_mid_install else f"{host} is not armed; it boots its own disk"]
    if state is InstallState.INSTALLING:
        found.append(
            f"{host} is installing: its installer was allowed to wipe the disk, and continues; this cannot be "
            "undone; its end is still recorded, and its next network boot is directed to its own disk"
        )
    elif before.is_armed and is_mid_install:
        found.append(f"{host} is loading its installer, which is stopped before it writes to the disk")
    return found
