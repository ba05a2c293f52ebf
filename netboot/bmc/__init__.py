"""Power of machines by their BMCs: Redfish, what differs per vendor, and what a BMC was found to do.

Everything blocks and runs in threads; only `bmcs` is for the event loop. sushy, an extra, is imported when a BMC is
used.
"""
