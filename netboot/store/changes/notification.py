"""Notifications of changes: NOTIFY in the transaction of the writer (PostgreSQL), which the server sends at its commit.

A SQLite store has one daemon, so that nothing is sent there. One channel for each schema.
"""

import json
from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL: Final = "'netboot_' || hashtext(coalesce(current_schema(), ''))"  # in SQL
LONGEST_BYTES: Final = 7_900  # PostgreSQL's limit is 8,000 (NOTIFY)

_NOTIFY: Final = text(f"SELECT pg_notify({CHANNEL}, :payload)")


class Changed(StrEnum):
    """What was changed, and what the subjects of a notification are."""

    ACCESS = "access"  # users, API tokens, sessions: no subjects
    ALLOCATION = "allocation"  # hosts
    APPLIANCE = "appliance"  # no subjects
    BOOT = "boot"  # MACs
    EVENTS = "events"  # no subjects: the events after the last one that was read
    HOOK = "hook"  # hooks
    HOSTS = "hosts"  # accepted files: no subjects
    INSPECTION = "inspection"  # MACs
    INSTALL = "install"  # hosts
    LEASE = "lease"  # addresses
    LOCAL_BOOT = "local-boot"  # hosts
    MACHINE = "machine"  # MACs
    NODE = "node"  # hosts
    ROLLOUT = "rollout"  # no subjects


class Notification(NamedTuple):
    """A change as it is sent. `subjects` None: there are too many to name, anything may have changed."""

    writer: str
    what: str  # a newer version may send one that is not in `Changed`
    subjects: frozenset[str] | None


async def notify(connection: AsyncConnection, what: Changed, subjects: Collection[str] = ()) -> None:
    """Notify the other appliances of a change when the transaction of `connection` is committed.

    `subjects` name what changed, as `Changed` lists; many are sent as "anything may have changed". Raises what
    `connection` raises.
    """
    if connection.dialect.name == "postgresql":
        writer = str(connection.sync_connection.get_execution_options()["writer"]) if connection.sync_connection else ""
        await connection.execute(_NOTIFY, {"payload": payload_of(writer, what, subjects)})


def payload_of(writer: str, what: str, subjects: Collection[str]) -> str:
    """Return the text that `parse` reads."""
    payload = json.dumps([writer, what, sorted(subjects)], ensure_ascii=False)
    return payload if len(payload.encode()) <= LONGEST_BYTES else json.dumps([writer, what, None])


def parse(payload: str) -> Notification | None:
    """Read a notification; None: it is not one of ours."""
    try:
        writer, what, subjects = json.loads(payload)
        return Notification(str(writer), str(what), None if subjects is None else frozenset(map(str, subjects)))
    except (ValueError, TypeError):
        return None
