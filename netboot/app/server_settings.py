"""Derives the servers' settings, in their own types. Opens nothing and starts nothing.

Separate from `from_settings`, because the servers' libraries take half a second to load and `check` and `plan` need
none.
"""

from typing import Final

from netboot.serve.dhcp.dhcp_server import DhcpSettings
from netboot.serve.static_http.shares import ShareLimits
from netboot.serve.tftp.tftp_server import TftpSettings
from netboot.serve.tftp.transfers import TransferLimits
from netboot.settings.settings import Settings

DRAIN_S: Final = 20.0  # transfers of a kernel and initrd that run at SIGTERM can end


def dhcp_settings(settings: Settings) -> DhcpSettings:
    """Return the settings of the DHCP listeners."""
    dhcp = settings.dhcp
    return DhcpSettings(dhcp.mode, dhcp.port, dhcp.pxe_port, settings.http.port, dhcp.listen)


def tftp_settings(settings: Settings) -> TftpSettings:
    """Return the settings of the TFTP listeners."""
    tftp = settings.tftp
    limits = TransferLimits(total=tftp.max_transfers, per_client=tftp.max_transfers_per_client)
    return TftpSettings(tftp.port, tftp.single_port, limits, settings.http.port)


def share_limits(settings: Settings) -> ShareLimits:
    """Return the limits of large bodies."""
    return ShareLimits(settings.http.max_streams, settings.http.client_rate)
