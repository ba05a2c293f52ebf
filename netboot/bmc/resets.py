"""Power of one machine: its state, and the types of reset that are sent for an action, in the order of its quirks."""

from collections.abc import Sequence
from typing import Final

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.bmc.quirks import ResetStep
from netboot.bmc.redfish_faults import fault_of
from netboot.bmc.redfish_machine import RedfishMachine
from netboot.model.power.power import PowerState, ResetAction

_STATES: Final = {
    "On": PowerState.ON,
    "Off": PowerState.OFF,
    "PoweringOn": PowerState.POWERING_ON,
    "PoweringOff": PowerState.POWERING_OFF,
}
_WANTED: Final = {
    ResetAction.ON: {PowerState.ON, PowerState.POWERING_ON},
    ResetAction.OFF: {PowerState.OFF, PowerState.POWERING_OFF},
}
_OFF_READS: Final = 15  # before a machine that was switched off is switched on again
_OFF_PAUSE_S: Final = 2.0


def power_state(machine: RedfishMachine) -> PowerState:
    """Return the state that the BMC reports."""
    state = machine.system.power_state
    return _STATES.get(state.value, PowerState.UNKNOWN) if state is not None else PowerState.UNKNOWN


def offered_steps(machine: RedfishMachine, action: ResetAction) -> Sequence[ResetStep]:
    """List the types of reset for an action that the BMC offers; all of them if it lists none."""
    offered = {kind.value for kind in machine.system.get_allowed_reset_system_values()}
    values = machine.quirks.values
    known = {
        ResetAction.ON: values.reset_on,
        ResetAction.OFF: values.reset_off,
        ResetAction.CYCLE: values.reset_cycle,
    }
    return [step for step in known[action] or () if step in offered or step is ResetStep.OFF_ON]


def reset(machine: RedfishMachine, action: ResetAction) -> None:
    """Do an action once: the next type of reset is sent only after the BMC refused the one before."""
    steps = offered_steps(machine, action)
    fault = BmcFaultError(
        BmcFault.NOT_SUPPORTED, "the BMC offers no type of reset for it", "netboot bmc probe HOST shows what it can do"
    )
    for step in steps:
        try:
            _send(machine, step)
        except Exception as error:
            fault = fault_of(error)
            if fault.fault not in {BmcFault.REFUSED, BmcFault.NOT_SUPPORTED}:
                raise
            if _is_so_already(machine, action):
                return
        else:
            return
    raise fault


def _send(machine: RedfishMachine, step: ResetStep) -> None:
    if step is ResetStep.OFF_ON:
        _switch_off_and_on(machine)
        return
    from sushy import ResetType

    machine.repeat(lambda: machine.system.reset_system(ResetType(step.value)))


def _switch_off_and_on(machine: RedfishMachine) -> None:
    reset(machine, ResetAction.OFF)
    try:
        _switch_on_when_off(machine)
    except Exception as error:
        why = fault_of(error).reason
        cure = "look at the machine, then netboot power on HOST"
        raise BmcFaultError(BmcFault.FAILED, f"it was switched off and not on again: {why}", cure) from error


def _switch_on_when_off(machine: RedfishMachine) -> None:
    for _ in range(_OFF_READS):
        machine.system.refresh()
        if power_state(machine) is PowerState.OFF:
            machine.connection.allow = None  # nothing forbids it, and the machine must not stay off
            reset(machine, ResetAction.ON)
            return
        machine.pause(_OFF_PAUSE_S)
    reason = f"it is {power_state(machine)} after {_OFF_READS * _OFF_PAUSE_S:g} s"
    raise BmcFaultError(BmcFault.NOT_IN_FORCE, reason, "look at the machine")


def _is_so_already(machine: RedfishMachine, action: ResetAction) -> bool:
    """Return whether a BMC refused an action because the machine is in that state."""
    wanted: set[PowerState] | None = _WANTED.get(action)
    if wanted is None:
        return False
    machine.system.refresh()
    return power_state(machine) in wanted
