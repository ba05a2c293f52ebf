"""The page of users, their logins, and API tokens: who may use the pages and the API, and its changes."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import Requester, actor_of, requester_of
from netboot.admin.pages.page_engine import PageEngine
from netboot.errors import AccountRefusedError, UnknownAccountError
from netboot.model.access.access_rule import Need, UserRole
from netboot.model.access.accounts import ApiToken, LoginSession
from netboot.operate.access.access_uses import AccessUses
from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser, UserEdit, UserStatus

URL: Final = "/users"
LIVES: Final = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year", "": "never"}  # of a token, in days


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token, and whether it has expired."""

    token: ApiToken
    is_expired: bool


@dataclass(frozen=True, slots=True)
class UsersView:
    """What the page shows. `refusal` is why `requester` may not manage users, who are then not listed."""

    users: Sequence[UserStatus]
    tokens: Sequence[TokenRow]
    roles: Sequence[UserRole]
    requester: Requester
    refusal: str | None
    fault: str | None
    _: KW_ONLY
    name: str = ""  # that was typed in a form that was refused
    token_name: str = ""

    @property
    def logins(self) -> list[LoginSession]:
        """List the logins that are valid now, the newest first."""
        found = [session for user in self.users for session in user.sessions]
        return sorted(found, key=lambda each: each.used_at, reverse=True)


class UsersPages:
    """Serves the page and its changes."""

    def __init__(self, access: AccessUses, engine: PageEngine) -> None:
        self._access, self._engine = access, engine

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/users", self.show),
            web.post("/users", self.add),
            web.post("/users/{user}/set", self.set),
            web.get("/users/{user}/remove", self.confirm_removal),
            web.post("/users/{user}/remove", self.remove),
            web.post("/users/{user}/logins/{login}/end", self.end_login),
            web.post("/tokens", self.create_token),
            web.get("/tokens/{token}/revoke", self.confirm_revocation),
            web.post("/tokens/{token}/revoke", self.revoke_token),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show users, logins and tokens."""
        return await self._page(request)

    @needs(Need.MANAGE)
    async def add(self, request: web.Request) -> web.Response:
        """Add a user."""
        form = await request.post()
        name = str(form.get("name", "")).strip()
        new = NewUser(name, _role(form.get("role")), _password(form))
        try:
            done = await self._access.users.add(new, actor=actor_of(request))
        except AccountRefusedError as error:
            return await self._page(request, fault=str(error), name=name)
        return self._engine.back(URL, done="; ".join([f"User {name} was added", *done.notes]))

    @needs(Need.MANAGE)
    async def set(self, request: web.Request) -> web.Response:
        """Change role or password of a user; what is empty stays."""
        form = await request.post()
        role, password = form.get("role"), _password(form)
        edit = UserEdit(request.match_info["user"], _role(role) if role else None, password or None)
        try:
            done = await self._access.users.change(edit, actor=actor_of(request))
        except AccountRefusedError as error:
            return await self._page(request, fault=str(error))
        return self._engine.back(URL, done="; ".join([f"User {edit.name} was changed", *done.notes]))

    @needs(Need.MANAGE)
    async def confirm_removal(self, request: web.Request) -> web.Response:
        """Show what is removed."""
        name = request.match_info["user"]
        user = next((user for user in await self._access.users.all() if user.name == name), None)
        if user is None:
            raise UnknownAccountError(f"no user is called {name}")
        return await self._engine.answer(request, "user_remove.html.j2", user=user)

    @needs(Need.MANAGE)
    async def remove(self, request: web.Request) -> web.Response:
        """Remove a user."""
        done = await self._access.users.remove(request.match_info["user"], actor=actor_of(request))
        return self._engine.back(URL, done="; ".join([f"User {done.user.name} was removed", *done.notes]))

    @needs(Need.MANAGE)
    async def end_login(self, request: web.Request) -> web.Response:
        """End a login of a user."""
        user, login = request.match_info["user"], request.match_info["login"]
        session = await self._access.users.end_login(user, login, actor=actor_of(request))
        return self._engine.back(URL, done=f"The login of {session.user} from {session.address} ended")

    @needs(Need.MANAGE)
    async def create_token(self, request: web.Request) -> web.Response:
        """Make a token and show it, once."""
        form = await request.post()
        name, days = str(form.get("name", "")).strip(), str(form.get("days", ""))
        if days not in LIVES:
            raise web.HTTPBadRequest(text="days is how long the token is valid")
        life = timedelta(days=int(days)) if days else None
        try:
            created = await self._access.tokens.create(
                NewToken(name, _role(form.get("role")), life), actor=actor_of(request)
            )
        except AccountRefusedError as error:
            return await self._page(request, fault=str(error), token_name=name)
        return await self._engine.answer(request, "token.html.j2", created=created)

    @needs(Need.MANAGE)
    async def confirm_revocation(self, request: web.Request) -> web.Response:
        """Show what is revoked."""
        name = request.match_info["token"]
        token = next((token for token in await self._access.tokens.all() if token.name == name), None)
        if token is None:
            raise UnknownAccountError(f"no API token is called {name}")
        return await self._engine.answer(request, "token_revoke.html.j2", token=token)

    @needs(Need.MANAGE)
    async def revoke_token(self, request: web.Request) -> web.Response:
        """Revoke a token."""
        token = await self._access.tokens.revoke(request.match_info["token"], actor=actor_of(request))
        return self._engine.back(URL, done=f"The API token {token.name} is revoked")

    async def _page(
        self, request: web.Request, *, fault: str | None = None, name: str = "", token_name: str = ""
    ) -> web.Response:
        requester, now = requester_of(request), self._access.now()
        refusal = requester.refusal(Need.MANAGE)
        users = await self._access.users.all() if refusal is None else []
        tokens = await self._access.tokens.all() if refusal is None else []
        view = UsersView(
            users,
            [TokenRow(token, token.is_expired(now)) for token in tokens],
            list(UserRole),
            requester,
            refusal.sentence if refusal is not None else None,
            fault,
            name=name[:64],
            token_name=token_name[:64],
        )
        values = {"page": view, "lives": LIVES}
        return await self._engine.answer(request, "users.html.j2", status=409 if fault else 200, **values)


def _role(sent: object) -> UserRole:
    try:
        return UserRole(str(sent))
    except ValueError:
        raise web.HTTPBadRequest(text=f"role is {' or '.join(UserRole)}") from None


def _password(form: Mapping[str, object]) -> str:
    """Read a password and its repetition; raise HTTPBadRequest if they differ."""
    password, again = str(form.get("password", "")), str(form.get("again", ""))
    if password != again:
        raise web.HTTPBadRequest(text="the two passwords differ; nothing was changed")
    return password
