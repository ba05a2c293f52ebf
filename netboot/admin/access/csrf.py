"""Refuses changes that a page of another site sends with the cookie of this one, or by a browser on this appliance.

A page puts `Requester.csrf` into the field `csrf` of each form, or a script sends it in `X-CSRF-Token`. `origin`
refuses such requests by what the browser reports of them; this is independent of what it reports.
"""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web

from netboot.admin.access.needs import largest_form_of
from netboot.admin.access.requester import Requester, is_api
from netboot.model.access.access_rule import Channel
from netboot.telemetry.metrics import Metrics

CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"

_SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_FORM_S: Final = 60.0  # in which a form must arrive


class FormTokens:
    """Makes the token of a session, or without one of a channel; `key` lasts as long as this process."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of_channel(self, channel: Channel) -> str:
        return hmac.new(self._key, channel.value.encode(), "sha256").hexdigest()

    def of_session(self, cookie: str) -> str:
        """Return the token of the session with this cookie; it is the same after a restart."""
        return hmac.new(cookie.encode(), b"csrf", "sha256").hexdigest()


@asynccontextmanager
async def verified_form(request: web.Request, requester: Requester, metrics: Metrics) -> AsyncIterator[web.Request]:
    """Yield the request, whose form can be read; raise HTTPForbidden if it changes something without the token.

    Only a browser can be misused: a program that sends an API token, or uses the API without a cookie, needs none.
    """
    is_by_program = not requester.csrf or (is_api(request) and requester.session is None)
    is_served = request.match_info.http_exception is None
    if request.method in _SAFE or is_by_program or not is_served:
        yield request
        return
    form: Mapping[str, object] = {}
    sent: object = request.headers.get(CSRF_HEADER)
    if not is_api(request):
        request = request.clone(client_max_size=largest_form_of(request))
        form = await _form(request)
        sent = sent or form.get(CSRF_FIELD)
    try:
        if not (isinstance(sent, str) and hmac.compare_digest(sent.encode(), requester.csrf.encode())):
            metrics.count("admin_refused", reason="form")
            raise web.HTTPForbidden(
                text="this form belongs to another login or to an earlier run of netboot; nothing was changed: load "
                f"the page again and repeat it (a program sends an API token, or {CSRF_HEADER} with its cookie)"
            )
        yield request
    finally:
        for value in form.values():
            if isinstance(value, web.FileField):
                value.file.close()


async def _form(request: web.Request) -> Mapping[str, object]:
    try:
        async with asyncio.timeout(_FORM_S):
            return await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the form did not arrive in time; nothing was changed") from None
    except (ValueError, LookupError, AssertionError):  # not the form that Content-Type announces
        raise web.HTTPBadRequest(text="the body is not a form") from None
