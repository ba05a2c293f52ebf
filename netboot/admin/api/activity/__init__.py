"""The routes of what happened: activity, its export, and throughput."""
