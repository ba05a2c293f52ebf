"""The forms of a host's BMC: its power state is read, and its credentials are set. No page shows a password."""

from aiohttp import web

from netboot.admin.access.requester import actor_of
from netboot.admin.api.problems import status_of
from netboot.admin.pages.actions.action_urls import host_url
from netboot.admin.pages.page_engine import PageEngine
from netboot.admin.pages.power.power_view import CredentialsView
from netboot.bmc.credentials import BmcCredentials
from netboot.errors import BmcRefusedError
from netboot.model.host.host import Host
from netboot.model.words import printable
from netboot.operate.administration import Administration


class PowerPages:
    def __init__(self, administration: Administration, engine: PageEngine) -> None:
        self._administration, self._engine = administration, engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/hosts/{host}/power", self.read),
            web.get("/hosts/{host}/bmc", self.show_credentials),
            web.post("/hosts/{host}/bmc", self.set_credentials),
        ]

    async def read(self, request: web.Request) -> web.Response:
        """Read the power state of a machine from its BMC, and lead back to its page."""
        name = request.match_info["host"]
        observed = (await self._administration.power.read(name)).observed
        if observed is None or observed.fault:
            why = printable(observed.fault or "") if observed is not None else "the state changes"
            return self._engine.back(host_url(name), done=why, kind="warning")
        return self._engine.back(host_url(name), done=f"{name} is {observed.state}")

    async def show_credentials(self, request: web.Request) -> web.Response:
        """Show the form, which is always empty."""
        return await self._answer(request, await self._host(request))

    async def set_credentials(self, request: web.Request) -> web.Response:
        """Write the credentials of a host's BMC."""
        host, form = await self._host(request), await request.post()
        credentials = BmcCredentials(str(form.get("username", "")).strip(), str(form.get("password", "")))
        try:
            url, actor = str(form.get("bmc", "")), actor_of(request)
            await self._administration.bmc_credentials.set(host.name, credentials, url=url, actor=actor)
        except BmcRefusedError as error:
            return await self._answer(request, host, credentials.username, error)
        return self._engine.back(host_url(host.name), done=f"The credentials of the BMC of {host.name} are set")

    async def _host(self, request: web.Request) -> Host:
        return (await self._administration.host(request.match_info["host"])).host

    async def _answer(
        self, request: web.Request, host: Host, username: str = "", error: BmcRefusedError | None = None
    ) -> web.Response:
        page = CredentialsView(
            host.name,
            host_url(host.name),
            host.bmc.url if host.bmc is not None else "",
            host.bmc.certificate.text if host.bmc is not None else "",
            username,
            (printable(str(error)),) if error is not None else (),
        )
        status = status_of(error) if error is not None else 200
        return await self._engine.answer(request, "bmc.html.j2", status=status, page=page)
