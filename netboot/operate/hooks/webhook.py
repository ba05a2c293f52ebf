"""Posts an event to a web server, once. Follows no redirect, uses no proxy, stores no cookie."""

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from netboot import __version__
from netboot.errors import HookSecretError
from netboot.model.hook import WebTarget
from netboot.operate.hooks.attempt import ANSWER_BYTES, Accepted, Failed, Outcome, line_of_answer
from netboot.operate.hooks.hook_message import HookMessage
from netboot.operate.hooks.name_resolver import NameResolver
from netboot.operate.hooks.signature import read_keys, signed_headers

_BODY_S: Final = 0.5
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"netboot/{__version__}",
}


class WebhookSender:
    """One session for all hooks; an async context manager."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._trusted: dict[Path | None, ssl.SSLContext] = {}  # by `ca_file`
        self._session: aiohttp.ClientSession  # from `async with` on

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # a connection that the server closes while it is unused would be a failed attempt
            connector=aiohttp.TCPConnector(resolver=NameResolver(), force_close=True, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,  # a compressed answer could be of any size
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    def forget_authorities(self) -> None:
        """Read each `ca_file` again before the next request."""
        self._trusted.clear()

    async def send(self, target: WebTarget, message: HookMessage, *, timeout_s: float) -> Outcome:
        """Post a message within `timeout_s`; only a status 2xx is a success."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(target, message)
        except TimeoutError:
            return Failed(f"{target} did not answer within {timeout_s:g} s")
        except HookSecretError as error:
            return Failed(str(error))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failed(f"{target}: {_reason(error)}")

    async def _post(self, target: WebTarget, message: HookMessage) -> Outcome:
        keys = await asyncio.to_thread(read_keys, target.secret_file) if target.secret_file is not None else ()
        is_tls = target.url.startswith("https:")
        async with self._session.post(
            URL(target.url, encoded=True),
            data=message.body.encode(),
            headers=signed_headers(message, keys, self._now()),
            allow_redirects=False,
            ssl=await self._authorities(target.ca_file) if is_tls else True,
        ) as response:
            text = await _first_line(response.content)
            answer = _without_url(f"HTTP {response.status} {text}".strip(), target.url)
            if 200 <= response.status < 300:
                return Accepted(answer)
            if 300 <= response.status < 400:
                return Failed(f"{target}: HTTP {response.status}; redirects are not followed: correct url of the hook")
            return Failed(f"{target}: {answer}", _retry_after_s(response))

    async def _authorities(self, ca_file: Path | None) -> ssl.SSLContext:
        """Return the TLS settings for a CA, or for those of this computer; raise OSError if the file is unusable."""
        if ca_file not in self._trusted:
            self._trusted[ca_file] = await asyncio.to_thread(trusting, ca_file)
        return self._trusted[ca_file]


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Make the TLS settings that trust a CA alone, or those of this computer; raise OSError if the file is unusable."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as error:
        raise OSError(None, f"cannot use ca_file {ca_file}: it has no certificate in PEM") from error
    except OSError as error:
        raise OSError(None, f"cannot use ca_file {ca_file}: {error.strerror}") from error


async def _first_line(content: aiohttp.StreamReader) -> str:
    """Return the first line of a response's body: of what comes soon, because the status alone decides."""
    body = b""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(_BODY_S):
            while len(body) < ANSWER_BYTES and (piece := await content.read(ANSWER_BYTES - len(body))):
                body += piece
    return line_of_answer(body)


def _without_url(text: str, url: str) -> str:
    """Remove the URL's path and query, which may be secret, from what a web server returned."""
    parts = urlsplit(url)
    for secret in (f"{parts.path}?{parts.query}", parts.path, parts.query):
        if len(secret) > 1:
            text = text.replace(secret, "…")
    return text


def _retry_after_s(response: aiohttp.ClientResponse) -> int:
    """Return the seconds of Retry-After (RFC 9110 §10.2.3), 0 without it; a date is not read."""
    value = response.headers.get("Retry-After", "")
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 7 else 0


def _reason(error: Exception) -> str:
    """Return why a request failed, without the URL that messages of aiohttp contain."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            certificate = error.certificate_error
            return f"its certificate is refused: {getattr(certificate, 'verify_message', None) or certificate}"
        case aiohttp.ClientConnectorDNSError():
            return f"its name cannot be resolved: {error.os_error.strerror}"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"no connection: {os.strerror(number) if number else error.os_error.strerror}"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "it closed the connection before its answer was complete"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return f"the request failed: {type(error).__name__}"
