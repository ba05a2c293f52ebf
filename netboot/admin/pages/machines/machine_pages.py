"""The pages of machines that are not registered: their list, one of them, and the forms that approve and inspect them.

Nothing is changed by GET. The preview of an approval writes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of, requester_of
from netboot.admin.api.problems import status_of
from netboot.admin.pages.action_link import ActionLink
from netboot.admin.pages.boots.log_download import send_log
from netboot.admin.pages.boots.machine_boots import MachineBoots, boot_number
from netboot.admin.pages.machines.approval_form import (
    MOST_MACHINES,
    ApprovalForm,
    ApprovalView,
    faults_of,
    preview_rows,
)
from netboot.admin.pages.machines.inspection_form import InspectionFormView
from netboot.admin.pages.machines.machines_view import (
    MachineRow,
    found_among,
    machine_actions,
    machine_row,
    machine_url,
    machine_view,
    machines_view,
)
from netboot.admin.pages.page_engine import PageEngine
from netboot.errors import NetbootError, UnknownHostError
from netboot.model.access.access_rule import Need
from netboot.model.host.host import HostSet
from netboot.model.host.mac import Mac
from netboot.operate.administration import Administration
from netboot.operate.host_status import DiscoveredMachine
from netboot.operate.registration.host_changes import HostsChanged

_URL: Final = "/machines"
_NAMED: Final = 5  # hosts in a sentence


class MachinePages:
    def __init__(
        self, administration: Administration, hosts: Callable[[], HostSet], boots: MachineBoots, engine: PageEngine
    ) -> None:
        self._administration, self._hosts, self._boots, self._engine = administration, hosts, boots, engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/machines", self.show_all),
            web.get("/machines/approve", self.show_approval),
            web.post("/machines/approve", self.approve),
            web.get("/machines/inspect", self.show_inspection),
            web.post("/machines/inspect", self.inspect),
            web.get("/machines/{mac}", self.show),
            web.get("/machines/{mac}/boots/{boot}", self.show_boot),
            web.get("/machines/{mac}/log", self.send_log),
        ]

    async def show_all(self, request: web.Request) -> web.Response:
        """List the machines; `q`: those that have this text."""
        found = await self._administration.machines()
        page = machines_view(found, request.query.get("q", ""), await self._actions(request, ()))
        return await self._engine.answer(request, "machines.html.j2", page=page)

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Show one machine; one that is registered since is on the page of its host."""
        host = self._hosts().by_mac(_mac_in(request))
        if host is not None:
            return web.Response(status=302, headers={"Location": f"/hosts/{host.name}", "Cache-Control": "no-store"})
        found = await self._found(request)
        mac = found.machine.mac
        boots = await self._boots.of(mac, page_url=machine_url(mac))
        servers = (await self._administration.status()).daemon.other_servers
        page = machine_view(found, boots, servers, await self._actions(request, [found]))
        return await self._engine.answer(request, "machine.html.j2", page=page)

    async def show_boot(self, request: web.Request) -> web.Response:
        """Show one boot of a machine."""
        mac = (await self._found(request)).machine.mac
        url = machine_url(mac)
        boots = await self._boots.of(mac, page_url=url, number=boot_number(request))
        return await self._engine.answer(request, "boot.html.j2", page=boots.page(mac, url))

    async def send_log(self, request: web.Request) -> web.StreamResponse:
        """Send the log of a boot as a text file."""
        return await send_log(request, self._administration.logs, request.match_info["mac"])

    async def show_approval(self, request: web.Request) -> web.Response:
        """Show the form for the machines of the query."""
        form = ApprovalForm.of(lambda name: request.query.getall(name, []))
        return await self._answer_approval(request, form)

    async def approve(self, request: web.Request) -> web.Response:
        """Register machines, all or none; `preview`: show what would be written."""
        posted = await request.post()
        form = ApprovalForm.of(lambda name: [str(each) for each in posted.getall(name, [])])
        is_preview = "preview" in posted
        try:
            wanted = form.request(dry_run=is_preview)
            changed = await self._administration.host_changes.approve(wanted, actor=actor_of(request))
        except NetbootError as error:
            return await self._answer_approval(request, form, error=error)
        if is_preview:
            return await self._answer_approval(request, form, changed)
        return self._engine.back(_after(changed), done=_done(changed), kind="good" if changed.reload else "warning")

    async def _answer_approval(
        self,
        request: web.Request,
        form: ApprovalForm,
        changed: HostsChanged | None = None,
        *,
        error: NetbootError | None = None,
    ) -> web.Response:
        _verify_number(form.macs)
        page = ApprovalView(
            form,
            tuple(_rows(await self._administration.machines(), form.macs)),
            tuple(sorted({host.network.pool for host in self._hosts() if host.network.pool})),
            preview_rows(changed) if changed is not None else None,
            faults_of(error) if error is not None else (),
        )
        status = status_of(error) if error is not None else 200
        return await self._engine.answer(request, "approve.html.j2", status=status, page=page)

    async def show_inspection(self, request: web.Request) -> web.Response:
        """Show which machines would be inspected."""
        return await self._answer_inspection(request, request.query.getall("mac", []))

    async def inspect(self, request: web.Request) -> web.Response:
        """Let each machine be inspected at its next boot; those that cannot be are shown with the reasons."""
        macs = [str(each) for each in (await request.post()).getall("mac", [])]
        _verify_number(macs)
        done, faults = [], list[str]()
        for mac in dict.fromkeys(macs):
            try:
                done.append(await self._administration.one_time_boots.inspect(mac, actor=actor_of(request)))
            except NetbootError as error:
                faults += faults_of(error)
        if faults:
            return await self._answer_inspection(request, macs, [each.machine for each in done], faults)
        what = f"{len(done)} machines" if len(done) > 1 else done[0].machine
        where = machine_url(done[0].machine) if len(done) == 1 else _URL
        return self._engine.back(where, done=f"{what}: the next network boot reports the hardware")

    async def _answer_inspection(
        self, request: web.Request, macs: Sequence[str], done: Sequence[str] = (), faults: Sequence[str] = ()
    ) -> web.Response:
        _verify_number(macs)
        medium, reasons = await self._administration.one_time_boots.judge_machine_inspection("", None)
        rows = tuple(_rows(await self._administration.machines(), macs))
        page = InspectionFormView(rows, medium or "", tuple(reasons), tuple(done), tuple(faults))
        return await self._engine.answer(request, "inspect.html.j2", status=409 if faults else 200, page=page)

    async def _actions(self, request: web.Request, found: Sequence[DiscoveredMachine]) -> list[ActionLink]:
        once = self._administration.one_time_boots
        inspection = found[0].inspection if found else None
        wanted = inspection.request if inspection is not None else None
        name = found[0].machine.mac if found else ""
        _medium, reasons = await once.judge_machine_inspection(name, wanted)
        refusal = requester_of(request).refusal(Need.CHANGE)
        sentence = refusal.sentence if refusal is not None else None
        return machine_actions([each.machine.mac for each in found], "\n".join(reasons) or None, sentence)

    async def _found(self, request: web.Request) -> DiscoveredMachine:
        """Find the machine of a path; raise UnknownHostError."""
        mac = _mac_in(request)
        found = found_among(await self._administration.machines(), mac)
        if found is None:
            raise UnknownHostError(f"no machine with MAC {mac} requested a boot; netboot host list --discovered")
        return found


