"""`/api/v1/content`: lists, verifies, promotes, removes and collects media and releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from aiohttp import web
from pydantic import Field

from netboot.admin.access.requester import actor_of
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import RequestModel, read_body
from netboot.content.images.release_images import TagMove
from netboot.content.library.library import InvalidNameError, LibraryBusyError, NameUsedError, UnknownContentError
from netboot.errors import ContentError
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.content.content_changes import CollectedContent, ContentRefusedError
from netboot.operate.content.library_listing import ContentDetails
from netboot.operate.content.scrubbing import ScrubProgress
from netboot.operate.content.verifications import UnknownVerificationError, Verification

_PATH: Final = "/api/v1/content"


class VerificationRequest(RequestModel):
    """What to verify."""

    name: Annotated[str | None, Field(description="the name of a medium, release or image; without it all content")] = (
        None
    )


class PromotionRequest(RequestModel):
    """An entry, and the alias that it gets."""

    name: Annotated[str, Field(description="the name of a medium or release", min_length=1)]
    alias: Annotated[str, Field(description="the alias, for example stable", min_length=1)]


@dataclass(frozen=True, slots=True)
class RemovalView:
    """What was removed, and the size of its files."""

    removed: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PromotionView:
    """An alias, what it is an alias of now, the hosts whose arming ended with that, and the tags that moved."""

    alias: str
    name: str
    armings_ended: Sequence[str]
    tags: Sequence[TagMove]


class ContentApi:
    def __init__(self, content: ContentAdministration) -> None:
        self._content = content

    def routes(self) -> list[web.RouteDef]:
        verifications = f"{_PATH}/verifications"
        return [
            web.get(_PATH, self.all),
            web.get(f"{_PATH}/entries/{{name}}", self.show),
            web.delete(f"{_PATH}/entries/{{name}}", self.remove),
            web.post(f"{_PATH}/promote", self.promote),
            web.post(f"{_PATH}/collect", self.collect),
            web.get(f"{_PATH}/scrub", self.scrub),
            web.post(f"{_PATH}/scrub", self.begin_scrub),
            web.get(verifications, self.verifications),
            web.post(verifications, self.verify),
            web.delete(f"{verifications}/{{id}}", self.cancel_verification),
        ]

    @operation(list[ContentDetails], errors=[ContentError])
    async def all(self, _request: web.Request) -> web.Response:
        """List media, releases and aliases, with their users among the hosts in force."""
        return json_answer(await self._content.all())

    @operation(ContentDetails, errors=[UnknownContentError, ContentError])
    async def show(self, request: web.Request) -> web.Response:
        """Show one entry, with the SHA-256 of its files as they were imported."""
        return json_answer(await self._content.show(request.match_info["name"]))

    @operation(RemovalView, errors=[UnknownContentError, ContentRefusedError, LibraryBusyError, ContentError])
    async def remove(self, request: web.Request) -> web.Response:
        """Remove a medium, a release or an alias; refused while it is used, with every reason."""
        removed = await self._content.remove(request.match_info["name"], actor=actor_of(request))
        return json_answer(RemovalView(removed.removed, removed.size_bytes))

    @operation(
        PromotionView,
        body=PromotionRequest,
        errors=[
            UnknownContentError,
            ContentRefusedError,
            InvalidNameError,
            NameUsedError,
            LibraryBusyError,
            ContentError,
        ],
    )
    async def promote(self, request: web.Request) -> web.Response:
        """Make `alias` an alias of `name`; refused while machines install or pull by that alias."""
        wanted = await read_body(request, PromotionRequest)
        promoted, ended = await self._content.promote(wanted.name, wanted.alias, actor=actor_of(request))
        return json_answer(PromotionView(promoted.alias, promoted.name, ended, promoted.tags))

    @operation(CollectedContent, errors=[ContentRefusedError, LibraryBusyError, ContentError])
    async def collect(self, request: web.Request) -> web.Response:
        """Delete the remains of unfinished imports and removals, and images that nothing names; refused while machines
        pull a release.
        """
        return json_answer(await self._content.collect(actor=actor_of(request)))

    @operation(ScrubProgress)
    async def scrub(self, _request: web.Request) -> web.Response:
        """Show how far the verification in the background is, and the damaged files that are not served."""
        return json_answer(self._content.scrubbing.progress())

    @operation(ScrubProgress, status=202)
    async def begin_scrub(self, request: web.Request) -> web.Response:
        """Begin to verify all content in the background now, if no round runs."""
        return json_answer(self._content.begin_scrub(actor=actor_of(request)), status=202)

    @operation(list[Verification])
    async def verifications(self, _request: web.Request) -> web.Response:
        """List the newest verifications that this daemon ran, newest first."""
        return json_answer(self._content.verifications.all())

    @operation(
        Verification,
        status=202,
        body=VerificationRequest,
        errors=[UnknownContentError, ContentRefusedError, ContentError],
    )
    async def verify(self, request: web.Request) -> web.Response:
        """Begin to verify every byte of an entry or an image, or of all; refused while another verification runs."""
        wanted = await read_body(request, VerificationRequest)
        begun = await self._content.verify(wanted.name, actor=actor_of(request))
        return json_answer(begun, status=202)

    @operation(Verification, errors=[UnknownVerificationError, ContentRefusedError])
    async def cancel_verification(self, request: web.Request) -> web.Response:
        """Cancel a running verification."""
        found = await self._content.verifications.cancel(request.match_info["id"], actor=actor_of(request))
        return json_answer(found)
