"""The requests about the power of machines and about their BMCs."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final
from urllib.parse import quote

from netboot.bmc.credentials import BmcCredentials
from netboot.operate.power.power_request import PowerRequest

View = Mapping[str, Any]

WAIT_S: Final = 20  # for an end, in one request
PROBE_S: Final = 260.0  # for the answer of the daemon: 120 s for the turn, 120 s for the BMC, 5 s to end it


class PowerClient:
    """The requests about power; it has the methods of `operate.power.power_requests` that commands use."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request
        self.probes = ProbesClient(request)

    async def request(self, request: PowerRequest) -> list[View]:
        """Request an action on all hosts or none; raise RefusedError with every reason."""
        body = {
            "hosts": [*request.hosts],
            "role": request.selection.role,
            "labels": dict(request.selection.labels),
            "action": request.action,
            "network_boot": request.network_boot,
            "force": request.is_forced,
        }
        return list(await self._request("POST", "power", body))

    async def ended(self, intent_id: str) -> View:
        """Return an action when it has ended, or as it is after `WAIT_S`."""
        return dict(await self._request("GET", f"power/intents/{quote(intent_id, safe='')}?wait_s={WAIT_S}"))

    async def read(self, name: str) -> View:
        """Read the state of a host's machine from its BMC."""
        return dict(await self._request("GET", f"hosts/{quote(name, safe='')}/power"))


class ProbesClient:
    """The request that examines a BMC; it has the method of `operate.power.bmc_probes` that commands use."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def probe(self, host: str, *, is_recorded: bool = False) -> View:
        """Find out what the BMC of a host can do."""
        path = f"hosts/{quote(host, safe='')}/bmc/probe"
        return dict(await self._request("POST", path, {"record": is_recorded}, answer_s=PROBE_S))


class BmcCredentialsClient:
    """The request about the credentials of BMCs; it has the method of `operate.power.bmc_credentials`."""

    def __init__(self, request: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def set(self, host: str, credentials: BmcCredentials, *, url: str | None = None) -> View:
        """Have the credentials of a host's BMC written."""
        body = {"username": credentials.username, "password": credentials.password, "url": url}
        return dict(await self._request("PUT", f"hosts/{quote(host, safe='')}/bmc/credentials", body))
