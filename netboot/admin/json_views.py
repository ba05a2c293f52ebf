"""The JSON of the API and of `--json`, made from the results of `operate`. It never contains a token."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from typing import Any

from netboot.content.library.uploads import UploadError
from netboot.control_socket import RefusedError
from netboot.errors import ConfigError, NetbootError
from netboot.model.boot.boot_client import Machine
from netboot.model.host.host import Host
from netboot.model.install.event import Event
from netboot.model.install.install import Move
from netboot.model.words import without_disks
from netboot.operate.arming import ArmingRefusedError
from netboot.operate.content_uses import ContentUse
from netboot.operate.host_status import (
    ArmedHost,
    Blocked,
    CancelledInstall,
    Heard,
    HostReport,
    HostStatus,
    InstallReport,
    InstallStatus,
    reason_of,
)
from netboot.operate.running_daemon import ApplianceStatus, ReloadResult, RescanResult

View = Mapping[str, Any]


def json_view(found: Any) -> Any:
    """Convert a result of `operate.administration` to JSON: lists item by item, other values unchanged."""
    match found:
        case list():
            return [json_view(each) for each in found]
        case HostStatus(host, install):
            return {**_host(host), "install": _install(install)}
        case HostReport(host, install, heard):
            progress = _progress(install.blocked)
            return {**_host(host), "install": json_view(install), **progress, **_heard(heard)}
        case InstallStatus():
            return _install(found)
        case InstallReport(status, blocked):
            return {**_install(status), **_progress(blocked)}
        case ArmedHost(status, boot_media, reasons, warnings):
            shown = _install(status)
            return {**shown, "boot_media": boot_media, "reasons": list(reasons), "warnings": list(warnings)}
        case CancelledInstall(status, notes):
            return {**_install(status), "notes": list(notes)}
        case ApplianceStatus(daemon, last_event_id, store_fault):
            store = {"last_event_id": last_event_id} if store_fault is None else {"store": store_fault}
            return {**asdict(daemon), "started_at": daemon.started_at.isoformat(), **store}
        case ReloadResult() | RescanResult():
            return asdict(found)
        case _:
            return _record(found)


def error_view(error: NetbootError) -> View:
    """Convert an error to the JSON of the API and of `--json`: text, code, and the faults or reasons it consists of."""
    view = {"error": str(error), "code": error.code}
    match error:
        case RefusedError():
            return error.view
        case UploadError():
            return http_error_view(str(error), error.status)
        case ConfigError():
            return {**view, "faults": [asdict(fault) for fault in error.problems]}
        case ArmingRefusedError():
            reasons = [reason for found in error.reasons.values() for reason in found]
            return {**view, "reasons": reasons, "hosts": error.reasons}
        case _:
            return view


def http_error_view(text: str | None, status: int) -> View:
    """Convert the refusal of a request that reached no use case; the code is the name of its HTTP status."""
    return {"error": text, "code": HTTPStatus(status).phrase.lower().replace(" ", "-")}


def _record(found: Any) -> Any:
    match found:
        case Move():
            return _move(found)
        case Event():
            return _event(found)
        case Machine():
            seen = {"first_seen": found.first_seen.isoformat(), "last_seen": found.last_seen.isoformat()}
            return {**asdict(found), **seen, "addresses": [str(address) for address in found.addresses]}
        case ContentUse():
            return {"kind": found.kind, "name": found.name, "use": found.use.value, "host": found.host or None}
        case _:
            return found


def _host(host: Host) -> View:
    network = host.network
    return {
        "name": host.name,
        "role": host.role.value,
        "macs": list(host.macs),
        "boot_media": host.boot_media,
        "release": host.release,
        "disk": host.disk,
        "timezone": host.timezone,
        "ntp": list(host.ntp),
        "kernel_arguments": list(host.kernel_arguments),
        "network": network
        and {
            "address": str(network.address),
            "gateway": network.gateway and str(network.gateway),
            "nameservers": [str(server) for server in network.nameservers],
            "interface": network.interface,
        },
        "ssh_keys": list(host.ssh_keys),
        "ignition": host.ignition and str(host.ignition),
        "loader": host.loader,
        "firmware": host.firmware and host.firmware.value,
        "rom_ipxe": host.rom_ipxe.value,
        "declared_at": host.declared_at,
    }


def _install(status: InstallStatus) -> View:
    install = status.install
    arming, target = install.arming, install.target
    return {
        "host": install.host,
        "state": install.state.value,
        "changed_at": _moment(install.changed_at),
        "armed": install.is_armed,
        "arming": arming
        and {
            "at": arming.at.isoformat(),
            "reason": arming.reason,
            "attempts": arming.attempts,
            "spent": arming.spent,
            "left": max(arming.attempts - arming.spent, 0),
            "macs": sorted(target.macs) if target else [],
            "disk": target and target.disk,
            "release": target and target.release,
            "commit": target and target.commit,
            "changes": list(status.changes),
        },
        "declared": status.is_declared,
    }


def _progress(blocked: Blocked | None) -> View:
    """Return why a host does not proceed: `reason` is one sentence, `blocked` has its parts."""
    if blocked is None:
        return {"reason": None, "blocked": None}
    return {"reason": str(blocked), "blocked": {**asdict(blocked), "since": _moment(blocked.since)}}


def _heard(heard: Heard) -> View:
    offer, why = heard.last_offer, heard.last_reason
    return {
        "last_heard": _moment(heard.at),
        "last_offer": offer and {"at": offer.at.isoformat(), **offer.data},
        "last_reason": why and {"at": why[0].isoformat(), "reason": why[1]},
        "disks": heard.disks.splitlines(),
    }


def _move(move: Move) -> View:
    """Return one line of a host's history; `disks` is the list with which a report ended."""
    note, disks = without_disks(move.note)
    return {
        "at": move.at.isoformat(),
        "what": move.what,
        "from": move.before.value,
        "to": move.after.value,
        "reason": reason_of(move),
        "note": note,
        "disks": disks.splitlines(),
        "actor": move.actor and move.actor.name,
        "source": move.actor and move.actor.source.value,
    }


def _event(event: Event) -> View:
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "event": event.name,
        "host": event.host,
        "mac": event.mac,
        "step": event.step.value if event.step else None,
        "data": dict(event.data),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
