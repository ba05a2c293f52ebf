"""The soak sees each request that fails, of each of its clients: without a daemon, and with one that refuses all."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any, Final

import pytest
from fixtures.daemon import wait_until
from reliability.acknowledged import Acknowledged
from reliability.clients import Arms, Client, DeclaresHosts, Leases, Machine, SendsContent, SetsIgnition, keep_working
from reliability.loaded_rack import LoadedRack
from reliability.requests import MachineRequests, Operator
from soak.soak_clients import Latencies, Reads, Reloads, Streams
from soak.test_soak import add_clients

pytestmark = pytest.mark.integration

CLIENTS: Final[dict[str, Callable[[Operator, Acknowledged], Client]]] = {
    "Arms": lambda operator, noted: Arms(operator, noted, random.Random(1), ["a0"]),
    "DeclaresHosts": lambda operator, noted: DeclaresHosts(operator, noted, random.Random(1)),
    "SetsIgnition": lambda operator, noted: SetsIgnition(operator, noted, b"{}"),
    "SendsContent": lambda operator, noted: SendsContent(operator, noted, b"archive", b"images"),
    "Reads": lambda operator, noted: Reads(operator, Latencies(), noted),
    "Reloads": lambda operator, noted: Reloads(operator, Latencies(), noted),
    "Streams": lambda operator, _noted: Streams(operator.control, Latencies()),
}


@contextmanager
def failing(socket: Path, status: int | None) -> Iterator[threading.Event]:
    """Answer each request with a status, or with none; yield an event that is set from the first request on."""
    requested = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def _fail(self) -> None:
            requested.set()
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if status is not None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _fail  # noqa: N815 - names of the library

        def log_message(self, *_arguments: Any) -> None:
            """Print nothing."""

    with ThreadingUnixStreamServer(str(socket), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield requested
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize("status", [409, 500, 503, None])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_failed_request_of_an_operator_is_a_fault_of_the_soak(tmp_path: Path, client: str, status: int | None):
    socket, noted = tmp_path / "control.sock", Acknowledged()
    with failing(socket, status) as requested:
        keep_working(CLIENTS[client](Operator(socket, may_fail=False), noted), requested, noted, may_fail=False)

    assert [fault.split(":")[0] for fault in noted.faults] == [client]


def test_each_client_of_the_soak_records_that_the_daemon_is_gone(loaded: LoadedRack):
    loaded.start()
    add_clients(loaded)
    loaded.rack.kill()
    left = {type(client).__name__ for client in loaded.clients} - {"SendsLogs"}  # to which no one answers

    def recorded() -> bool | None:
        return left <= {fault.split(":")[0] for fault in loaded.acknowledged.faults} or None

    with loaded.loaded():
        wait_until(recorded, failed=lambda: f"{left}: {loaded.acknowledged.faults[:50]}", timeout_s=30.0)


@pytest.mark.parametrize(
    ("may_fail", "faults"), [(False, ["cp1 requests an address, and is answered with kind 6"]), (True, [])]
)
def test_a_machine_whose_request_is_refused_does_not_go_on(may_fail: bool, faults: list[str]):
    class Refusing(Leases):
        def exchange(self, _mac: str, options: list[tuple[int, bytes]]) -> tuple[int, bytes]:
            return (2, b"\0\0\0\0") if options[0][1] == b"\1" else (6, b"\0\0\0\0")

    noted, nowhere = Acknowledged(), Operator(Path("/nonexistent"), may_fail=False)
    requests = MachineRequests("none", "192.0.2.50")
    machine = Machine(
        nowhere,
        requests,
        noted,
        Refusing("none", noted, random.Random(1), may_fail=may_fail),
        "cp1",
        "52:54:00:aa:bb:01",
        at="armed",
    )

    machine.step()

    assert (noted.faults, machine.at) == (faults, "armed")
