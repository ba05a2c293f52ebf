"""The pages that begin and end a login in a browser."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from netboot.admin.access.browser_login import LOGIN_PATH, clear_session, next_page, set_session
from netboot.admin.access.needs import needs
from netboot.admin.access.requester import address_of, requester_of
from netboot.admin.pages.page_engine import PageEngine
from netboot.errors import LoginLimitedError, LoginRefusedError, StoreError
from netboot.model.access.access_rule import Need
from netboot.operate.access.logins import Logins

LOGOUT_PATH: Final = "/logout"
_NOBODY: Final = "Nobody can log in now: {}"


@dataclass(frozen=True, slots=True)
class LoginView:
    """What the page shows: after a refused login its `fault`, and the name that was typed."""

    next: str
    has_users: bool
    name: str = ""
    fault: str | None = None


class LoginPages:
    """Serves the pages."""

    def __init__(self, logins: Logins, engine: PageEngine) -> None:
        self._logins, self._engine = logins, engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login", self.show),
            web.post("/login", self.log_in),
            web.get("/logout", self.confirm_logout),
            web.post("/logout", self.log_out),
        ]

    @needs(Need.OPEN)
    async def show(self, request: web.Request) -> web.Response:
        """Show the form, except to a browser that is logged in."""
        wanted = next_page(request.query.get("next"))
        if requester_of(request).session is not None:
            return self._engine.to(wanted)
        unknown = requester_of(request).unknown
        view = LoginView(wanted, requester_of(request).has_users)
        return await self._page(request, view, fault=None if unknown is None else _NOBODY.format(unknown))

    @needs(Need.OPEN)
    async def log_in(self, request: web.Request) -> web.Response:
        """Begin a session, and lead to the page that was requested."""
        form = await request.post()
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        wanted = next_page(str(form.get("next", "")))
        view = LoginView(wanted, requester_of(request).has_users, name[:64])
        try:
            logged_in = await self._logins.log_in(name, password, address_of(request))
        except LoginLimitedError as error:
            answer = await self._page(request, view, fault=str(error), status=429)
            answer.headers["Retry-After"] = str(error.wait_s)
            return answer
        except LoginRefusedError as error:
            return await self._page(request, view, fault=str(error), status=401)
        except StoreError as error:
            return await self._page(request, view, fault=_NOBODY.format(error), status=503)
        answer = self._engine.to(wanted)
        set_session(answer, request, logged_in)
        return answer

    @needs(Need.READ)
    async def confirm_logout(self, request: web.Request) -> web.Response:
        """Show the button that ends the session, for who comes by a link."""
        return await self._engine.answer(request, "logout.html.j2", session=requester_of(request).session)

    @needs(Need.READ)
    async def log_out(self, request: web.Request) -> web.Response:
        """End the session of this browser."""
        if (session := requester_of(request).session) is not None:
            await self._logins.log_out(session)
        answer = self._engine.to(LOGIN_PATH)
        clear_session(answer, request)
        return answer

    async def _page(
        self, request: web.Request, view: LoginView, *, fault: str | None = None, status: int = 200
    ) -> web.Response:
        shown = LoginView(view.next, view.has_users, view.name, fault)
        return await self._engine.answer(request, "login.html.j2", status=status, page=shown)
