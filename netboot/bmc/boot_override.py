"""The next boot of one machine: the one-time network boot, and the boot URL in its firmware."""

from collections.abc import Mapping
from typing import Any, Final

from netboot.bmc.bmc_fault import BmcFault, BmcFaultError
from netboot.bmc.quirks import BootUriWay, SendEnabled, SendMode
from netboot.bmc.redfish_faults import fault_of
from netboot.bmc.redfish_machine import RedfishMachine
from netboot.model.bmc.bmc import NetworkBoot

_PROBE: Final = "netboot bmc probe HOST shows what it can do"
_TARGETS: Final = {NetworkBoot.PXE: "Pxe", NetworkBoot.HTTP: "UefiHttp", NetworkBoot.HTTP_URI: "UefiHttp"}
_READS: Final = 4  # of what was written, until it is in force
_READ_PAUSE_S: Final = 1.0
BY_PXE: Final = "set network_boot: pxe, or let DHCP give the URL (network_boot: http)"


def set_one_time_boot(machine: RedfishMachine, boot: NetworkBoot, *, uri: str | None = None) -> None:
    """Let the machine boot from the network once; `uri`: what it boots with `http-uri`."""
    if boot is not NetworkBoot.PXE and not machine.quirks.values.http_once:
        raise BmcFaultError(BmcFault.NOT_SUPPORTED, "its firmware has no one-time HTTP boot", "set network_boot: pxe")
    target = _TARGETS[boot]
    wanted = {"BootSourceOverrideTarget": target}
    if uri is not None:
        wanted["HttpBootUri"] = uri
    try:
        machine.repeat(lambda: _send(machine, target, uri))
    except Exception as error:
        # Dell's 13th generation does it, and answers 400: ansible-collections/community.general#5091
        if fault_of(error).fault is not BmcFault.REFUSED or not _is_once(machine, wanted):
            raise
    else:
        if machine.quirks.values.reads_back:
            _wait_until_in_force(machine, wanted)


def write_boot_uri(machine: RedfishMachine, uri: str) -> tuple[str, ...]:
    """Write a boot URL into the firmware, as the quirks have it; return what remains to be done, in that order."""
    match machine.quirks.values.boot_uri:
        case BootUriWay.HTTP_BOOT_URI:
            if not offers_boot_uri(machine):
                raise BmcFaultError(BmcFault.NOT_SUPPORTED, "its firmware has no property HttpBootUri", BY_PXE)
            set_one_time_boot(machine, NetworkBoot.HTTP_URI, uri=uri)
            return ()
        case BootUriWay.BIOS:
            return _write_attributes(machine, uri)
        case _:
            raise BmcFaultError(BmcFault.NOT_SUPPORTED, "no way is known to write a boot URL into its firmware", BY_PXE)


def named_attributes(machine: RedfishMachine) -> list[str]:
    """List the BIOS attributes that a boot URL is written with; raise BmcFaultError if the BIOS has not all."""
    bios = machine.system.bios
    known = bios.attributes or {}
    names = [name for step in machine.quirks.values.bios_steps or () for name in step]
    missing = sorted(name for name in names if not name.endswith("?") and name not in known)
    if missing or not (bios.json.get("@Redfish.Settings") or {}).get("SettingsObject"):
        reason = f"its BIOS has no attribute {missing[0]}" if missing else "its BIOS settings cannot be changed"
        raise BmcFaultError(BmcFault.NOT_SUPPORTED, reason, BY_PXE)
    return [name.removesuffix("?") for name in names if name.removesuffix("?") in known]


def offers_boot_uri(machine: RedfishMachine) -> bool:
    """Return whether the machine reports the standard property for a boot URL."""
    return any("HttpBootUri" in boot for boot in _boots(machine))


def boot_value(machine: RedfishMachine, name: str) -> Any:
    """Return a value of `Boot`: of the pending settings, if there are such, else of the machine."""
    values = [boot[name] for boot in reversed(_boots(machine)) if boot.get(name) is not None]
    return values[0] if values else None


def _boots(machine: RedfishMachine) -> list[Mapping[str, Any]]:
    """Return `Boot` of the machine, and that of its settings resource, which AMI and others have beside it."""
    found = [machine.system.json.get("Boot") or {}]
    settings = ((machine.system.json.get("@Redfish.Settings") or {}).get("SettingsObject") or {}).get("@odata.id")
    if isinstance(settings, str):
        found.append(machine.connection.connector.get(settings).json().get("Boot") or {})
    return found


