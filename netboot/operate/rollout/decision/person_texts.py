"""What a person does in a rollout: where a machine has no BMC, and where no command is configured. Pure."""

from dataclasses import dataclass
from typing import Final

from netboot.model.host.host import HostName
from netboot.model.rollout.command import FILE_OF, CommandKind

PRESS: Final = "power the machine on and let it boot from the network once (often F12 at its start)"
DONE: Final = "done by a person"
CHECK_FIRST: Final = f"examine the machine first: unless it boots from the network or its installer writes, {PRESS}"
CONFIRM: Final = "netboot cluster rollout confirm"
# Where no command is configured, these are done as soon as their file is set.
SET_BY_FILE: Final = frozenset(FILE_OF)

COPY_INIT: Final = (
    "copy init.ign from the appliance on which the first start ran, then netboot cluster ignition set init init.ign; "
    "the start is not run again, because it would make the keys of another cluster"
)
LOST_START: Final = (
    "the appliance that began the first start ended before it stored how that ended, and a start here may make the "
    "keys of another cluster; if it has printed its whole file there (init.ign, or init.ign.printed or "
    "init.ign.printed.failed beside its place): netboot cluster ignition set init FILE; if none of them is there, "
    "remove what the start made, if it has run, then netboot cluster rollout cancel, and begin a new rollout"
)
NO_FILE: Final = "it succeeded, but no file of it is in place that may be used; look for what removes or replaces it"

_JOIN: Final = "run ocne cluster join -c byo.yaml -k KUBECONFIG"
_SET: Final = "then netboot cluster ignition set"
_OF_COMMANDS: Final = {
    CommandKind.START: f"run ocne cluster start -c byo.yaml > init.ign, {_SET} init init.ign",
    CommandKind.START_AGAIN: f"run ocne cluster start -c byo.yaml again (network and catalog), then {CONFIRM}",
    CommandKind.JOIN_CONTROL_PLANE: f"{_JOIN} -n 1 > cp.ign and what it prints, {_SET} control-plane cp.ign",
    CommandKind.JOIN_WORKER: f"{_JOIN} -w 1 > w.ign and what it prints, {_SET} worker w.ign",
    CommandKind.DRAIN: f"run kubectl drain {{host}} --ignore-daemonsets --delete-emptydir-data, then {CONFIRM}",
    CommandKind.RESET: 'run echo "chroot /hostroot kubeadm reset -f" | ocne cluster console --node {host}, '
    f"then {CONFIRM}",
    CommandKind.DELETE: f"run kubectl delete node {{host}}, then {CONFIRM}",
}


@dataclass(frozen=True, slots=True)
class ToPress:
    """What a person does for a machine in place of its BMC. `is_sent`: a reset was or may have been sent to it."""

    text: str
    is_sent: bool = False


def of_command(kind: CommandKind, replaces: HostName | None) -> str:
    """Return what a person runs in place of a command that is not configured."""
    return _OF_COMMANDS[kind].format(host=replaces or "NODE")


def power_again(host: HostName) -> str:
    """Return what a person does for a machine whose BMC has not powered it on."""
    return f"netboot power pxe {host}, or {PRESS}"


def not_booted(host: HostName) -> str:
    """Return what a person does for a machine that its BMC has powered on, or will, and that does not boot."""
    return f"look at its screen, then {power_again(host)}"


def of_printed(count: int) -> str:
    """Return what a person does with commands that `ocne cluster join` printed."""
    what = "the command that it printed" if count == 1 else f"the {count} commands that it printed"
    return f"run {what} (netboot cluster rollout show --commands), then {CONFIRM}"
