"""Finds what a BMC can do: reads what it offers, and changes nothing."""

from collections.abc import Callable, Iterator

from netboot.bmc.bmc_fault import BmcFaultError
from netboot.bmc.boot_override import boot_value, named_attributes, offers_boot_uri
from netboot.bmc.probing.recorder import Recorder
from netboot.bmc.quirks import BootUriWay
from netboot.bmc.redfish_faults import fault_of
from netboot.bmc.redfish_machine import RedfishMachine
from netboot.bmc.resets import offered_steps, power_state
from netboot.model.bmc.probe import Ability, Probe, ProbedAbility, Works
from netboot.model.power.power import PowerState, ResetAction
from netboot.model.words import one_line

_RESETS = {
    Ability.POWER_ON: ResetAction.ON,
    Ability.POWER_OFF: ResetAction.OFF,
    Ability.POWER_CYCLE: ResetAction.CYCLE,
}
_Row = tuple[Works, str]


def probe_machine(machine: RedfishMachine, recorder: Recorder | None) -> Probe:
    """Return what the BMC can do. A login that fails, or a machine that is not found, is an error, as of an action."""
    connection = machine.connection
    if recorder is not None:
        connection.on_answer = recorder.record
    system = machine.system  # raises if there is none
    rows = tuple(_rows(machine))
    root = connection.root()
    probe = Probe(
        url=connection.bmc.url,
        vendor=machine.kind.vendor,
        model=machine.kind.model,
        firmware=_text(_try(lambda: machine.firmware)),
        bios=_text(system.bios_version),
        redfish=_text(root.redfish_version),
        certificate_sha256=connection.certificate_sha256,
        quirks=machine.quirks.names,
        abilities=rows,
    )
    if recorder is not None:
        recorder.read_further(connection, system.path)
        recorder.hide(*connection.secrets())
    return probe


def _rows(machine: RedfishMachine) -> Iterator[ProbedAbility]:
    login = "by a session" if machine.connection.has_session else "with each request (Basic)"
    yield ProbedAbility(Ability.LOGIN, Works.YES, login)
    readers: dict[Ability, Callable[[], _Row]] = {
        Ability.MACHINE: lambda: _identity(machine),
        Ability.POWER_STATE: lambda: _power_state(machine),
        **{ability: _reset_reader(machine, action) for ability, action in _RESETS.items()},
        Ability.PXE_ONCE: lambda: _target(machine, "Pxe"),
        Ability.HTTP_ONCE: lambda: _http(machine),
        Ability.BOOT_URI: lambda: _boot_uri(machine),
        Ability.BOOT_PROGRESS: lambda: _progress(machine),
    }
    for ability, read in readers.items():
        try:
            works, detail = read()
        except Exception as error:  # an answer that is not Redfish's makes sushy raise anything
            works, detail = Works.NO, fault_of(error).reason
        yield ProbedAbility(ability, works, machine.connection.without_password(detail))


def _identity(machine: RedfishMachine) -> _Row:
    """Compare the cards of the BMC's machine with those of the host."""
    try:
        card = machine.own_card()
    except BmcFaultError as fault:
        return Works.NO, one_line(str(fault))
    if card is None:
        return Works.UNKNOWN, "the BMC lists no MACs: verify that it is the one of this host"
    return Works.YES, one_line(f"its card {card[0]} has the MAC {card[1]} of the host")


def _power_state(machine: RedfishMachine) -> _Row:
    state = power_state(machine)
    return (Works.NO, "the BMC reports none") if state is PowerState.UNKNOWN else (Works.YES, state.value)


def _reset_reader(machine: RedfishMachine, action: ResetAction) -> Callable[[], _Row]:
    def read() -> _Row:
        steps = offered_steps(machine, action)
        return (Works.OFFERED, ", then ".join(steps)) if steps else (Works.NO, "the BMC offers no type of reset for it")

    return read


def _target(machine: RedfishMachine, target: str) -> _Row:
    allowed = boot_value(machine, "BootSourceOverrideTarget@Redfish.AllowableValues")
    if not isinstance(allowed, list):
        return Works.UNKNOWN, "the BMC lists no boot sources"
    return (Works.OFFERED, target) if target in allowed else (Works.NO, f"{target} is none of its boot sources")


def _http(machine: RedfishMachine) -> _Row:
    if not machine.quirks.values.http_once:
        return Works.NO, f"not with {machine.quirks.names[-1]}"
    return _target(machine, "UefiHttp")


def _boot_uri(machine: RedfishMachine) -> _Row:
    match machine.quirks.values.boot_uri:
        case BootUriWay.HTTP_BOOT_URI if offers_boot_uri(machine):
            works, detail = _http(machine)
            return works, "HttpBootUri" if works is Works.OFFERED else detail
        case BootUriWay.HTTP_BOOT_URI:
            return Works.NO, "its firmware has no property HttpBootUri"
        case BootUriWay.BIOS:
            return Works.OFFERED, ", ".join(named_attributes(machine))
        case _:
            return Works.NO, f"no way is known with {machine.quirks.names[-1]}"


def _progress(machine: RedfishMachine) -> _Row:
    progress = machine.system.boot_progress
    state = progress.last_state if progress is not None else None
    return (Works.YES, str(state.value)) if state is not None else (Works.NO, "the BMC reports none")


def _try(read: Callable[[], object]) -> object:
    """Return what is for display only; None if the BMC does not answer it."""
    try:
        return read()
    except Exception:  # as above
        return None


def _text(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""
