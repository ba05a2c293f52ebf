"""The client of a running daemon's API, by socket or network, with the methods of `operate.administration`.

Used by commands, simulations and the lab. Never opens the store or a file of the daemon.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final, Self
from urllib.parse import quote, urlencode

import aiohttp

from netboot.clients.access_client import AccessClient
from netboot.clients.power_client import BmcCredentialsClient, PowerClient
from netboot.clients.rollouts_client import RolloutsClient
from netboot.control_socket import (
    CONFIGURATION_HEADER,
    CONNECT_S,
    ApiServer,
    DeafDaemonError,
    NoDaemonError,
    RefusedError,
    connection_error,
    server_error,
)
from netboot.operate.arming import ArmRequest, CancelRequest, ConfirmRequest
from netboot.operate.cluster.role_file_uses import IgnitionRequest
from netboot.operate.one_time_boots import RescueRequest
from netboot.operate.registration.approval import ApprovalRequest
from netboot.operate.registration.host_changes import HostValues, RemovalRequest
from netboot.operate.running_daemon import RescanRequest
from netboot.operate.selection import EVERY_HOST, HostSelection

View = Mapping[str, Any]

ANSWER_S = 30.0
SLOW_S = 3.0  # until a sentence is reported
_OF_THE_PROBLEM: Final = frozenset({"type", "title", "status", "detail", "instance"})  # of HTTP, not of the refusal
ARCHIVE_S: Final = 600.0  # for the first byte of a support archive: it waits for another one, and each part may fail
_ARCHIVE: Final = "netboot-support.tar.gz"
STREAM_TIMEOUT_S: Final = 45.0  # of an event stream, which has a heartbeat every 15 s


class ControlClient:
    """A connection to the daemon; an async context manager."""

    def __init__(
        self,
        place: Path | ApiServer,
        *,
        configuration: Path | None = None,
        report: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`place` is a control socket, or a server on the network.

        If `configuration` is given, a daemon with another one refuses every request. `report` gets a sentence while an
        answer takes long.
        """
        self._place = place
        self._report = report
        self._headers = {CONFIGURATION_HEADER: quote(str(configuration.resolve()))} if configuration else {}
        self.host_changes = HostChangesClient(self._request)
        self.one_time_boots = OneTimeBootsClient(self._request)
        self.hooks = HooksClient(self._request)
        self.access = AccessClient(self._request)
        self.rollouts = RolloutsClient(self._request)
        self.power, self.bmc_credentials = PowerClient(self._request), BmcCredentialsClient(self._request)
        self.logs = LogsClient(self._streamed)
        self.boots = BootsClient(self._request)
        self.captures = CapturesClient(self._request)
        self.updates = UpdatesClient(self._request)
        self._session: aiohttp.ClientSession  # from `async with` on

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
        if isinstance(self._place, ApiServer):
            connector: aiohttp.BaseConnector = aiohttp.TCPConnector(ssl=self._place.tls())
            url, headers = self._place.url, {**self._headers, **self._place.headers}
        else:
            connector = aiohttp.UnixConnector(path=str(self._place))
            url, headers = "http://netboot", self._headers
        self._session = aiohttp.ClientSession(url, connector=connector, timeout=timeout, headers=headers)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def status(self) -> View:
        return dict(await self._request("GET", "status"))

    async def reload(self) -> View:
        """Make the daemon read its files again; if it keeps the previous ones, raise RefusedError with every fault."""
        return dict(await self._request("POST", "reload"))

    async def rescan_content(self, request: RescanRequest) -> View:
        entry = {"kind": request.entry[0].word, "name": request.entry[1]} if request.entry else {}
        return dict(await self._request("POST", "content/rescan", {**entry, "change": request.change}))

    async def content_uses(self) -> list[View]:
        return list(await self._request("GET", "content/uses"))

    async def hosts(self, selection: HostSelection = EVERY_HOST) -> list[View]:
        pairs = [("label", f"{key}={text}") for key, text in selection.labels.items()]
        query = urlencode([("role", selection.role), *pairs] if selection.role else pairs)
        return list(await self._request("GET", f"hosts?{query}" if query else "hosts"))

    async def machines(self) -> list[View]:
        return list(await self._request("GET", "machines"))

    async def host(self, name: str) -> View:
        return dict(await self._request("GET", _host_path(name)))

    async def arm(self, request: ArmRequest) -> list[View]:
        """Allow one install of each host, of all of them or of none; raise RefusedError with every reason."""
        return list(await self._request("POST", "installs/arm", _selecting(request)))

    async def cancel(self, name: str, *, reason: str = "") -> View:
        return dict(await self._request("POST", f"{_host_path(name)}/cancel", {"reason": reason}))

    async def confirm(self, request: ConfirmRequest) -> View:
        return dict(await self._request("POST", f"{_host_path(request.host)}/confirm", request.body))

    async def cancel_all(self, request: CancelRequest) -> list[View]:
        return list(await self._request("POST", "installs/cancel", _selecting(request)))

    async def install(self, name: str) -> View:
        return dict(await self._request("GET", f"{_host_path(name)}/install"))

    async def installs(self) -> list[View]:
        return list(await self._request("GET", "installs"))

    async def history(self, name: str) -> list[View]:
        return list(await self._request("GET", f"{_host_path(name)}/history"))

    async def plan(self, name: str) -> View:
        """Return what a host would get if it were armed and booted now, without tokens and secrets."""
        return dict(await self._request("GET", f"{_host_path(name)}/plan"))

    async def served_documents(self, name: str) -> list[View]:
        return list(await self._request("GET", f"{_host_path(name)}/served"))

    async def ignition_files(self) -> list[View]:
        return list(await self._request("GET", "cluster/ignition"))

    async def set_ignition(self, request: IgnitionRequest) -> View:
        """Have an Ignition file taken; raise RefusedError with every reason."""
        flags = {"renewed": request.is_renewed, "new_cluster": request.is_new_cluster}
        query = "&".join(f"{name}=1" for name, is_set in flags.items() if is_set)
        path = f"cluster/ignition/{request.use}" + (f"?{query}" if query else "")
        return dict(await self._request("PUT", path, data=request.content))

    async def activity(self, mac: str, *, limit: int = 100) -> list[View]:
        """List what happened to a machine, newest first."""
        return list(await self._request("GET", f"activity?{urlencode({'mac': mac, 'limit': limit})}"))

    async def last_event_id(self) -> int:
        return int((await self.status())["last_event_id"])

    async def events(self, *, after: int = 0, host: str | None = None, follow: bool = True) -> AsyncIterator[View]:
        """Yield the events after an id; with `follow`, also later ones until the daemon stops."""
        query = {"after": str(after)} | ({"host": host} if host else {})
        async for event in self._streamed("events", query, follow=follow):
            yield event

    async def support(self, host: str | None, file: IO[bytes]) -> str:
        """Write a support archive into a file, and return its name; of the appliance alone without `host`."""
        slow = asyncio.get_running_loop().call_later(SLOW_S, self._report, "the daemon gathers the archive")
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=ARCHIVE_S)
        try:
            query = {"host": host} if host else {}
            async with self._session.get("/api/v1/support", params=query, timeout=timeout) as answer:
                await _raise_for(answer)
                async for piece in answer.content.iter_any():
                    file.write(piece)
                disposition = answer.content_disposition
                return Path(disposition.filename if disposition and disposition.filename else _ARCHIVE).name
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(self._place, error) from error
        finally:
            slow.cancel()

    async def _streamed(self, path: str, query: Mapping[str, str], *, follow: bool) -> AsyncIterator[View]:
        """Yield the data of server-sent events until the stream ends; with `follow`, it may not end."""
        query = {**query, "follow": "1" if follow else "0"}
        endless = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=STREAM_TIMEOUT_S)
        try:
            async with self._session.get(f"/api/v1/{path}", params=query, timeout=endless) as answer:
                await _raise_for(answer)
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        if "error" in event:
                            raise RefusedError(event)
                        yield event
        except (aiohttp.ClientPayloadError, ConnectionResetError) as error:
            raise NoDaemonError(
                "the daemon closed the connection; systemctl status netboot, and journalctl -u netboot"
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(self._place, error) from error
        if follow:
            raise NoDaemonError("the daemon stopped; start it with systemctl start netboot, then watch again")

    async def _request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: bytes | None = None,
        answer_s: float | None = None,
    ) -> Any:
        total_s = ANSWER_S if answer_s is None else answer_s
        text = f"the daemon on {self._place} does not answer yet; waiting {total_s - SLOW_S:.0f} s more"
        timeout = aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S)
        slow = asyncio.get_running_loop().call_later(SLOW_S, self._report, text)
        try:
            url = f"/api/v1/{path}"
            async with self._session.request(method, url, json=body, data=data, timeout=timeout) as answer:
                await _raise_for(answer)
                return await (answer.json() if answer.content_type == "application/json" else answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(self._place, error) from error
        finally:
            slow.cancel()


class HooksClient:
    """The requests about hooks; it has the methods of `operate.hooks.hook_uses`."""

    def __init__(self, request: Callable[[str, str], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def all(self) -> list[View]:
        return list(await self._request("GET", "hooks"))

    async def test(self, name: str) -> View:
        return dict(await self._request("POST", f"hooks/{quote(name, safe='')}/test"))


class UpdatesClient:
    """The requests about updates of nodes; it has the methods of `operate.updates.updates`."""

    def __init__(self, request: Callable[[str, str], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def board(self) -> View:
        return dict(await self._request("GET", "updates"))

    async def plan(self, name: str, alias: str) -> View:
        return dict(await self._request("GET", f"content/promote?{urlencode({'name': name, 'alias': alias})}"))


class LogsClient:
    """The logs of machines; it has the method of `boot_records.shown_logs` that shows one."""

    def __init__(self, streamed: Callable[..., AsyncIterator[View]]) -> None:
        self._streamed = streamed

    async def show(self, name: str, *, boot: int = 0, follow: bool = False) -> AsyncIterator[View]:
        """Yield a boot, then its lines; with `follow`, also later lines and boots until the daemon stops."""
        path = f"installs/{quote(name, safe='')}/logs"
        async for found in self._streamed(path, {"boot": str(boot)}, follow=follow):
            yield found


class BootsClient:
    """The boots of machines; it has the methods of `operate.boots.boot_history`."""

    def __init__(self, request: Callable[[str, str], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def all(self, name: str) -> list[View]:
        return list(await self._request("GET", f"installs/{quote(name, safe='')}/boots"))

    async def show(self, name: str, *, boot: int = 0) -> View:
        return dict(await self._request("GET", f"installs/{quote(name, safe='')}/boots/{boot}"))

    async def running(self) -> list[View]:
        return list(await self._request("GET", "boots"))


class CapturesClient:
    """The captures of boots; it has the methods of `boot_records.shown_captures`."""

    def __init__(self, request: Callable[[str, str], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def all(self, name: str) -> list[View]:
        return list(await self._request("GET", f"installs/{quote(name, safe='')}/captures"))

    async def read(self, name: str, *, boot: int = 0) -> bytes:
        """Read the capture of a boot as a pcapng file."""
        return bytes(await self._request("GET", f"installs/{quote(name, safe='')}/capture?boot={boot}"))


class HostChangesClient:
    """The requests that change hosts; it has the methods of `operate.registration.host_changes`."""

    def __init__(self, request: Callable[[str, str, object], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def add(self, host: HostValues) -> View:
        return dict(await self._request("POST", "hosts", asdict(host)))

    async def edit(self, host: HostValues) -> View:
        return dict(await self._request("PATCH", _host_path(host.name), host.values))

    async def approve(self, request: ApprovalRequest) -> View:
        return dict(await self._request("POST", "machines/approve", asdict(request)))

    async def remove(self, request: RemovalRequest) -> View:
        query = urlencode({"reason": request.reason, "force": int(request.force)})
        return dict(await self._request("DELETE", f"{_host_path(request.name)}?{query}", None))

    async def retire(self, request: RemovalRequest) -> View:
        body = {"reason": request.reason, "force": request.force} | ({"wipe": request.wipe} if request.wipe else {})
        return dict(await self._request("POST", f"{_host_path(request.name)}/retire", body))


class OneTimeBootsClient:
    """The requests for what machines boot once; it has the methods of `operate.one_time_boots` that commands use."""

    def __init__(self, request: Callable[[str, str, object], Coroutine[Any, Any, Any]]) -> None:
        self._request = request

    async def inspect(self, machine: str) -> View:
        return dict(await self._request("POST", "inspections", {"machine": machine}))

    async def rescue(self, request: RescueRequest) -> list[View]:
        return list(await self._request("POST", "rescues", asdict(request)))

    async def cancel_rescue(self, names: Sequence[str]) -> list[View]:
        return list(await self._request("POST", "rescues/cancel", {"hosts": [*names]}))

    async def cancel_wipe(self, name: str) -> View:
        return dict(await self._request("DELETE", f"wipes/{quote(name, safe='')}", None))


def _host_path(name: str) -> str:
    return f"hosts/{quote(name, safe='')}"


def _selecting(request: ArmRequest | CancelRequest) -> View:
    """Return a request as the API has it: role and labels beside the names."""
    body = asdict(request)
    selection = body.pop("selection")
    return {**body, **selection}


def _unreachable(place: Path | ApiServer, error: Exception) -> NoDaemonError | DeafDaemonError:
    reason = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
    return server_error(place, reason) if isinstance(place, ApiServer) else connection_error(place, reason)


async def _raise_for(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        try:
            problem = await answer.json()
            view = {name: found for name, found in problem.items() if name not in _OF_THE_PROBLEM}
            error = RefusedError(view, status=answer.status)
        except (ValueError, KeyError, TypeError, AttributeError, aiohttp.ContentTypeError):
            error = RefusedError({"error": f"the daemon answered {answer.status}"}, status=answer.status)
        raise error
