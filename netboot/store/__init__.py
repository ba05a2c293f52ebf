"""The store: the observed state of each machine, in SQLite or PostgreSQL through SQLAlchemy Core."""
