"""`/content/-/image`: one container image, or a repository; verify and remove."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.pages.content.image_views import IMAGE_PATH, ImageView
from netboot.admin.pages.content.verification_views import newest_of_each
from netboot.admin.pages.page_engine import PageEngine
from netboot.operate.content.content_administration import ContentAdministration

_PAGE = "/content"


class ImagePages:
    """The name of an image has slashes and colons, so it is in the query."""

    def __init__(self, content: ContentAdministration, engine: PageEngine) -> None:
        self._content, self._engine = content, engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/content/-/image", self.show),
            web.post("/content/-/image/verify", self.verify),
            web.get("/content/-/image/remove", self.confirm_remove),
            web.post("/content/-/image/remove", self.remove),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show an image with its blobs."""
        return await self._engine.answer(request, "image.html.j2", page=await self._view(request))

    async def verify(self, request: web.Request) -> web.Response:
        """Begin to verify an image."""
        begun = await self._content.verify(_name_in(request), actor=actor_of(request))
        return self._engine.back(_PAGE, done=f"The verification of {begun.subject} has begun.", kind="info")

    async def confirm_remove(self, request: web.Request) -> web.Response:
        """Show what is removed, or every reason why it must stay."""
        return await self._engine.answer(request, "image_remove.html.j2", page=await self._view(request))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove an image."""
        removed = await self._content.remove_image(_name_in(request), actor=actor_of(request))
        done = f"{removed.removed} is removed. Its blobs stay until remains are deleted."
        return self._engine.back(_PAGE, done=done)

    async def _view(self, request: web.Request) -> ImageView:
        details = await self._content.show_image(_name_in(request))
        verifications = self._content.verifications
        newest = newest_of_each(verifications.all())
        return ImageView.of(details, verify_refusal=verifications.refusal(), newest=newest)


def _name_in(request: web.Request) -> str:
    name = request.query.get("name", "")
    if not name:
        raise web.HTTPBadRequest(text=f"name an image: {IMAGE_PATH}?name=REPOSITORY:TAG")
    return name
