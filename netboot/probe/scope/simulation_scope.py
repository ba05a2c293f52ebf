"""Decides what a simulation may send as a machine, so that none spends an arming unless the operator allows it. Pure.

Everything that a registered host's machine sends changes something on the appliance: a DISCOVER begins a boot record,
moves an armed install to `offered` and counts for what is learned of its firmware; a script request spends a boot of
the arming; a loader or a kernel that is sent to its address is a step of its boot. So without `--spend` nothing is
sent as a registered host: its documents are those of the API's plan, and files are loaded from an address that is
not the host's.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from netboot.errors import NetbootError
from netboot.model.host.mac import Mac

OUR_RANGE: Final = "02:6e:62:"  # locally administered, so no network card has such an address: 02, "nb"


class SimulationRefusedError(NetbootError):
    """A simulation that would change what the appliance has of a real machine."""

    code = "simulation-refused"


class Scope(StrEnum):
    """What a simulation may send."""

    REHEARSAL = "rehearsal"  # a registered host without --spend: nothing as this machine
    UNREGISTERED = "unregistered"  # everything but URLs with a token: no host has this MAC
    SPENDING = "spending"  # everything, with --spend
    BEFORE_SCRIPT = "before-script"  # no API: all but the script, which could spend an arming


@dataclass(frozen=True, slots=True)
class MachineStanding:
    """What an appliance has of a MAC."""

    host: str | None = None  # None: it is not registered
    is_armed: bool = False
    boots_left: int = 0  # of its arming
    is_seen: bool = False  # an unregistered machine that requested a boot
    boots_once: str = ""  # inspect, rescue or wipe: what its next script begins, and spends
    boots_now: str = ""  # the step that a running boot of it reached lately; empty: none runs


@dataclass(frozen=True, slots=True)
class ScopeRequest:
    """Whose MAC is played, and what the operator allows. `known` is None if no API can be reached."""

    mac: Mac
    known: MachineStanding | None
    spends: bool = False
    disturbs: bool = False  # also a boot that runs
    is_made: bool = False  # the MAC was made for a simulation, from the firmware's name or at random
    is_drawn: bool = False  # at random, so no file can name it

    @property
    def is_ours(self) -> bool:
        """Return whether no machine has this MAC."""
        return self.is_made or self.mac.startswith(OUR_RANGE)


def scope_of(request: ScopeRequest) -> Scope:
    """Return what a simulation may send; raise SimulationRefusedError if it may not begin."""
    known = request.known
    if request.spends:
        if known is not None and known.boots_now and not request.is_ours and not request.disturbs:
            raise SimulationRefusedError(
                f"{known.host or request.mac} boots now (step {known.boots_now}), and a simulation would take its "
                "place; wait until its boot has ended (netboot install watch), or add --force"
            )
        return Scope.SPENDING
    if known is None:
        return Scope.UNREGISTERED if request.is_drawn else Scope.BEFORE_SCRIPT
    if known.host is not None:
        return Scope.REHEARSAL
    if known.boots_once:
        raise SimulationRefusedError(
            f"the next script of {request.mac} begins what was requested for it once ({known.boots_once}), and a "
            "simulation would spend that; leave --mac out, or add --spend"
        )
    if known.is_seen and not request.is_ours:
        raise SimulationRefusedError(
            f"{request.mac} is a machine that requested a boot before; a simulation with its MAC changes what is "
            "learned of its firmware and can spend its inspection; leave --mac out, or add --spend"
        )
    return Scope.UNREGISTERED


def notes_of(scope: Scope, request: ScopeRequest) -> Sequence[str]:
    """Return what an operator needs to read before: what is sent, and what the server will have recorded."""
    known, mac = request.known, request.mac
    match scope:
        case Scope.REHEARSAL:
            assert known is not None
            return (
                f"{known.host} is registered, so nothing is sent as {mac}: no DHCP, no script, no URL with a token. "
                "Its documents are the appliance's plan, as if it were armed; files are loaded as they are served",
                f"the server will have recorded nothing of {known.host}; --spend plays the whole boot",
            )
        case Scope.UNREGISTERED if known is None:
            return (
                f"no API is at hand, so a new MAC was drawn: {mac}, which no hosts file has",
                f"the server will have recorded {mac} as an unregistered machine",
            )
        case Scope.UNREGISTERED:
            return (f"{mac} is not registered; the server will have recorded it as an unregistered machine",)
        case Scope.BEFORE_SCRIPT:
            return (
                f"no API is at hand, so it is not known whether {mac} is registered: the simulation ends before the "
                "script, which could spend an arming; give --api URL, or --spend",
                f"the server will have recorded a boot request of {mac}",
            )
        case Scope.SPENDING:
            return _notes_of_spending(known, mac)


def _notes_of_spending(known: MachineStanding | None, mac: Mac) -> Sequence[str]:
    if known is None:
        return (
            f"no API is at hand: if {mac} is registered and armed, its script spends a boot of the arming, and the "
            "server will have recorded the boot and its install",
        )
    subject = known.host or str(mac)
    once = (f"it spends what was requested for {subject} once: {known.boots_once}",) if known.boots_once else ()
    if known.host is None:
        return (f"{mac} is not registered; the server will have recorded it as an unregistered machine", *once)
    if not known.is_armed:
        return (f"{known.host} is not armed, so its machine boots its own disk and nothing is spent", *once)
    return (
        f"the script spends a boot of the arming of {known.host} ({_left(known.boots_left)}), also with --until script",
        f"the server will have recorded the boot and the install of {known.host} as a machine's own: after `ready` it "
        "is not armed any longer, and no disk has been written",
        *once,
    )


def _left(boots: int) -> str:
    return f"{boots} boot{'s' if boots != 1 else ''} left"


def mac_for(firmware: str, prefix: str = OUR_RANGE) -> Mac:
    """Return the MAC that a firmware has if none is given: always the same."""
    return Mac.parse(prefix.rstrip(":") + Mac.standing_for(firmware.encode())[8:])


def drawn_mac(prefix: str = OUR_RANGE) -> Mac:
    """Return a new MAC, which no hosts file can have."""
    return Mac.parse(f"{prefix.rstrip(':')}:{os.urandom(3).hex(':')}")
