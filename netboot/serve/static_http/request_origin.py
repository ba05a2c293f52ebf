"""Our URL as a machine reached us: from the socket, never from the request."""

import asyncio
from collections.abc import Mapping

from netboot.model import urls


def base_url_at(transport: asyncio.BaseTransport, advertised: Mapping[str, str]) -> str:
    """Return our URL at the address that a machine reached, or at the one in `advertised` that machines use instead."""
    address, port = transport.get_extra_info("sockname")[:2]
    return urls.base_url(advertised.get(address, address), port)
