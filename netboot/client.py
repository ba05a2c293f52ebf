"""Speaks to a running daemon over its control socket; the same questions as `operate.administration` answers.

Used by the commands and by the lab. Never opens the ledger or a file of the daemon's.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp

from netboot.control_socket import CONNECT_S, DeafDaemonError, NoDaemonError, not_heard
from netboot.errors import NetbootError

View = Mapping[str, Any]

ANSWER_S = 30.0
SILENT_S: Final = 45.0  # of an event stream, which has a heartbeat every 15 s


class RefusedError(NetbootError):
    """The daemon understood and said no; its own words, and the HTTP status."""

    def __init__(self, reason: str, *, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status


class ControlClient:
    """One conversation with the daemon; an async context manager."""

    def __init__(self, socket: Path, *, configuration: Path | None = None) -> None:
        """A daemon of another `configuration`, where one is given, refuses every request."""
        self._socket = socket
        self._headers = {"Netboot-Configuration": quote(str(configuration.resolve()))} if configuration else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S, connect=CONNECT_S)
        connector = aiohttp.UnixConnector(path=str(self._socket))
        self._session = aiohttp.ClientSession(
            "http://netboot", connector=connector, timeout=timeout, headers=self._headers
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def status(self) -> View:
        """Ask the daemon how it is."""
        return dict(await self._ask("GET", "status"))

    async def reload(self) -> View:
        """Have the daemon read its files again; raise RefusedError with every fault, and it keeps the old ones."""
        return dict(await self._ask("POST", "reload"))

    async def rescan_content(self) -> View:
        """Have the daemon read the content directory anew, and nothing of the configuration."""
        return dict(await self._ask("POST", "content/rescan"))

    async def content_uses(self) -> list[View]:
        """List who uses which boot medium and release now."""
        return list(await self._ask("GET", "content/uses"))

    async def hosts(self) -> list[View]:
        """List every host with its install."""
        return list(await self._ask("GET", "hosts"))

    async def machines(self) -> list[View]:
        """List the machines that asked for a boot and that nobody registered."""
        return list(await self._ask("GET", "machines"))

    async def host(self, name: str) -> View:
        """Show one host."""
        return dict(await self._ask("GET", f"hosts/{name}"))

    async def arm(self, name: str, *, reason: str = "", attempts: int | None = None, force: bool = False) -> View:
        """Allow one install of a host; raise RefusedError with every reason why it is not armed."""
        return dict(await self._ask("POST", f"hosts/{name}/arm", _arming(reason, attempts, force=force)))

    async def arm_all(
        self, names: Sequence[str], *, reason: str = "", attempts: int | None = None, force: bool = False
    ) -> list[View]:
        """Allow one install of each host, of all of them or of none; raise RefusedError with every reason."""
        return list(
            await self._ask("POST", "installs/arm", {"hosts": [*names], **_arming(reason, attempts, force=force)})
        )

    async def cancel(self, name: str, *, reason: str = "") -> View:
        """Take a host's arming back."""
        return dict(await self._ask("POST", f"hosts/{name}/cancel", {"reason": reason}))

    async def install(self, name: str) -> View:
        """Show a host's install."""
        return dict(await self._ask("GET", f"hosts/{name}/install"))

    async def installs(self) -> list[View]:
        """List every install on record, also of hosts that no file declares any more."""
        return list(await self._ask("GET", "installs"))

    async def history(self, name: str) -> list[View]:
        """Tell every move of a host, oldest first."""
        return list(await self._ask("GET", f"hosts/{name}/history"))

    async def last_event_id(self) -> int:
        """Give the id of the newest event."""
        return int((await self.status())["last_event_id"])

    async def events(self, *, after: int = 0, host: str | None = None, follow: bool = True) -> AsyncIterator[View]:
        """Give the events after an id; then those to come, where `follow`, until the daemon goes."""
        query = {"after": str(after), "follow": "1" if follow else "0"} | ({"host": host} if host else {})
        endless = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=SILENT_S)
        try:
            async with self._open().get("/api/v1/events", params=query, timeout=endless) as answer:
                await _raise_for(answer)
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        event = json.loads(line[6:])
                        if "error" in event:
                            raise RefusedError(event["error"])
                        yield event
        except (aiohttp.ClientPayloadError, ConnectionResetError) as error:
            raise NoDaemonError("the daemon broke off; systemctl status netboot, and journalctl -u netboot") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _not_heard(self._socket, error) from error
        if follow:
            raise NoDaemonError("the daemon stopped; start it with systemctl start netboot, then watch again")

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        try:
            async with self._open().request(method, f"/api/v1/{path}", json=body) as answer:
                await _raise_for(answer)
                return await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _not_heard(self._socket, error) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ControlClient is a context manager")
        return self._session


def _arming(reason: str, attempts: int | None, *, force: bool) -> dict[str, object]:
    return {"reason": reason, "attempts": attempts, "force": force}


def _not_heard(socket: Path, error: Exception) -> NoDaemonError | DeafDaemonError:
    return not_heard(socket, error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error)


async def _raise_for(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 400:
        try:
            reason = str((await answer.json())["error"])
        except (ValueError, KeyError, aiohttp.ContentTypeError):
            reason = f"the daemon answered {answer.status}"
        raise RefusedError(reason, status=answer.status)
