"""`/content`: media and releases, who uses them, uploads and imports; verify, promote, remove, collect."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.json_views import json_view
from netboot.admin.pages.content.content_views import ContentRow, ContentView
from netboot.admin.pages.content.image_views import image_rows, images_of_releases
from netboot.admin.pages.content.verification_views import newest_of_each
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.texts.promotion_text import effect_lines
from netboot.content.library.disk import megabytes
from netboot.content.library.uploads import UploadState
from netboot.errors import NetbootError
from netboot.model.words import printable
from netboot.operate.content.content_administration import ContentAdministration, ContentDisk
from netboot.operate.content.library_listing import ContentDetails
from netboot.operate.updates.promotion_plan import PromotionPlan

_PAGE: Final = "/content"

PlanPromotion = Callable[[str, str], Awaitable[PromotionPlan]]


@dataclass(frozen=True, slots=True)
class EntryView:
    """The page of one entry, or the confirmation of a change of it; `reasons`: why it must stay."""

    row: ContentRow
    details: ContentDetails
    aliases: tuple[str, ...]  # that exist, to choose from


@dataclass(frozen=True, slots=True)
class PromotionForm:
    """The form for an alias; with an alias, the plan of the promotion. `fault` is why its effects are not known."""

    row: ContentRow
    aliases: tuple[str, ...]  # that exist, to choose from
    alias: str
    before: str  # what the alias is now; empty: it does not exist
    effects: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class CollectView:
    """The confirmation of the deletion of remains."""

    disk: ContentDisk


class ContentPage:
    def __init__(self, content: ContentAdministration, engine: PageEngine, *, plan: PlanPromotion) -> None:
        self._content, self._engine, self._plan = content, engine, plan

    def routes(self) -> list[web.RouteDef]:
        return [  # no entry is called -
            web.get("/content", self.show),
            web.post("/content/-/verify", self.verify_all),
            web.get("/content/-/collect", self.confirm_collect),
            web.post("/content/-/collect", self.collect),
            web.post("/content/-/verifications/{id}/cancel", self.cancel_verification),
            web.post("/content/-/uploads/{id}/cancel", self.cancel_upload),
            web.get("/content/{name}", self.show_entry),
            web.post("/content/{name}/verify", self.verify),
            web.get("/content/{name}/promote", self.confirm_promote),
            web.post("/content/{name}/promote", self.promote),
            web.get("/content/{name}/remove", self.confirm_remove),
            web.post("/content/{name}/remove", self.remove),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show media, releases, uploads and verifications."""
        content = self._content
        details, images = await asyncio.gather(content.all(), content.images())
        disk, uploads = await asyncio.gather(content.disk(), content.uploads.all())
        page = ContentView.of(
            details,
            uploads,
            content.verifications.all(),
            images,
            disk=disk,
            verify_refusal=content.verifications.refusal(),
            scrub=content.scrubbing.progress(),
        )
        return await self._engine.answer(request, "content.html.j2", page=page)

    async def show_entry(self, request: web.Request) -> web.Response:
        """Show one entry with its files."""
        return await self._engine.answer(request, "content_entry.html.j2", page=await self._entry(request))

    async def verify(self, request: web.Request) -> web.Response:
        """Begin to verify one entry."""
        return await self._begin_verification(request, request.match_info["name"])

    async def verify_all(self, request: web.Request) -> web.Response:
        """Begin to verify all content."""
        return await self._begin_verification(request, None)

    async def _begin_verification(self, request: web.Request, name: str | None) -> web.Response:
        begun = await self._content.verify(name, actor=actor_of(request))
        return self._engine.back(_PAGE, done=f"The verification of {begun.subject} has begun.", kind="info")

    async def cancel_verification(self, request: web.Request) -> web.Response:
        """Cancel a running verification."""
        found = await self._content.verifications.cancel(request.match_info["id"], actor=actor_of(request))
        return self._engine.back(_PAGE, done=f"The verification of {found.subject} is cancelled.", kind="info")

    async def confirm_promote(self, request: web.Request) -> web.Response:
        """Request the alias; with one in the query, show the plan."""
        entry, alias = await self._entry(request), request.query.get("alias", "").strip()
        return await self._engine.answer(request, "content_promote.html.j2", page=await self._promotion(entry, alias))

    async def _promotion(self, entry: EntryView, alias: str) -> PromotionForm:
        if not alias:
            return PromotionForm(entry.row, entry.aliases, "", "")
        name = entry.details.entry.name
        listed = (each.entry for each in await self._content.all())
        before = next((each.alias_of or each.name for each in listed if each.name == alias), "")
        try:
            plan: Any = json_view(await self._plan(name, alias))
        except NetbootError as error:
            return PromotionForm(entry.row, entry.aliases, alias, before, fault=str(error))
        effects, warnings = map(printable, effect_lines(plan)), map(printable, plan["warnings"])
        return PromotionForm(entry.row, entry.aliases, alias, before, tuple(effects), tuple(warnings))

    async def promote(self, request: web.Request) -> web.Response:
        """Make the alias of the form an alias of an entry."""
        alias = str((await request.post()).get("alias", "")).strip()
        promoted, ended = await self._content.promote(request.match_info["name"], alias, actor=actor_of(request))
        done = f"{promoted.alias} is {promoted.name} now."
        if promoted.tags:
            done += " The nodes that follow it notice that within two minutes."
        if ended:
            done += f" No longer armed, because their release is another one now: {', '.join(ended)}."
        return self._engine.back(_PAGE, done=done, kind="warning" if ended else "good")

    async def confirm_remove(self, request: web.Request) -> web.Response:
        """Show what is removed, or every reason why it must stay."""
        return await self._engine.answer(request, "content_remove.html.j2", page=await self._entry(request))

    async def remove(self, request: web.Request) -> web.Response:
        """Remove an entry."""
        removed = await self._content.remove(request.match_info["name"], actor=actor_of(request))
        freed = f", {megabytes(removed.size_bytes)} freed" if removed.size_bytes else ""
        return self._engine.back(_PAGE, done=f"{removed.removed} is removed{freed}.")

    async def confirm_collect(self, request: web.Request) -> web.Response:
        """Show how much unfinished work is left."""
        page = CollectView(await self._content.disk())
        return await self._engine.answer(request, "content_collect.html.j2", page=page)

    async def collect(self, request: web.Request) -> web.Response:
        """Delete the remains of unfinished work."""
        done = await self._content.collect(actor=actor_of(request))
        text = f"{done.deleted} remains deleted, {megabytes(done.size_bytes)} freed."
        return self._engine.back(_PAGE, done=text if done.deleted else "Nothing was left behind.")

    async def cancel_upload(self, request: web.Request) -> web.Response:
        """End the import of an upload, or delete an upload that is not imported now."""
        uploads, id_, actor = self._content.uploads, request.match_info["id"], actor_of(request)
        upload = await uploads.get(id_)
        if upload.state is UploadState.IMPORTING:
            await uploads.cancel(id_, actor=actor)
            return self._engine.back(_PAGE, done="The import is cancelled; the content is as it was.", kind="info")
        await uploads.remove(id_, actor=actor)
        return self._engine.back(_PAGE, done="The upload is deleted.", kind="info")

    async def _entry(self, request: web.Request) -> EntryView:
        details, listed = await asyncio.gather(self._content.show(request.match_info["name"]), self._content.all())
        refusal = self._content.verifications.refusal()
        newest = newest_of_each(self._content.verifications.all())
        images = images_of_releases(image_rows(await self._content.images(), verify_refusal=refusal, newest=newest))
        row = ContentRow.of(details, verify_refusal=refusal, newest=newest, image=images.get(details.entry.name))
        aliases = [each.entry for each in listed if each.entry.alias_of and each.entry.kind == details.entry.kind]
        return EntryView(row, details, tuple(alias.name for alias in aliases))
