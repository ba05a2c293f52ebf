"""Pages of a list: `limit` entries after the key `after`, and a link to the next page (RFC 8288).

A page is in the order of its keys, so that an entry which is removed meanwhile does not shift the next one.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from aiohttp import web
from pydantic import Field

from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import RequestModel

LINK: Final = "Link"
_MOST: Final = 1000

Limit = Annotated[
    Annotated[int, Field(ge=1, le=_MOST)] | None,
    Field(description=f"a whole number from 1 to {_MOST}: at most so many"),
]
_AFTER: Final = Field(description="the key of the last entry of the page before")
Entry = TypeVar("Entry")
Key = TypeVar("Key", str, int)


class PageQuery(RequestModel):
    """A part of a list; without both, the whole list."""

    limit: Limit = None
    after: Annotated[str | None, _AFTER] = None


class NumberedPageQuery(RequestModel):
    """A part of a list whose entries have numbers."""

    limit: Limit = None
    after: Annotated[Annotated[int, Field(ge=0)] | None, _AFTER] = None


def page_answer(
    request: web.Request, found: Sequence[Entry], key: Callable[[Entry], Key], *, limit: int | None, after: Key | None
) -> web.Response:
    """Answer with a page of what was found, or with all of it as it is."""
    if limit is None and after is None:
        return json_answer(found)
    following = sorted((entry for entry in found if after is None or key(entry) > after), key=key)
    page = following[:limit]
    if len(page) == len(following):
        return json_answer(page)
    link = request.rel_url.update_query(after=str(key(page[-1])))
    return json_answer(page, headers={LINK: f'<{link}>; rel="next"'})
