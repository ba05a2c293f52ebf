"""The table of nodes: what each host was installed with, and what its node reported last. One row for each host.

A row is written in the transaction in which an install becomes `installed`: then the token of its boot begins to be
valid, and that of the install before ends. Of a token only its SHA-256 is stored here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from netboot.model.host.host import HostName
from netboot.model.install.checks import MalformedReportError
from netboot.model.install.install import AFTER_INSTALL, Install
from netboot.model.node_report import InstalledCommit, InstalledNode, NodeReport
from netboot.store import tables
from netboot.store.database import Database, upsert
from netboot.store.sealing.sealing import requested_digest, token_digest


class Nodes:
    """The table of nodes. Every method raises StoreError if the store fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[HostName, InstalledNode]:
        """Read every node, also those of hosts that are not declared any longer."""
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(tables.nodes))).mappings().all()
        return {node.host: node for node in map(_node, rows)}

    async def by_token(self, token: str) -> InstalledNode | None:
        """Find the node of a token."""
        mine = select(tables.nodes).where(tables.nodes.c.token_sha256 == requested_digest(token))
        async with self._database.reading() as connection:
            row = (await connection.execute(mine)).mappings().first()
        return _node(row) if row else None

    async def record_report(self, token: str, report: NodeReport, *, at: datetime) -> bool:
        """Store the report of a token's node in place of the one before; False if the token is not valid now."""
        mine = tables.nodes.c.token_sha256 == requested_digest(token)
        values = {"report": report.texts(), "reported_at": at.isoformat()}
        async with self._database.transaction() as connection:
            changed = await connection.execute(update(tables.nodes).where(mine).values(values))
        return changed.rowcount == 1

    async def keep_only(self, hosts: Collection[HostName]) -> None:
        """Delete the rows of other hosts than these."""
        table = tables.nodes
        async with self._database.transaction() as connection:
            stored = (await connection.execute(select(table.c.host))).scalars().all()
            if gone := [{"gone": host} for host in stored if host not in hosts]:
                await connection.execute(delete(table).where(table.c.host == bindparam("gone")), gone)


async def forget(connection: AsyncConnection, hosts: Collection[HostName]) -> None:
    """Delete the rows of these hosts: their nodes' tokens are not valid any longer."""
    await connection.execute(delete(tables.nodes).where(tables.nodes.c.host.in_(hosts)))


async def record_installed(connection: AsyncConnection, changes: Sequence[tuple[Install, Install]], *, at: str) -> None:
    """Write the rows of the installs that are done now and were not before, without a report."""
    done = [after for before, after in changes if after.state in AFTER_INSTALL and before.state not in AFTER_INSTALL]
    if done:
        await upsert(connection, tables.nodes, [_columns(install, at) for install in done])


def _columns(install: Install, at: str) -> dict[str, Any]:
    release = install.target.local_release if install.target else None
    return {
        "host": install.host,
        "token_sha256": token_digest(install.tokens.node),
        "release": release,
        "commit_id": install.target.commit if install.target and release else None,
        "installed_at": at,
        "report": None,
        "reported_at": None,
    }


def _node(row: RowMapping) -> InstalledNode:
    installed_at = datetime.fromisoformat(row["installed_at"])
    return InstalledNode(
        HostName(row["host"]),
        InstalledCommit(row["release"] or "", row["commit_id"] or "", installed_at),
        _report(row["report"]),
        datetime.fromisoformat(row["reported_at"]) if row["reported_at"] else None,
    )


def _report(stored: Any) -> NodeReport | None:
    try:
        return NodeReport.parse(stored) if stored else None
    except MalformedReportError:  # of a later version: the node's next report replaces it
        return None
