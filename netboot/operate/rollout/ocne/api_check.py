"""Finds out whether the API of a cluster answers: GET /readyz by TLS, verified with the cluster's own CA.

Anybody may request /readyz (ClusterRole system:public-info-viewer); where that was switched off, the refusal of the
right server is an answer too.
"""

import asyncio
import ssl
from typing import Final

import aiohttp

from netboot.operate.hooks.name_resolver import NameResolver

TIMEOUT_S: Final = 5.0
_ANSWERS: Final = frozenset({200, 401, 403})


async def api_problem(endpoint: str, ca_pem: str) -> str | None:
    """Return why the API at `endpoint`, HOST:PORT, does not answer; None: it does."""
    try:
        context = await asyncio.to_thread(ssl.create_default_context, cadata=ca_pem)
    except (ssl.SSLError, ValueError):
        return "the CA of the cluster is no certificate"
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            _session(context) as session,
            session.get(f"https://{endpoint}/readyz", allow_redirects=False) as answer,
        ):
            return None if answer.status in _ANSWERS else f"https://{endpoint}/readyz answers {answer.status}"
    except TimeoutError:
        return f"https://{endpoint} did not answer within {TIMEOUT_S:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        reason = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
        return f"https://{endpoint} does not answer: {getattr(reason, 'strerror', None) or reason}"


def _session(context: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=context, resolver=NameResolver(), force_close=True)
    timeout = aiohttp.ClientTimeout(total=None)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout)
