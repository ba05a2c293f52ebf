"""The migrations of the store: a numbered list of SQL statements, each run once, all of them in one transaction.

Add a migration at the end; never change one that was released, and never derive one from `tables`, which changes.
A test compares what they create with `tables`, on both databases.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, insert, inspect, select, text

from netboot.store import tables
from netboot.store.failure import newer_store
from netboot.store.sealing.sealed_values import seal_clear_values
from netboot.store.sealing.sealing import Sealing

MIGRATION_LOCK: Final = 0x6E6574626F6F74  # "netboot", among a database's advisory locks

SEALED_SINCE: Final = 18  # earlier versions stored tokens, hosts files and hashes of passwords in clear

# What differs between the two databases: the type of a key that counts, that SQLite uses no number again, the value of
# a key in JSON, and the beginning of a statement that only PostgreSQL needs: SQLite's constraints have no names.
_TYPES: Final = {
    "sqlite": {
        "serial": "INTEGER",
        "no_reuse": "AUTOINCREMENT",
        "actor_in_data": "json_extract(data, '$.actor')",
        "on_postgresql": "SELECT 1 --",
    },
    "postgresql": {"serial": "SERIAL", "no_reuse": "", "actor_in_data": "data->>'actor'", "on_postgresql": ""},
}
_TOKENS: Final = ("kickstart", "ignition", "report", "node")
_UNIQUE_TOKENS: Final = [
    (f"installs_{kind}_token_key", f"installs_{kind}_sha256_key") for kind in ("kickstart", "ignition", "report")
]
_VERSIONS: Final = "CREATE TABLE IF NOT EXISTS schema_version (version {serial} NOT NULL, PRIMARY KEY (version))"

MIGRATIONS: Final[Sequence[Sequence[str]]] = (
    (
        """
        CREATE TABLE installs (
            host TEXT NOT NULL, state TEXT NOT NULL, changed_at TEXT, armed_at TEXT, armed_reason TEXT,
            attempts INTEGER, spent INTEGER, kickstart_token TEXT, ignition_token TEXT, report_token TEXT,
            version INTEGER NOT NULL,
            PRIMARY KEY (host), UNIQUE (kickstart_token), UNIQUE (ignition_token), UNIQUE (report_token)
        )
        """,
        """
        CREATE TABLE moves (
            id {serial} NOT NULL PRIMARY KEY, host TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL,
            from_state TEXT NOT NULL, to_state TEXT NOT NULL, note TEXT NOT NULL
        )
        """,
        "CREATE INDEX moves_by_host ON moves (host, id)",
        """
        CREATE TABLE events (
            id {serial} NOT NULL PRIMARY KEY {no_reuse}, at TEXT NOT NULL, name TEXT NOT NULL,
            host TEXT, mac TEXT, step TEXT, data JSON NOT NULL
        )
        """,
        "CREATE INDEX events_by_host ON events (host, id)",
        """
        CREATE TABLE machines (
            mac TEXT NOT NULL, first_seen TEXT NOT NULL, last_seen TEXT NOT NULL, arch TEXT, vendor_class TEXT,
            uuid TEXT, addresses JSON NOT NULL, PRIMARY KEY (mac)
        )
        """,
    ),
    ("ALTER TABLE machines ADD COLUMN shapes JSON",),
    (
        """
        CREATE TABLE leases (
            address TEXT NOT NULL, client TEXT NOT NULL, mac TEXT, state TEXT NOT NULL, lease_s INTEGER NOT NULL,
            ends_at TEXT NOT NULL, PRIMARY KEY (address)
        )
        """,
    ),
    ("ALTER TABLE installs ADD COLUMN target JSON",),
    (
        """
        CREATE TABLE accepted_files (
            position INTEGER NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (position)
        )
        """,
    ),
    ("ALTER TABLE moves ADD COLUMN actor TEXT", "ALTER TABLE moves ADD COLUMN source TEXT"),
    (
        """
        CREATE TABLE served_documents (
            host TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL, mac TEXT NOT NULL, base_url TEXT NOT NULL,
            sha256 TEXT NOT NULL, text TEXT, PRIMARY KEY (host, kind)
        )
        """,
    ),
    (
        "ALTER TABLE machines ADD COLUMN facts JSON",
        "ALTER TABLE machines ADD COLUMN first_path JSON",
        "ALTER TABLE machines ADD COLUMN last_path JSON",
    ),
    ("CREATE TABLE allocations (address TEXT NOT NULL, host TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (address))",),
    (
        """
        CREATE TABLE inspections (
            mac TEXT NOT NULL, requested_at TEXT, medium TEXT, begun_at TEXT, reported_at TEXT, token TEXT,
            hardware JSON, PRIMARY KEY (mac), UNIQUE (token)
        )
        """,
    ),
    ("ALTER TABLE installs ADD COLUMN checks JSON",),
    (
        "ALTER TABLE inspections ADD COLUMN kind TEXT",
        "ALTER TABLE inspections ADD COLUMN requested_medium TEXT",
        "ALTER TABLE inspections ADD COLUMN wipe JSON",
    ),
    (
        """
        CREATE TABLE hook_deliveries (
            hook TEXT NOT NULL, event_id INTEGER NOT NULL, subject TEXT NOT NULL, at TEXT NOT NULL, body TEXT NOT NULL,
            attempts INTEGER NOT NULL, next_at TEXT NOT NULL, PRIMARY KEY (hook, event_id)
        )
        """,
        "CREATE INDEX hook_deliveries_by_subject ON hook_deliveries (hook, subject, event_id)",
        """
        CREATE TABLE hook_results (
            hook TEXT NOT NULL, delivered_at TEXT, failed_at TEXT, error TEXT, PRIMARY KEY (hook)
        )
        """,
    ),
    (
        """
        CREATE TABLE boots (
            mac TEXT NOT NULL, began_at TEXT NOT NULL, host TEXT, last_at TEXT NOT NULL, plan TEXT NOT NULL,
            ended_with TEXT, ended_at TEXT, record JSON NOT NULL, PRIMARY KEY (mac, began_at)
        )
        """,
        "CREATE INDEX boots_by_host ON boots (host, began_at)",
        "CREATE INDEX boots_by_end ON boots (ended_with, last_at)",
    ),
    (
        """
        CREATE TABLE users (
            name TEXT NOT NULL, role TEXT NOT NULL, password_hash TEXT NOT NULL, created_at TEXT NOT NULL,
            changed_at TEXT NOT NULL, logged_in_at TEXT, PRIMARY KEY (name)
        )
        """,
        """
        CREATE TABLE api_tokens (
            name TEXT NOT NULL, role TEXT NOT NULL, sha256 TEXT NOT NULL, created_at TEXT NOT NULL,
            created_by TEXT NOT NULL, expires_at TEXT, used_at TEXT, PRIMARY KEY (name), UNIQUE (sha256)
        )
        """,
        """
        CREATE TABLE sessions (
            sha256 TEXT NOT NULL, user_name TEXT NOT NULL, address TEXT NOT NULL, began_at TEXT NOT NULL,
            used_at TEXT NOT NULL, PRIMARY KEY (sha256)
        )
        """,
    ),
    (
        "ALTER TABLE events ADD COLUMN actor TEXT",
        "UPDATE events SET actor = {actor_in_data} WHERE {actor_in_data} IS NOT NULL",
        "CREATE INDEX events_by_mac ON events (mac, id)",
        "CREATE INDEX events_by_name ON events (name, id)",
        "CREATE INDEX events_by_time ON events (at, id)",
        "CREATE INDEX events_of_actors ON events (id, actor) WHERE actor IS NOT NULL",
    ),
    (
        "ALTER TABLE installs ADD COLUMN node_token TEXT",
        "CREATE UNIQUE INDEX installs_by_node_token ON installs (node_token)",
        """
        CREATE TABLE nodes (
            host TEXT NOT NULL, token_sha256 TEXT, release TEXT, commit_id TEXT, installed_at TEXT NOT NULL,
            report JSON, reported_at TEXT, PRIMARY KEY (host), UNIQUE (token_sha256)
        )
        """,
    ),
    (
        # What these columns have is sealed after the last migration, by `seal_clear_values`.
        *(f"ALTER TABLE installs RENAME COLUMN {kind}_token TO {kind}_sha256" for kind in _TOKENS),
        *(f"{{on_postgresql}} ALTER TABLE installs RENAME CONSTRAINT {old} TO {new}" for old, new in _UNIQUE_TOKENS),
        "ALTER TABLE installs ADD COLUMN tokens TEXT",
        "ALTER TABLE inspections RENAME COLUMN token TO token_sha256",
        "{on_postgresql} ALTER TABLE inspections RENAME CONSTRAINT inspections_token_key TO "
        "inspections_token_sha256_key",
        "ALTER TABLE inspections ADD COLUMN tokens TEXT",
        """
        CREATE TABLE store_key (
            id INTEGER NOT NULL, digest TEXT NOT NULL, is_alone INTEGER NOT NULL, PRIMARY KEY (id)
        )
        """,
        "ALTER TABLE machines ADD COLUMN local_boots JSON",
        "ALTER TABLE installs ADD COLUMN identity JSON",
        """
        CREATE TABLE appliances (
            id TEXT NOT NULL, name TEXT NOT NULL, place TEXT NOT NULL, url TEXT NOT NULL, version TEXT NOT NULL,
            declared JSON NOT NULL, joined_at TEXT NOT NULL, seen_ms BIGINT NOT NULL, lost_ms BIGINT, PRIMARY KEY (id)
        )
        """,
    ),
    (
        """
        CREATE TABLE power_intents (
            id TEXT NOT NULL, host TEXT NOT NULL, action TEXT NOT NULL, network_boot TEXT, uri TEXT,
            is_forced INTEGER NOT NULL, actor TEXT NOT NULL, source TEXT NOT NULL, requested_at TEXT NOT NULL,
            state TEXT NOT NULL, owner TEXT NOT NULL, sent_at TEXT, ended_at TEXT, detail TEXT NOT NULL,
            PRIMARY KEY (id)
        )
        """,
        "CREATE INDEX power_intents_by_host ON power_intents (host, requested_at)",
        "CREATE UNIQUE INDEX power_intents_open ON power_intents (host) WHERE ended_at IS NULL",
        """
        CREATE TABLE rollouts (
            id {serial} NOT NULL PRIMARY KEY {no_reuse}, state TEXT NOT NULL, active INTEGER, version INTEGER NOT NULL,
            owner TEXT, owned_until TEXT, began_at TEXT NOT NULL, ended_at TEXT, record JSON NOT NULL, UNIQUE (active)
        )
        """,
        """
        CREATE TABLE rollout_hosts (
            rollout INTEGER NOT NULL, host TEXT NOT NULL, position INTEGER NOT NULL, part TEXT NOT NULL,
            phase TEXT NOT NULL, permit_sha256 TEXT, permit_until TEXT, requested_at TEXT, served_at TEXT,
            ignition_sha256 TEXT, record JSON NOT NULL, PRIMARY KEY (rollout, host)
        )
        """,
        "CREATE INDEX rollout_hosts_by_host ON rollout_hosts (host, rollout)",
        """
        CREATE TABLE rollout_commands (
            rollout INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, record JSON NOT NULL,
            PRIMARY KEY (rollout, kind)
        )
        """,
    ),
)


def lacking(connection: Connection) -> list[int]:
    """Return the versions that the store lacks, in order; raise StoreError if a newer program migrated it."""
    done: set[int] = set()
    if inspect(connection).has_table(tables.schema.name):
        done = set(connection.scalars(select(tables.schema.c.version)))
    if (newest := max(done, default=0)) > len(MIGRATIONS):
        raise newer_store(newest)
    return [version for version in range(1, len(MIGRATIONS) + 1) if version not in done]


def migrate(connection: Connection, sealing: Sealing, *, newest: int = len(MIGRATIONS)) -> None:
    """Run the migrations up to `newest` that the store lacks, and seal what an earlier version stored in clear.

    Raises StoreError if a newer program migrated it, or if something is to be sealed and there is no key.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":  # two programs may begin at once; SQLite's write lock admits one
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
    connection.exec_driver_sql(_VERSIONS.format_map(_TYPES[dialect]))
    missing = [version for version in lacking(connection) if version <= newest]
    for version in missing:
        for statement in MIGRATIONS[version - 1]:
            connection.exec_driver_sql(statement.format_map(_TYPES[dialect]))
        connection.execute(insert(tables.schema).values(version=version))
    if SEALED_SINCE in missing:
        seal_clear_values(connection, sealing)
