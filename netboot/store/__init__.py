"""The store: installs, machines, leases, events, accepted hosts files. SQLite or PostgreSQL, by SQLAlchemy Core."""
