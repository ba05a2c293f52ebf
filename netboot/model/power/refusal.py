"""Why a power action on a host is refused. Pure.

A reset during the first boot of the installed system leaves `ignition.firstboot=1`: Ignition runs again and hangs
(ock#10, #41; fedora-coreos-tracker#1970). Nobody sees when that boot begins, so that it counts from the end of the
install until the node reports `ready`.
"""

from netboot.model.install.install import Install, InstallState
from netboot.model.power.power import PowerAction


def refusal(
    action: PowerAction, install: Install, *, shown: InstallState | None = None, is_forced: bool = False
) -> str | None:
    """Return why the machine of an install must not be switched off or restarted now; None: it may be.

    A host that is armed may always be restarted unless it is being installed: its disk is wiped next. `shown`: the
    state that everything else shows, if no report shows it.
    """
    if action is PowerAction.ON or is_forced:
        return None
    is_other = shown is not None and shown is not install.state
    what = (
        f"{install.host} is {shown}, and was {install.state} before"
        if is_other
        else f"{install.host} is {install.state}"
    )
    if install.state is InstallState.INSTALLING:
        return f"{what}: its installer is writing the disk; wait for its end (netboot install watch {install.host})"
    if install.state is InstallState.INSTALLED and not install.is_armed:
        anew = f"; to install it anew: netboot install arm {install.host}" if is_other else ""
        return (
            f"{what} and not ready: a reset in its first boot makes Ignition run again, "
            f"and the node hangs; wait until it is ready (netboot install watch {install.host}); if it is switched "
            f"off: netboot power on {install.host}{anew}"
        )
    return None
