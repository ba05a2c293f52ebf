"""One machine by its BMC: its power, its one-time network boot, and the boot URL in its firmware.

A BmcMachine is for one call in one thread; every method blocks and raises BmcError.
"""

from collections.abc import Callable
from functools import update_wrapper
from typing import Concatenate, ParamSpec, TypeVar

from netboot.bmc.bmc_connection import Allow
from netboot.bmc.bmc_fault import BmcFault
from netboot.bmc.boot_override import set_one_time_boot, write_boot_uri
from netboot.bmc.probing.probing import probe_machine
from netboot.bmc.probing.recorder import Recorder
from netboot.bmc.redfish_faults import fault_of
from netboot.bmc.redfish_machine import RedfishMachine
from netboot.bmc.resets import power_state, reset
from netboot.errors import BmcError, BmcRefusedError
from netboot.model.bmc.bmc import NetworkBoot
from netboot.model.bmc.probe import Probe
from netboot.model.power.power import PowerState, ResetAction

P = ParamSpec("P")
T = TypeVar("T")
Method = Callable[Concatenate["BmcMachine", P], T]


def _operation(name: str) -> Callable[[Method[P, T]], Method[P, T]]:
    """Name what a method does, in the BmcError that it raises for every failure."""

    def decorate(method: Method[P, T]) -> Method[P, T]:
        def translated(self: "BmcMachine", /, *arguments: P.args, **options: P.kwargs) -> T:
            try:
                return method(self, *arguments, **options)
            except Exception as error:  # an answer that is not Redfish's makes sushy raise anything
                raise self.failed(name, error) from error

        update_wrapper(translated, method)
        return translated

    return decorate


class BmcMachine:
    """What netboot does with one machine by its BMC."""

    def __init__(self, machine: RedfishMachine) -> None:
        self._machine = machine

    @_operation("read the power state")
    def state(self) -> PowerState:
        """Return the state that the BMC reports now."""
        return power_state(self._machine)

    @_operation("use the BMC")
    def verify_host(self) -> None:
        """Raise BmcError if the machine has the MACs of its cards, and none of them is the host's."""
        try:
            self._machine.own_card()
        except Exception as error:
            if fault_of(error).fault is BmcFault.MACHINE:
                raise
            # one that fails to list them is like one without a list; if it fails as a whole, the next request does

    @_operation("read the boot progress")
    def boot_progress(self) -> str | None:
        """Return Redfish's `BootProgress.LastState`, as OSBootStarted; None if the BMC does not report it."""
        progress = self._machine.system.boot_progress
        state = progress.last_state if progress is not None else None
        return None if state is None else str(state.value)

    @_operation("change the power")
    def power(self, action: ResetAction, allow: Allow | None = None) -> None:
        """Switch on, switch off at once, or restart; return when the BMC has accepted it.

        `allow`, called in this thread, begins what judges each request immediately before it is sent, also one that is
        sent again; if that fails, it is not sent.
        """
        connection = self._machine.connection
        connection.allow = allow
        try:
            reset(self._machine, action)
        finally:
            connection.allow = None

    @_operation("set the one-time network boot")
    def boot_once(self, boot: NetworkBoot) -> None:
        """Let the machine boot from the network once, at its next start."""
        set_one_time_boot(self._machine, boot)

    @_operation("write the boot URL into the firmware")
    def write_boot_uri(self, uri: str) -> tuple[str, ...]:
        """Write a boot URL into the firmware, and return what remains to be done, in that order."""
        return write_boot_uri(self._machine, uri)

    @_operation("examine the BMC")
    def probe(self, recorder: Recorder | None = None) -> Probe:
        """Return what the BMC can do, without a change; `recorder` gets its answers, and reads further ones."""
        return probe_machine(self._machine, recorder)

    def failed(self, operation: str, error: Exception) -> BmcError:
        """Return the error of an operation; no password is in it, also if the BMC's message has it."""
        connection, fault = self._machine.connection, fault_of(error)
        is_of_the_bmc = fault.fault not in {BmcFault.CREDENTIALS, BmcFault.NO_LIBRARY}
        return (BmcError if is_of_the_bmc else BmcRefusedError)(
            operation,
            self._machine.host.name,
            connection.without_password(fault.reason),
            fault.cure.replace("HOST", self._machine.host.name),
            fault=fault.fault,
            is_outcome_unknown=connection.is_outcome_unknown,
        )
