"""`/cluster`: roles, their Ignition files with deadlines, and the replacement of a file. Never shows a secret."""

import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.pages.cluster.cluster_views import ClusterView, IgnitionRow, ignition_row
from netboot.admin.pages.page_engine import PageEngine
from netboot.model.access.access_rule import Need
from netboot.model.actor import Actor
from netboot.model.host.role_ignition import RoleUse
from netboot.operate.administration import Administration
from netboot.operate.cluster.role_file_uses import LARGEST_BYTES, TAKEN_USES, IgnitionRequest

_PAGE: Final = "/cluster"
_FIELDS_BYTES: Final = 1 << 16  # of a form beside the file
_CONFIRM_S: Final = 600.0
_MOST_UNCONFIRMED: Final = 4


@dataclass(frozen=True, slots=True)
class ReplaceView:
    """The form that takes a file for a use."""

    row: IgnitionRow


@dataclass(frozen=True, slots=True)
class NewClusterView:
    """The confirmation of a file of another cluster; `others` are the files in place that are of the previous one."""

    row: IgnitionRow
    others: Sequence[Path]
    is_new_cluster: bool
    id: str


@dataclass(frozen=True, slots=True)
class _Unconfirmed:
    request: IgnitionRequest = field(repr=False)
    actor: Actor
    until: float


class UnconfirmedFiles:
    """Files that wait for their confirmation: in memory, a few, for minutes, for who sent them alone."""

    def __init__(self) -> None:
        self._files: dict[str, _Unconfirmed] = {}

    def keep(self, request: IgnitionRequest, actor: Actor) -> str:
        """Keep a file; return its id. The oldest makes way for it."""
        now = time.monotonic()
        kept = {id_: each for id_, each in self._files.items() if each.until > now}
        self._files = dict([*kept.items()][-(_MOST_UNCONFIRMED - 1) :])
        id_ = secrets.token_hex(16)
        self._files[id_] = _Unconfirmed(request, actor, now + _CONFIRM_S)
        return id_

    def take(self, id_: str, actor: Actor) -> IgnitionRequest:
        """Return a file once; raise HTTPConflict if it is no longer kept, or was sent by another."""
        found = self._files.get(id_)
        if found is None or found.actor != actor or found.until <= time.monotonic():
            raise web.HTTPConflict(text="the file is no longer kept, or another user sent it; send it again")
        del self._files[id_]
        return found.request


class ClusterPage:
    def __init__(
        self,
        administration: Administration,
        engine: PageEngine,
        *,
        made: Collection[RoleUse],
        now: Callable[[], datetime],
    ) -> None:
        """`made`: the uses of the files that the configured commands of a rollout make."""
        self._administration, self._engine, self._made, self._now = administration, engine, made, now
        self._unconfirmed = UnconfirmedFiles()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/cluster", self.show),
            web.get("/cluster/ignition/{use}", self.choose_file),
            web.post("/cluster/ignition/{use}", self.replace),
            web.post("/cluster/ignition/{use}/confirm", self.confirm),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show the roles and their files."""
        files = await self._administration.ignition_files()
        hosts = [status.host for status in await self._administration.hosts()]
        page = ClusterView.of(files, hosts, made=self._made, now=self._now())
        return await self._engine.answer(request, "cluster.html.j2", page=page)

    async def choose_file(self, request: web.Request) -> web.Response:
        """Request the file for a use."""
        row = await self._row(_use_of(request))
        return await self._engine.answer(request, "cluster_replace.html.j2", page=ReplaceView(row))

    @needs(Need.CHANGE, largest_form_bytes=LARGEST_BYTES + _FIELDS_BYTES)
    async def replace(self, request: web.Request) -> web.Response:
        """Take a file, or request a confirmation if it is of another cluster."""
        use, form = _use_of(request), await request.post()
        sent = form.get("file")
        if not isinstance(sent, web.FileField):
            raise web.HTTPBadRequest(text="choose the file that ocne printed")
        wanted = IgnitionRequest(use, sent.file.read(LARGEST_BYTES + 1), form.get("renewed") == "1")
        others = await self._administration.ignition_of_another_cluster(wanted)
        row = await self._row(use)
        own = row.status.path if row.status else None
        if not others or (use is not RoleUse.INIT and own not in others):
            return await self._take(request, wanted)
        is_new_cluster = use is RoleUse.INIT
        kept = IgnitionRequest(use, wanted.content, wanted.is_renewed, is_new_cluster)
        id_ = self._unconfirmed.keep(kept, actor_of(request))
        page = NewClusterView(row, others, is_new_cluster, id_)
        return await self._engine.answer(request, "cluster_confirm.html.j2", page=page)

    async def confirm(self, request: web.Request) -> web.Response:
        """Take a file of another cluster."""
        id_ = str((await request.post()).get("id", ""))
        return await self._take(request, self._unconfirmed.take(id_, actor_of(request)))

    async def _take(self, request: web.Request, wanted: IgnitionRequest) -> web.Response:
        taken = await self._administration.set_ignition(wanted, actor=actor_of(request))
        done = [f"{taken.file.path} is replaced; the previous file is {taken.file.path.name}.previous."]
        done += [f"Put aside: {path}, of another cluster." for path in taken.put_aside]
        if taken.kept is not None:
            done.append(f"The daemon keeps the hosts that it has, because of other faults: {taken.kept}")
        return self._engine.back(_PAGE, done=" ".join(done), kind="good" if taken.kept is None else "warning")

    async def _row(self, use: RoleUse) -> IgnitionRow:
        files = await self._administration.ignition_files()
        status = next((file for file in files if use.value in file.uses), None)
        return ignition_row(use, status, made=self._made, now=self._now())


def _use_of(request: web.Request) -> RoleUse:
    use = request.match_info["use"]
    if use not in TAKEN_USES:
        raise web.HTTPNotFound(text=f"there is no such use; {', '.join(TAKEN_USES)}")
    return RoleUse(use)
