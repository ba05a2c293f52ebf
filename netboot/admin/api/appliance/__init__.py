"""The routes of the appliance itself: status, health, cluster, hooks, support."""
