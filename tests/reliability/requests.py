"""Requests of an operator on the control socket and of machines on the boot LAN, by the library's HTTP client."""

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final

from fixtures.packets import SERVER
from netns import inside

TIMEOUT_S: Final = 30.0
LOST: Final = (OSError, HTTPException)  # the appliance went away before its answer was whole


class FailedAnswerError(Exception):
    """An answer that is none of success, of an appliance that may not fail."""


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class _Connection(HTTPConnection):
    def __init__(self, opened: socket.socket) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.sock = opened


def _answered(
    opened: socket.socket, method: str, path: str, body: Any, headers: Mapping[str, str], *, may_fail: bool
) -> Answer:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = _Connection(opened)
    try:
        connection.request(method, path, body=data, headers=dict(headers))
        response = connection.getresponse()
        answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
    if answer.status >= 400 and not may_fail:
        raise FailedAnswerError(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
    return answer


@dataclass(frozen=True)
class Operator:
    """Who may open the control socket. Without `may_fail`, an answer of 400 or more raises FailedAnswerError."""

    control: Path
    may_fail: bool = True

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; raises one of LOST if there is no whole answer."""
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(TIMEOUT_S)
        try:
            opened.connect(str(self.control))
        except OSError:
            opened.close()
            raise
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        return _answered(opened, method, path, body, named, may_fail=self.may_fail)

    def get(self, path: str) -> Any:
        """Read JSON; a store that answers late, as on a busy computer after a crash, is requested again."""
        until_s = time.monotonic() + TIMEOUT_S
        while (answer := self.send("GET", path)).status == 503 and time.monotonic() < until_s:
            time.sleep(0.1)
        assert answer.status == 200, (path, answer)
        return answer.json


@dataclass(frozen=True)
class MachineRequests:
    """One machine of the boot LAN, with its own address. Without `may_fail`, 400 or more raises FailedAnswerError."""

    namespace: str
    address: str
    may_fail: bool = True

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        """Send a request; raises one of LOST if there is no whole answer."""
        with inside(self.namespace):
            opened = socket.socket(socket.AF_INET)
        opened.settimeout(TIMEOUT_S)
        try:
            opened.bind((self.address, 0))
            opened.connect((SERVER, 8080))
        except OSError:
            opened.close()
            raise
        return _answered(opened, method, path, body, {}, may_fail=self.may_fail)
