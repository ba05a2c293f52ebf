"""The receiver of machines' logs: syslog by UDP and TCP on each boot interface."""
