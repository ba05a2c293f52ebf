"""The requests about rollouts and the cluster."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from netboot.operate.rollout.new_rollout import RolloutRequest

View = Mapping[str, Any]


class RolloutsClient:
    """It has the methods of `operate.rollout.rollout_uses`; each raises RefusedError for what is refused."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def plan(self, request: RolloutRequest) -> View:
        return dict(await self._request("POST", "rollouts/plan", _body(request)))

    async def begin(self, request: RolloutRequest) -> View:
        return dict(await self._request("POST", "rollouts", _body(request)))

    async def show(self) -> View:
        """Return the rollout that began last."""
        return dict(await self._request("GET", "rollouts/newest"))

    async def pause(self, *, reason: str = "") -> View:
        return dict(await self._request("POST", "rollouts/active/pause", {"reason": reason}))

    async def resume(self) -> View:
        return dict(await self._request("POST", "rollouts/active/resume"))

    async def cancel(self, hosts: Sequence[str], *, reason: str = "") -> View:
        body = {"hosts": [*hosts], "reason": reason}
        return dict(await self._request("POST", "rollouts/active/cancel", body))

    async def retry(self, host: str) -> View:
        return dict(await self._request("POST", "rollouts/active/retry", {"host": host}))

    async def confirm(self) -> View:
        return dict(await self._request("POST", "rollouts/active/confirm"))

    async def printed(self) -> list[View]:
        """Return the commands that a person runs, with their secrets."""
        return list(await self._request("GET", "rollouts/active/commands"))

    async def cluster(self) -> View:
        return dict(await self._request("GET", "cluster"))


def _body(request: RolloutRequest) -> View:
    return {**asdict(request), "hosts": [*request.hosts]}