def _send(machine: RedfishMachine, target: str, uri: str | None) -> None:
    import sushy

    current = machine.system.boot
    is_once = current is not None and current.enabled is sushy.BootSourceOverrideEnabled.ONCE
    sends_enabled = machine.quirks.values.send_enabled is SendEnabled.ALWAYS or not is_once
    mode = None
    match machine.quirks.values.send_mode:
        case SendMode.CURRENT:
            mode = (current.mode if current is not None else None) or sushy.BootSourceOverrideMode.UEFI
        case SendMode.UEFI:
            mode = sushy.BootSourceOverrideMode.UEFI
        case _:
            pass
    machine.system.set_system_boot_options(
        target=sushy.BootSource(target),
        enabled=sushy.BootSourceOverrideEnabled.ONCE if sends_enabled else None,
        mode=mode,
        http_boot_uri=uri,
    )


def _wait_until_in_force(machine: RedfishMachine, wanted: Mapping[str, str]) -> None:
    """Read what was written; some BMCs accept what they do not do."""
    boots: list[Mapping[str, Any]] = []
    for attempt in range(_READS):
        if attempt:
            machine.pause(_READ_PAUSE_S)
        machine.system.refresh()
        boots = _boots(machine)
        if any(_is_in_force(boot, wanted) for boot in boots):
            return
    found = {name: boots[-1].get(name) for name in ("BootSourceOverrideEnabled", *wanted)}
    raise BmcFaultError(
        BmcFault.NOT_IN_FORCE,
        f"the BMC accepted it, and then reports {', '.join(f'{name}: {value}' for name, value in found.items())}",
        _PROBE,
    )


def _is_once(machine: RedfishMachine, wanted: Mapping[str, str]) -> bool:
    machine.system.refresh()
    return any(_is_in_force(boot, {**wanted, "BootSourceOverrideEnabled": "Once"}) for boot in _boots(machine))


def _is_in_force(boot: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    is_enabled = boot.get("BootSourceOverrideEnabled") in {"Once", "Continuous"}
    return is_enabled and all(boot.get(name) == value for name, value in wanted.items())


def _write_attributes(machine: RedfishMachine, uri: str) -> tuple[str, ...]:
    """Write BIOS attributes: all in one request; if that is refused, those of the first step that is not yet so."""
    named_attributes(machine)
    steps = [_filled(machine, step, uri) for step in machine.quirks.values.bios_steps or ()]
    bios = machine.system.bios
    known = bios.attributes
    changed = [step for step in steps if any(known[name] != value for name, value in step.items())]
    remaining = tuple(machine.quirks.values.remaining or ())
    if not changed:
        return remaining
    try:
        _set(machine, bios, {name: value for step in changed for name, value in step.items()})
    except Exception as error:
        if len(changed) == 1 or fault_of(error).fault is not BmcFault.REFUSED:
            raise
        _set(machine, bios, changed[0])
        again = "request the same again after this restart, before which the attributes of the URL are locked"
        return again, *remaining
    return remaining


def _set(machine: RedfishMachine, bios: Any, attributes: Mapping[str, str]) -> None:
    from sushy import ApplyTime

    at_reset = ApplyTime.ON_RESET if ApplyTime.ON_RESET in (bios.supported_apply_times or ()) else None
    machine.repeat(lambda: bios.set_attributes(dict(attributes), apply_time=at_reset))


def _filled(machine: RedfishMachine, step: Mapping[str, str], uri: str) -> dict[str, str]:
    """Return the attributes of a step with the URL, and the BMC's id of the card that boots."""
    interface = _interface(machine) if any("{interface}" in value for value in step.values()) else ""
    known = machine.system.bios.attributes or {}
    tls = "None" if uri.startswith("http:") else "OneWay"
    return {
        name.removesuffix("?"): value.replace("{uri}", uri).replace("{interface}", interface).replace("{tls}", tls)
        for name, value in step.items()
        if not name.endswith("?") or name.removesuffix("?") in known
    }


def _interface(machine: RedfishMachine) -> str:
    macs = {str(mac).lower() for mac in machine.host.macs}
    for identity, mac in machine.cards():
        if mac in macs:
            return identity
    raise BmcFaultError(
        BmcFault.MACHINE,
        f"the BMC knows no card with the MAC {machine.host.mac}",
        "correct bmc.url or mac of the host",
    )
