"""The requests about users and API tokens."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from netboot.operate.access.api_tokens import NewToken
from netboot.operate.access.user_accounts import NewUser, UserEdit

View = Mapping[str, Any]


class AccessClient:
    """The requests about users and API tokens; it has the parts of `operate.access.access_uses` that commands use."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self.users, self.tokens = UsersClient(request), TokensClient(request)


class UsersClient:
    """The requests about users; it has the methods of `operate.access.user_accounts`."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def all(self) -> list[View]:
        return list(await self._request("GET", "users"))

    async def add(self, new: NewUser) -> View:
        return dict(await self._request("POST", "users", asdict(new)))

    async def change(self, edit: UserEdit) -> View:
        body = {name: value for name, value in asdict(edit).items() if name != "name" and value is not None}
        return dict(await self._request("PATCH", f"users/{quote(edit.name, safe='')}", body))

    async def remove(self, name: str) -> View:
        return dict(await self._request("DELETE", f"users/{quote(name, safe='')}"))


class TokensClient:
    """The requests about API tokens; it has the methods of `operate.access.api_tokens` that commands use."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def all(self) -> list[View]:
        return list(await self._request("GET", "tokens"))

    async def create(self, new: NewToken) -> View:
        life_s = int(new.life.total_seconds()) if new.life is not None else None
        body = {"name": new.name, "role": new.role, "expires_in_s": life_s}
        return dict(await self._request("POST", "tokens", body))

    async def revoke(self, name: str) -> View:
        return dict(await self._request("DELETE", f"tokens/{quote(name, safe='')}"))
