"""The event log: recorded, limited, read again."""
