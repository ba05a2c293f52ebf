"""The ledger: what was observed of each machine, in SQLite or PostgreSQL through SQLAlchemy Core."""
