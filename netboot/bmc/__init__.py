"""Power, by Redfish."""
