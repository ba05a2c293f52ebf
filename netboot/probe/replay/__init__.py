"""A recorded boot, played again: the same packets and requests against a live server, each answer compared."""