def _mac_in(request: web.Request) -> Mac:
    """Read the MAC of a path; raise HTTPNotFound."""
    name = request.match_info["mac"]
    try:
        return Mac.parse(name)
    except ValueError:
        raise web.HTTPNotFound(text=f"{name[:40]!r} is no MAC") from None


def _verify_number(macs: Sequence[str]) -> None:
    """Raise HTTPBadRequest for no machine, and for too many."""
    if not macs:
        raise web.HTTPBadRequest(text="No machine is selected. Select machines in the list.")
    if len(macs) > MOST_MACHINES:
        raise web.HTTPBadRequest(text=f"{MOST_MACHINES} machines can be selected at once; select fewer.")


def _rows(found: Sequence[DiscoveredMachine], macs: Sequence[str]) -> list[MachineRow]:
    """Return the machines with these MACs, in this order: addresses are given in it."""
    known = {str(each.machine.mac): each for each in found}
    return [machine_row(known[mac]) for mac in dict.fromkeys(macs) if mac in known]


def _after(changed: HostsChanged) -> str:
    """Return where an approval leads: to its host, or to the rack."""
    return f"/hosts/{changed.hosts[0].host}" if len(changed.hosts) == 1 and changed.reload is not None else "/"


def _done(changed: HostsChanged) -> str:
    names = [change.host for change in changed.hosts]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    notes = [note for each in changed.machines for note in each.notes]
    return "; ".join([f"{', '.join(names[:_NAMED])}{more} registered", *changed.notes[:_NAMED], *notes[:_NAMED]])[:1000]
