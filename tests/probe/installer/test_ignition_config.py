"""Configurations that Ignition accepts, repeats and refuses, from a server with scripted replies."""

import asyncio
import gzip
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.scripted_server import Reply, ScriptedServer, scripted_server

from netboot.ignition.schema import Json
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import LocalReader
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.ignition_config import IGNITION_CLIENT, IgnitionConfig
from netboot.probe.machine_timeline import MachineTimeline

CHILD = (
    b'{"ignition":{"version":"3.4.0"},"storage":{"files":[{"path":"/etc/hostname","contents":{"source":"data:,cp1"}}]}}'
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


def wrapper(url: str, **resource: Any) -> Reply:
    config = {"ignition": {"version": "3.4.0", "config": {"merge": [{"source": f"{url}/child", **resource}]}}}
    return Reply(body=json.dumps(config).encode())


def sha512(data: bytes) -> Json:
    return {"hash": f"sha512-{hashlib.sha512(data).hexdigest()}"}


def fetched(server: ScriptedServer) -> Json:
    machine = LocalReader(None, MachineTimeline(time.monotonic))

    async def run() -> Json:
        async with HttpClient(machine, IGNITION_CLIENT) as client:
            return await IgnitionConfig(machine, client).fetch(f"{server.url}/config")

    return asyncio.run(run())


def failure(server: ScriptedServer) -> str:
    with pytest.raises(BootFailedError) as raised:
        fetched(server)
    assert raised.value.sentence.startswith("Ignition stops in emergency.target: ")
    return raised.value.sentence


def test_children_are_merged_and_their_hashes_verified(server: ScriptedServer):
    packed = gzip.compress(CHILD)
    server.replies = {
        "/config": [wrapper(server.url, verification=sha512(CHILD), compression="gzip")],
        "/child": [Reply(body=packed)],
    }

    config = fetched(server)

    assert [file["path"] for file in config["storage"]["files"]] == ["/etc/hostname"]
    assert "config" not in config["ignition"]
    assert {headers["User-Agent"].partition("/")[0] for _, _, headers, _ in server.requests} == {"Ignition"}
    assert server.requests[0][2]["Accept"] == "application/vnd.coreos.ignition+json;version=3.4.0, */*;q=0.1"


def test_a_replacement_throws_the_rest_away(server: ScriptedServer):
    replaced = {"ignition": {"version": "3.4.0", "config": {"replace": {"source": f"{server.url}/child"}}}}
    server.replies = {"/config": [Reply(body=json.dumps(replaced).encode())], "/child": [Reply(body=CHILD)]}

    assert fetched(server)["storage"] == json.loads(CHILD)["storage"]


def test_a_request_is_repeated_until_the_server_is_ready(server: ScriptedServer):
    server.replies = {
        "/config": [Reply(503), wrapper(server.url)],
        "/child": [Reply(500), Reply(503), Reply(body=CHILD)],
    }

    assert fetched(server)["storage"]["files"]
    assert [path for _, path, _, _ in server.requests] == ["/config", "/config", "/child", "/child", "/child"]


def test_headers_of_a_resource_are_sent(server: ScriptedServer):
    headers = [{"name": "X-Site", "value": "one"}]
    server.replies = {"/config": [wrapper(server.url, httpHeaders=headers)], "/child": [Reply(body=CHILD)]}

    fetched(server)

    assert server.requests[-1][2]["X-Site"] == "one"


def test_a_file_of_another_server_is_fetched_and_verified(server: ScriptedServer):
    contents = {"source": f"{server.url}/file", "verification": sha512(b"right")}
    config = {"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/etc/ca", "contents": contents}]}}
    server.replies = {"/config": [Reply(body=json.dumps(config).encode())], "/file": [Reply(body=b"wrong")]}

    assert "/etc/ca: hash verification failed" in failure(server)


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Reply(200, b""), "is empty (HTTP 200)"),
        (Reply(204), "is empty (HTTP 204)"),
        (Reply(404, b"no"), "server responded with non-OK status 404"),
        (Reply(403), "server responded with non-OK status 403"),
        (Reply(200, b"{"), "config is not valid"),
        (Reply(200, b'{"ignition":{"version":"3.5.0"}}'), "unsupported config version 3.5.0"),
        (Reply(200, gzip.compress(CHILD), {"Content-Encoding": "gzip"}), "it came packed"),
    ],
)
def test_what_ignition_refuses(server: ScriptedServer, reply: Reply, shown: str):
    server.replies = {"/config": [reply]}

    assert shown in failure(server)


def test_another_hash_than_the_wrapper_names(server: ScriptedServer):
    server.replies = {
        "/config": [wrapper(server.url, verification=sha512(b"other"))],
        "/child": [Reply(body=CHILD)],
    }

    assert "hash verification failed" in failure(server)


def test_a_child_that_inherits_a_compression(server: ScriptedServer):
    parent = {
        "path": "/etc/hostname",
        "contents": {"source": "data:;base64,H4sIAAAAAAAAAwMAAAAAAAAAAAA=", "compression": "gzip"},
    }
    config = json.loads(wrapper(server.url).body) | {"storage": {"files": [parent]}}
    server.replies = {"/config": [Reply(body=json.dumps(config).encode())], "/child": [Reply(body=CHILD)]}

    assert "the merged config: config is not valid" in failure(server)


def test_configurations_that_name_each_other(server: ScriptedServer):
    server.replies = {"/config": [wrapper(server.url)], "/child": [wrapper(server.url)]}

    assert "refer to each other without end" in failure(server)
