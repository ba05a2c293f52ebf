"""The routes that list, add, change and remove users. No answer has a password or its hash."""

from aiohttp import web

from netboot.admin.access.needs import needs
from netboot.admin.access.requester import actor_of
from netboot.admin.api.access.access_requests import AddUserBody, EditUserBody
from netboot.admin.api.operation import operation
from netboot.admin.api.request_body import json_answer
from netboot.admin.api.request_models import read_body
from netboot.errors import AccountRefusedError, StoreError, UnknownAccountError
from netboot.model.access.access_rule import Need, UserRole
from netboot.model.access.accounts import LoginSession
from netboot.operate.access.user_accounts import NewUser, UserAccounts, UserChange, UserEdit, UserStatus


class UsersApi:
    def __init__(self, users: UserAccounts) -> None:
        self._users = users

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/users", self.all),
            web.post("/api/v1/users", self.add),
            web.patch("/api/v1/users/{user}", self.edit),
            web.delete("/api/v1/users/{user}", self.remove),
            web.delete("/api/v1/users/{user}/logins/{login}", self.end_login),
        ]

    @needs(Need.MANAGE)
    @operation(list[UserStatus], errors=[StoreError])
    async def all(self, _request: web.Request) -> web.Response:
        """List the users, each with the logins that are valid now."""
        return json_answer(await self._users.all())

    @needs(Need.MANAGE)
    @operation(UserChange, status=201, body=AddUserBody, errors=[AccountRefusedError, StoreError])
    async def add(self, request: web.Request) -> web.Response:
        """Add a user.

        From the first one on, changes over loopback need a login or an API token.
        """
        body = await read_body(request, AddUserBody)
        new = NewUser(body.name, UserRole(body.role), body.password)
        return json_answer(await self._users.add(new, actor=actor_of(request)), status=201)

    @needs(Need.MANAGE)
    @operation(UserChange, body=EditUserBody, errors=[UnknownAccountError, AccountRefusedError, StoreError])
    async def edit(self, request: web.Request) -> web.Response:
        """Change role or password of a user, whose logins end."""
        body = await read_body(request, EditUserBody)
        edit = UserEdit(request.match_info["user"], UserRole(body.role) if body.role else None, body.password)
        return json_answer(await self._users.change(edit, actor=actor_of(request)))

    @needs(Need.MANAGE)
    @operation(UserChange, errors=[UnknownAccountError, StoreError])
    async def remove(self, request: web.Request) -> web.Response:
        """Remove a user, whose logins end."""
        return json_answer(await self._users.remove(request.match_info["user"], actor=actor_of(request)))

    @needs(Need.MANAGE)
    @operation(LoginSession, errors=[UnknownAccountError, StoreError])
    async def end_login(self, request: web.Request) -> web.Response:
        """End one login of a user, by its id."""
        user, login = request.match_info["user"], request.match_info["login"]
        return json_answer(await self._users.end_login(user, login, actor=actor_of(request)))
