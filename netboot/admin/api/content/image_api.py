"""`/api/v1/images`: lists, shows and removes container images. NAME is one part of a path: `olcne%2Fui:1.33`."""

from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.content.content_api import RemovalView
from netboot.admin.api.operation import operation
from netboot.admin.api.paging import PageQuery, page_answer
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_query
from netboot.content.library.library import LibraryBusyError, UnknownContentError
from netboot.errors import ContentError
from netboot.operate.content.content_administration import ContentAdministration
from netboot.operate.content.content_changes import ContentRefusedError
from netboot.operate.content.image_listing import ImageDetails, ListedRepository

_PATH: Final = "/api/v1/images"


class ImageApi:
    def __init__(self, content: ContentAdministration) -> None:
        self._content = content

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(_PATH, self.all),
            web.get(f"{_PATH}/{{name}}", self.show),
            web.delete(f"{_PATH}/{{name}}", self.remove),
        ]

    @operation(list[ListedRepository], query=PageQuery, headers=["Link"], errors=[ContentError])
    async def all(self, request: web.Request) -> web.Response:
        """List the repositories of container images, by name, with their users among the hosts in force."""
        wanted = read_query(request, PageQuery)
        found = await self._content.images()
        return page_answer(request, found, lambda each: each.name, limit=wanted.limit, after=wanted.after)

    @operation(ImageDetails, errors=[UnknownContentError, ContentError])
    async def show(self, request: web.Request) -> web.Response:
        """Show a repository, or the image of a tag or digest: `olcne/ui:1.33`; with its blobs."""
        return json_answer(await self._content.show_image(request.match_info["name"]))

    @operation(RemovalView, errors=[UnknownContentError, ContentRefusedError, LibraryBusyError, ContentError])
    async def remove(self, request: web.Request) -> web.Response:
        """Remove a repository, a tag, or a digest with its tags; refused while it is used, with every reason."""
        removed = await self._content.remove_image(request.match_info["name"], actor=actor_of(request))
        return json_answer(RemovalView(removed.removed, removed.size_bytes))
