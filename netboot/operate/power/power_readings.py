"""Reads the power state of machines from their BMCs, within a limit, and remembers it."""

import asyncio
from collections.abc import Sequence
from math import ceil
from typing import TYPE_CHECKING, Final

from netboot.errors import BmcError
from netboot.model.host.host import Host
from netboot.model.power.power import PowerState
from netboot.model.words import one_line
from netboot.operate.power.power_request import ObservedPower, no_bmc
from netboot.operate.power.power_sender import PowerSender

if TYPE_CHECKING:
    from netboot.bmc.bmc_machine import BmcMachine

STATUS_S: Final = 20.0  # that reading the state of a machine may take; clients wait 30 s
EACH_S: Final = 8.0  # at least, from its turn, of one of more machines than are read at once
_NO_TURN: Final = f"not read within {STATUS_S:g} s; try again, or read fewer hosts at once"

_State = tuple[PowerState, str | None]


async def read_states(sender: PowerSender, hosts: Sequence[Host]) -> list[ObservedPower]:
    """Read the states of the hosts that have a BMC, at most `STATUS_S` long.

    Those that did not answer last are read last, after those that had no turn.
    """
    with_bmc = [host for host in hosts if host.bmc is not None]
    turns = max(ceil(len(with_bmc) / sender.bmcs.parallel), 1)
    limit_s = max(EACH_S, STATUS_S / turns)
    unanswered = {name for name, last in sender.observed.items() if last.fault and last.fault != _NO_TURN}
    in_order = sorted(with_bmc, key=lambda host: host.name in unanswered)
    found = await asyncio.gather(*(observe_power(sender, host, limit_s=limit_s) for host in in_order))
    by_host = {each.host: each for each in found}
    return [by_host[host.name] for host in with_bmc]


async def observe_power(
    sender: PowerSender, host: Host, *, is_verified: bool = False, limit_s: float = STATUS_S
) -> ObservedPower:
    """Read the state of a machine, and remember it; `is_verified`: only of one that has the MACs of the host.

    `limit_s` counts from its turn, `STATUS_S` from now.
    """
    at = sender.clock.now()
    if host.bmc is None:
        return ObservedPower(host.name, PowerState.UNKNOWN, at, fault=no_bmc(host.name))
    try:
        async with asyncio.timeout(STATUS_S):
            state, progress = await sender.bmcs.call(host, _verified if is_verified else _read, limit_s=limit_s)
        found = ObservedPower(host.name, state, at, progress)
    except BmcError as error:
        found = ObservedPower(host.name, PowerState.UNKNOWN, at, fault=one_line(str(error)))
    except TimeoutError:
        found = ObservedPower(host.name, PowerState.UNKNOWN, at, fault=_NO_TURN)
    sender.observed[host.name] = found
    return found


def _read(machine: "BmcMachine") -> _State:
    return machine.state(), machine.boot_progress()


def _verified(machine: "BmcMachine") -> _State:
    machine.verify_host()
    return _read(machine)
