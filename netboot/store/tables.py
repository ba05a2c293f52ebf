"""The tables of the store. Times are UTC, as ISO 8601 text, so that both databases order and show them alike."""

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, MetaData, Table, Text, text

metadata = MetaData()
_HAS_ACTOR: Final = "actor IS NOT NULL"
_IS_OPEN: Final = "ended_at IS NULL"

schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

# Which key sealed the store: one row, or none before the first.
store_key = Table(
    "store_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("is_alone", Integer, nullable=False),  # 0: what was stored in clear, or for another key, is not erased yet
)

installs = Table(
    "installs",
    metadata,
    Column("host", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("changed_at", Text),
    Column("armed_at", Text),
    Column("armed_reason", Text),
    Column("attempts", Integer),
    Column("spent", Integer),
    Column("kickstart_sha256", Text, unique=True),
    Column("ignition_sha256", Text, unique=True),
    Column("report_sha256", Text, unique=True),
    Column("version", Integer, nullable=False),
    Column("target", JSON(none_as_null=True)),  # what the last arming is bound to; NULL where an older version armed
    Column("checks", JSON(none_as_null=True)),  # before the disk is written; NULL: not reported in the last boot
    Column("node_sha256", Text),
    Column("tokens", Text),  # sealed; each is found by its SHA-256
    Column("identity", JSON(none_as_null=True)),  # of its machine, and why it is held; NULL: nothing is known
    Index("installs_by_node_token", "node_sha256", unique=True),
)

# What each host was installed with, and what its node reported last. Of its token only the hash.
nodes = Table(
    "nodes",
    metadata,
    Column("host", Text, primary_key=True),
    Column("token_sha256", Text, unique=True),  # NULL: an older version rendered its Ignition
    Column("release", Text),  # a local one, and its commit, to which the arming was bound; NULL: not known
    Column("commit_id", Text),
    Column("installed_at", Text, nullable=False),
    Column("report", JSON(none_as_null=True)),
    Column("reported_at", Text),
)

moves = Table(
    "moves",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("host", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("actor", Text),  # NULL where a machine or netboot itself moved the install, or an older version wrote it
    Column("source", Text),
    Index("moves_by_host", "host", "id"),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("host", Text),
    Column("mac", Text),
    Column("step", Text),
    Column("data", JSON, nullable=False),
    Column("actor", Text),  # who caused it, of the data; NULL: a machine, or netboot itself
    Index("events_by_host", "host", "id"),
    Index("events_by_mac", "mac", "id"),
    Index("events_by_name", "name", "id"),
    Index("events_by_time", "at", "id"),
    Index("events_of_actors", "id", "actor", sqlite_where=text(_HAS_ACTOR), postgresql_where=text(_HAS_ACTOR)),
    sqlite_autoincrement=True,  # an id is never used again, even after the oldest events were deleted
)

machines = Table(
    "machines",
    metadata,
    Column("mac", Text, primary_key=True),
    Column("first_seen", Text, nullable=False),
    Column("last_seen", Text, nullable=False),
    Column("arch", Text),
    Column("vendor_class", Text),
    Column("uuid", Text),
    Column("addresses", JSON, nullable=False),
    Column("shapes", JSON),  # `Machine.variants`; NULL if an older version wrote the row
    Column("facts", JSON),  # NULL as above
    Column("first_path", JSON(none_as_null=True)),  # NULL also for a machine whose DISCOVERs came without a relay
    Column("last_path", JSON(none_as_null=True)),
    Column("local_boots", JSON(none_as_null=True)),  # `Machine.local_boots`; NULL: none yet
)

accepted_files = Table(
    "accepted_files",
    metadata,
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("text", Text, nullable=False),  # sealed
)

served_documents = Table(
    "served_documents",
    metadata,
    Column("host", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("at", Text, nullable=False),
    Column("mac", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("sha256", Text, nullable=False),  # sealed: that of a file with keys could confirm a guess
    Column(
        "text", Text
    ),  # sealed, and without tokens; NULL for a role's file, which has cluster keys, and for a very long text
)

inspections = Table(
    "inspections",
    metadata,
    Column("mac", Text, primary_key=True),
    Column("requested_at", Text),
    Column("medium", Text),
    Column("begun_at", Text),
    Column("reported_at", Text),
    Column("token_sha256", Text, unique=True),
    Column("hardware", JSON(none_as_null=True)),
    Column("kind", Text),  # of the request; NULL for an inspection
    Column("requested_medium", Text),
    Column("wipe", JSON(none_as_null=True)),
    Column("tokens", Text),  # sealed: of the running boot, and of the boot that began the wipe
)

leases = Table(
    "leases",
    metadata,
    Column("address", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("mac", Text),
    Column("state", Text, nullable=False),
    Column("lease_s", Integer, nullable=False),
    Column("ends_at", Text, nullable=False),
)

allocations = Table(
    "allocations",
    metadata,
    Column("address", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("at", Text, nullable=False),
)

# Events that wait for a hook. Only the oldest of each subject is delivered, so that none overtakes another.
hook_deliveries = Table(
    "hook_deliveries",
    metadata,
    Column("hook", Text, primary_key=True),
    Column("event_id", Integer, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),  # the host, else the MAC, else empty
    Column("at", Text, nullable=False),  # of the event
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),  # compared and set by who begins an attempt
    Column("next_at", Text, nullable=False),  # no attempt begins before
    Index("hook_deliveries_by_subject", "hook", "subject", "event_id"),
)

# One row for each hook of the settings.
hook_results = Table(
    "hook_results",
    metadata,
    Column("hook", Text, primary_key=True),
    Column("delivered_at", Text),
    Column("failed_at", Text),
    Column("error", Text),  # of the last failed attempt
)

# The newest boots of each host, and few of machines that are not registered.
boots = Table(
    "boots",
    metadata,
    Column("mac", Text, primary_key=True),
    Column("began_at", Text, primary_key=True),
    Column("host", Text),  # NULL: the machine was not registered
    Column("last_at", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("ended_with", Text),  # NULL: it has not ended
    Column("ended_at", Text),
    Column("record", JSON, nullable=False),  # the other fields of `BootRecord`
    Index("boots_by_host", "host", "began_at"),
    Index("boots_by_end", "ended_with", "last_at"),
)

# Who may use the administration. Of a secret only its hash is stored.
users = Table(
    "users",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),  # sealed: a weak password could be guessed from it
    Column("created_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("logged_in_at", Text),
)

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("sha256", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Text),
    Column("used_at", Text),
)

# What operators requested of the power of machines: stored before anything is sent. No credential is part of it.
power_intents = Table(
    "power_intents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("network_boot", Text),  # NULL: none is set
    Column("uri", Text),  # that is written into the firmware
    Column("is_forced", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("requested_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("owner", Text, nullable=False),  # the id of the appliance that sends it
    Column("sent_at", Text),
    Column("ended_at", Text),
    Column("detail", Text, nullable=False),
    Index("power_intents_by_host", "host", "requested_at"),
    Index("power_intents_open", "host", unique=True, sqlite_where=text(_IS_OPEN), postgresql_where=text(_IS_OPEN)),
)

# Ordered rollouts. `active` is 1 or NULL, and unique: there is one at a time.
rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("state", Text, nullable=False),
    Column("active", Integer, unique=True),
    Column("version", Integer, nullable=False),  # counts the writes to it, its hosts and its commands
    Column("owner", Text),  # the daemon that runs it, until `owned_until`
    Column("owned_until", Text),
    Column("began_at", Text, nullable=False),
    Column("ended_at", Text),
    Column("record", JSON, nullable=False),  # the other fields of `Rollout`
    sqlite_autoincrement=True,
)

# The hosts of each rollout. A host whose newest row has no permit gets no Ignition of its role.
rollout_hosts = Table(
    "rollout_hosts",
    metadata,
    Column("rollout", Integer, primary_key=True, autoincrement=False),
    Column("host", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("part", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("permit_sha256", Text),  # of the file that it may get, until `permit_until`
    Column("permit_until", Text),
    Column("requested_at", Text),  # when its installed system requested that file first
    Column("served_at", Text),
    Column("ignition_sha256", Text),  # of the token of its last install
    Column("record", JSON, nullable=False),  # the other fields of `RolloutHost`
    Index("rollout_hosts_by_host", "host", "rollout"),
)

rollout_commands = Table(
    "rollout_commands",
    metadata,
    Column("rollout", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("record", JSON, nullable=False),  # the other fields of `RolloutCommand`
)

# The daemons of a shared store. Each writes its row every few seconds, by the clock of the server.
appliances = Table(
    "appliances",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("declared", JSON, nullable=False),
    Column("joined_at", Text, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("lost_ms", BigInteger),  # NULL: it gives signs of life
)

sessions = Table(
    "sessions",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("user_name", Text, nullable=False),  # its role is the session's
    Column("address", Text, nullable=False),
    Column("began_at", Text, nullable=False),
    Column("used_at", Text, nullable=False),
)
