"""The columns of rollouts, their hosts and their commands, and the values that they are."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from netboot.model.host.host import HostName
from netboot.model.rollout.command import CommandKind, CommandState, RolloutCommand
from netboot.model.rollout.rollout import (
    JoinPermit,
    Phase,
    PowerStep,
    Rollout,
    RolloutHost,
    RolloutOptions,
    RolloutPart,
    RolloutState,
)


def rollout_columns(rollout: Rollout) -> dict[str, Any]:
    """Return the columns of a rollout without its id, version and owner."""
    return {
        "state": rollout.state.value,
        "active": 1 if rollout.is_active else None,
        "began_at": text(rollout.began_at),
        "ended_at": text(rollout.ended_at),
        "record": {
            "options": asdict(rollout.options),
            "actor": rollout.actor,
            "reason": rollout.reason,
            "has_cluster": rollout.has_cluster,
            "replaces": rollout.replaces,
            "api_answered_at": text(rollout.api_answered_at),
            "forgiven": rollout.forgiven,
        },
    }


def rollout_of(
    row: RowMapping, hosts: tuple[RolloutHost, ...], commands: Mapping[CommandKind, RolloutCommand]
) -> Rollout:
    record = row["record"]
    return Rollout(
        id=row["id"],
        options=RolloutOptions(**record["options"]),
        hosts=hosts,
        began_at=datetime.fromisoformat(row["began_at"]),
        actor=record["actor"],
        state=RolloutState(row["state"]),
        reason=record["reason"],
        has_cluster=record["has_cluster"],
        replaces=HostName(record["replaces"]) if record["replaces"] else None,
        commands=commands,
        api_answered_at=moment(record["api_answered_at"]),
        ended_at=moment(row["ended_at"]),
        forgiven=record["forgiven"],
        version=row["version"],
    )


def host_columns(rollout: int, position: int, each: RolloutHost) -> dict[str, Any]:
    permit = each.permit
    return {
        "rollout": rollout,
        "host": each.host,
        "position": position,
        "part": each.part.value,
        "phase": each.phase.value,
        "permit_sha256": permit.sha256 if permit else None,
        "permit_until": text(permit.until) if permit else None,
        "requested_at": text(each.requested_at),
        "served_at": text(each.served_at),
        "ignition_sha256": each.ignition_sha256,
        "record": {
            "changed_at": text(each.changed_at),
            "reason": each.reason,
            "wants_install": each.wants_install,
            "attempts": each.attempts,
            "armed_at": text(each.armed_at),
            "power": each.power.value,
            "permit_given_at": text(permit.given_at) if permit else None,
        },
    }


def host_of(row: RowMapping) -> RolloutHost:
    record = row["record"]
    permit = None
    if row["permit_sha256"]:
        given_at = datetime.fromisoformat(record["permit_given_at"])
        permit = JoinPermit(row["permit_sha256"], moment(row["permit_until"]), given_at)
    return RolloutHost(
        host=HostName(row["host"]),
        part=RolloutPart(row["part"]),
        phase=Phase(row["phase"]),
        changed_at=moment(record["changed_at"]),
        reason=record["reason"],
        wants_install=record["wants_install"],
        attempts=record["attempts"],
        armed_at=moment(record["armed_at"]),
        power=PowerStep(record["power"]),
        requested_at=moment(row["requested_at"]),
        permit=permit,
        served_at=moment(row["served_at"]),
        ignition_sha256=row["ignition_sha256"],
    )


def command_columns(rollout: int, command: RolloutCommand) -> dict[str, Any]:
    return {
        "rollout": rollout,
        "kind": command.kind.value,
        "state": command.state.value,
        "record": {
            "attempts": command.attempts,
            "began_at": text(command.began_at),
            "ended_at": text(command.ended_at),
            "next_at": text(command.next_at),
            "detail": command.detail,
            "printed": command.printed,
            "cure": command.cure,
        },
    }


def command_of(row: RowMapping) -> RolloutCommand:
    record = row["record"]
    return RolloutCommand(
        CommandKind(row["kind"]),
        CommandState(row["state"]),
        record["attempts"],
        moment(record["began_at"]),
        moment(record["ended_at"]),
        moment(record["next_at"]),
        record["detail"],
        record["printed"],
        record.get("cure", ""),
    )


def text(at: datetime | None) -> str | None:
    """Write a time with a fixed number of digits, by which databases compare it in any collation."""
    return at.isoformat(timespec="microseconds") if at is not None else None


def moment(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored else None
