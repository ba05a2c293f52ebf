"""The JSON of the API and of `--json`, made from the results of `operate`. It never contains a token."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from functools import cache
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Final

from netboot.content.library.uploads import Upload, UploadError
from netboot.control_socket import RefusedError
from netboot.errors import ConfigError, NetbootError
from netboot.model.access.accounts import LoginSession
from netboot.model.boot.causes.cause import Cause
from netboot.model.boot.other_server import OtherServer
from netboot.model.boot.reasons import reason_of
from netboot.model.host.hardware import Hardware, as_columns
from netboot.model.host.host import Host
from netboot.model.host.host_secrets import host_shown
from netboot.model.install.event import Event, event_fields
from netboot.model.install.install import Move
from netboot.model.install.machine_identity import Hold
from netboot.model.power.power import PowerIntent
from netboot.model.words import without_disks
from netboot.operate.actions.host_verbs import HostAction
from netboot.operate.arming import ArmingRefusedError
from netboot.operate.boots.boot_history import ShownBoot
from netboot.operate.boots.boot_waits import WaitStatus
from netboot.operate.content_uses import ContentUse
from netboot.operate.host_status import (
    ArmedHost,
    CancelledInstall,
    ConfirmedInstall,
    DiscoveredMachine,
    Heard,
    HostReport,
    HostStatus,
    InstallReport,
    InstallStatus,
)
from netboot.operate.planning.explanation import HostExplanation, SourcedValue
from netboot.operate.power.power_request import PowerRefusedError
from netboot.operate.running_daemon import ApplianceStatus

View = Mapping[str, Any]

# As RFC 9110 has them; Python before 3.13 has older ones.
_STATUS_NAMES: Final = {413: "content-too-large", 422: "unprocessable-content"}


def json_view(found: Any) -> Any:
    """Convert results of `operate.administration` to values of JSON, as `json_text` writes them."""
    return json.loads(json_text(found))


def json_text(found: Any) -> str:
    """Write results of `operate.administration` as JSON. Bytes in a stored name that are not UTF-8 become `?`."""
    return json.dumps(found, default=_view, ensure_ascii=False).encode("utf-8", "replace").decode()


def error_view(error: NetbootError) -> View:
    """Convert an error to the JSON of the API and of `--json`: text, code, and the faults or reasons it consists of."""
    view = {"error": str(error), "code": error.code}
    match error:
        case RefusedError():
            return {**view, **error.view}
        case UploadError():
            return http_error_view(str(error), error.status)
        case ConfigError():
            return {**view, "faults": [asdict(fault) for fault in error.problems]}
        case ArmingRefusedError() | PowerRefusedError():
            reasons = [reason for found in error.reasons.values() for reason in found]
            return {**view, "reasons": reasons, "hosts": error.reasons}
        case _:
            return view


def http_error_view(text: str | None, status: int) -> View:
    """Convert the refusal of a request that reached no use case; the code is the name of its HTTP status."""
    code = _STATUS_NAMES.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "-")
    return {"error": text, "code": code}


def _view(found: Any) -> Any:
    """Return what stands for a value that is not of JSON; the values in it are converted in turn."""
    match found:
        case HostStatus(host, install, next_boot, wait):
            return {**_host(host), "install": install, "next_boot": next_boot, "wait": wait}
        case HostReport(host, install, heard, machines, inspections):
            progress = {**_progress(install), "deadlines": install.deadlines, "next_boot": install.next_boot}
            shown = {**_heard(heard), "machines": machines, "inspections": inspections}
            return {**_host(host), "install": install, **progress, **shown}
        case DiscoveredMachine(machine, inspection):
            return {**_fields(machine), "inspection": inspection}
        case InstallStatus():
            return _install(found)
        case ShownBoot():
            return _boot(found)
        case InstallReport(status, _, deadlines, next_boot, _, local_boots):
            shown = {"deadlines": deadlines, "next_boot": next_boot, "local_boots": local_boots}
            return {**_install(status), **_progress(found), **shown}
        case ArmedHost(status, boot_media, reasons, warnings, deadlines):
            shown = {"boot_media": boot_media, "reasons": reasons, "warnings": warnings, "deadlines": deadlines}
            return {**_install(status), **shown}
        case CancelledInstall(status, notes):
            return {**_install(status), "notes": notes}
        case ApplianceStatus(daemon, last_event_id, store_fault):
            store = {"last_event_id": last_event_id} if store_fault is None else {"store": store_fault}
            shown = {name: value for name, value in _fields(daemon).items() if name != "records" or value is not None}
            return {**shown, **store}
        case _:
            return _record(found)


def _record(found: Any) -> Any:
    match found:
        case ConfirmedInstall(status, confirmed):
            return {**_install(status), "confirmed": _hold(status.install.host, confirmed)}
        case Move():
            return _move(found)
        case Event():
            return event_fields(found)
        case ContentUse():
            return {**_fields(found), "host": found.host or None}
        case OtherServer():
            about = {"takes_boots": found.takes_boots, "sentence": found.sentence, "cure": found.cure}
            return {**_fields(found), **about}
        case Hardware():
            return as_columns(found)
        case SourcedValue():
            return _sourced(found)
        case HostExplanation(host, written, install, next_boot):
            return {"host": host, **_fields(written), "install": install, **_fields(next_boot)}
        case WaitStatus(wait, is_overdue):
            return {**_fields(wait), "overdue": is_overdue}
        case _:
            return _plain(found)


def _plain(found: Any) -> Any:
    match found:
        case Upload():  # what its sender wrote of it, it has itself
            return {name: value for name, value in _fields(found).items() if name != "metadata"}
        case HostAction():
            return {**_fields(found), "refusal": found.refusal}
        case PowerIntent():
            shown = {name: value for name, value in _fields(found).items() if name not in ("actor", "owner")}
            return {**shown, "actor": found.actor.name, "source": found.actor.source}
        case LoginSession():
            return {"id": found.id, **_fields(found), "ends_at": found.ends_at()}
        case _ if is_dataclass(found):
            return _fields(found)
        case datetime():
            return found.isoformat()
        case IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network() | Path():
            return str(found)
        case _:
            raise TypeError(f"{type(found)} has no JSON")


def _fields(found: Any) -> dict[str, Any]:
    """Return the fields of a dataclass without those that `repr` hides: tokens and other secrets."""
    return {name: getattr(found, name) for name in _shown_names(found.__class__)}


@cache
def _shown_names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.repr)


def _host(host: Host) -> View:
    return {name: value for name, value in _fields(host_shown(host)).items() if name != "faults"}


def _install(status: InstallStatus) -> View:
    install = status.install
    arming, target = install.arming, install.target
    return {
        "host": install.host,
        "state": install.state,
        "changed_at": install.changed_at,
        "armed": install.is_armed,
        "arming": arming
        and {
            "at": arming.at,
            "reason": arming.reason,
            "attempts": arming.attempts,
            "spent": arming.spent,
            "left": max(arming.attempts - arming.spent, 0),
            "macs": sorted(target.macs) if target else [],
            "disk": target and target.disk,
            "release": target and target.release,
            "commit": target and target.commit,
            "changes": status.changes,
        },
        "declared": status.is_declared,
        "hold": install.hold and _hold(install.host, install.hold),
        "machine": install.identity.recorded,
    }


def _hold(host: str, hold: Hold) -> View:
    """Return why an install is held, with the sentence and the cure of its cause."""
    return {"id": hold.id, **_fields(hold), "sentence": f"{host} is held: {hold.what}", "cure": hold.cure(host)}


def _progress(report: InstallReport) -> View:
    """Return why a host does not proceed (`reason` is a sentence, `blocked` and `cause` have its parts); its checks."""
    cause, blocked = report.cause, report.blocked
    shown = {"reason": blocked and str(blocked), "blocked": blocked, "cause": cause and _cause(cause)}
    return {**shown, "wait": report.wait, "checks": report.status.install.checks}


def _cause(cause: Cause) -> View:
    """Return a cause without the word of docs/events.md, which `blocked` has."""
    return {name: value for name, value in _fields(cause).items() if name != "reason"}


def _heard(heard: Heard) -> View:
    offer, why = heard.last_offer, heard.last_reason
    return {
        "last_heard": heard.at,
        "last_offer": offer and {"at": offer.at, **offer.data},
        "last_reason": why and {"at": why[0], "reason": why[1]},
        "disks": heard.disks.splitlines(),
    }


def _boot(shown: ShownBoot) -> View:
    record = shown.record
    return {
        **_fields(record),
        "steps": [{**_fields(step), "bytes_per_s": step.bytes_per_s} for step in record.steps],
        "skipped": sorted(record.skipped),
        "overdue": sorted(record.overdue),
        "waits_for": record.waits_for if not shown.is_inactive else None,
        "inactive": shown.is_inactive,
        "wait": shown.wait,
        "retries": record.retries,
        "number": shown.number,
        "boots": shown.boots,
        "progress": shown.progress,
    }


def _sourced(found: SourcedValue) -> View:
    """Return a value with its places; `recorded_at` is of an address from a pool alone."""
    shown = {"key": found.key, "value": found.value, "from": found.origins, "overrides": found.overridden}
    return {**shown, "recorded_at": found.recorded_at} if found.is_allocated else shown


def _move(move: Move) -> View:
    """Return one line of a host's history; `disks` is the list with which a report ended."""
    note, disks = without_disks(move.note)
    return {
        "at": move.at,
        "what": move.what,
        "from": move.before,
        "to": move.after,
        "reason": reason_of(move),
        "note": note,
        "disks": disks.splitlines(),
        "actor": move.actor and move.actor.name,
        "source": move.actor and move.actor.source,
    }
