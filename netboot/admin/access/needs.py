"""Declares what a route needs of who requests it.

Without a declaration, GET and HEAD need `Need.READ`, every other method `Need.CHANGE`.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiohttp import hdrs, web

from netboot.model.access.access_rule import Need

LARGEST_FORM_BYTES: Final = 1 << 20  # of a form, unless a handler declares another limit
LARGEST_OPEN_FORM_BYTES: Final = 1 << 14  # of a form that needs no login

_READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def needs(need: Need, *, largest_form_bytes: int | None = None) -> Callable[[Decorated], Decorated]:
    """Declare what a handler needs, and the largest form that it takes."""

    def declare(handler: Decorated) -> Decorated:
        handler.__dict__["access_need"] = need
        handler.__dict__["largest_form_bytes"] = largest_form_bytes
        return handler

    return declare


def need_of(request: web.Request) -> Need:
    """Return what the route of a request needs."""
    declared: Need | None = getattr(request.match_info.handler, "access_need", None)
    if declared is not None:
        return declared
    return Need.READ if request.method in _READING else Need.CHANGE


def largest_form_of(request: web.Request) -> int:
    """Return the limit in bytes of a form that is sent to the route of a request."""
    declared: int | None = getattr(request.match_info.handler, "largest_form_bytes", None)
    if declared is not None:
        return declared
    return LARGEST_OPEN_FORM_BYTES if need_of(request) is Need.OPEN else LARGEST_FORM_BYTES
