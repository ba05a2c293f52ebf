"""What an installer shows when a server refuses it, is late, or sends something else: one scripted reply at a time."""

import asyncio
import gzip
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import pytest
from fixtures.installer import cpio, squashfs
from fixtures.scripted_server import Reply, ScriptedServer, scripted_server

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.file_reader import LocalReader
from netboot.probe.http.agents import CURL
from netboot.probe.http.http_client import HttpClient
from netboot.probe.installer.embedded_archive import fetch_archive
from netboot.probe.installer.install_reports import SCRIPT_CURL, CheckLine, InstallReports
from netboot.probe.installer.kickstart_document import KickstartDocument, read_kickstart
from netboot.probe.installer.kickstart_request import expect_spent, request_kickstart
from netboot.probe.installer.machine_checks import MachineChecks
from netboot.probe.installer.stage2 import Stage2
from netboot.probe.machine import Behaviour
from netboot.probe.machine_timeline import MachineTimeline

T = TypeVar("T")
PASSED = [CheckLine("firmware", "pass", "booted by UEFI")]
TREEINFO = b"[stage2]\nmainimage = images/main.img\n[checksums]\nimages/main.img = sha256:%s\n"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


class Client:
    """A machine in a hurry, whose requests go to the scripted server."""

    def __init__(self, server: ScriptedServer, behaviour: Behaviour | None = None) -> None:
        self.url = server.url
        self.machine = LocalReader(None, MachineTimeline(time.monotonic), behaviour or Behaviour(haste=1000.0))

    def run(self, work: Callable[[HttpClient], Awaitable[T]], *, repeats: bool = False) -> T:
        async def inside() -> T:
            async with HttpClient(self.machine, CURL if repeats else SCRIPT_CURL) as curl:
                return await work(curl)

        return asyncio.run(inside())

    def fails(self, work: Callable[[HttpClient], Awaitable[object]], *, repeats: bool = False) -> BootFailedError:
        with pytest.raises(BootFailedError) as raised:
            self.run(work, repeats=repeats)
        return raised.value

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.machine.timeline.events]

    def document(self) -> KickstartDocument:
        return read_kickstart(
            f"ostreesetup --osname=ock --url={self.url}/ostree/ock --ref=ock\n"
            f"%pre\nreport={self.url}/report/a\nsubmit checks 40; submit started 40\ncurl {self.url}/report/a/log\n"
            f"curl {self.url}/healthz; curl {self.url}/ostree/ock/refs/heads/ock\n%end\n"
            f"%post\ncurl {self.url}/report/a/post; curl {self.url}/report/a/done\n%end\n"
        )

    def reports(self, curl: HttpClient) -> InstallReports:
        return InstallReports(self.machine, curl, self.document())


def test_a_report_is_repeated_until_it_is_acknowledged(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/report/a/checks": [Reply(503), Reply(500), Reply(200)]}

    client.run(lambda curl: client.reports(curl).checks(PASSED))

    assert client.texts == ["report checks: acknowledged"]
    bodies = {body for _, _, _, body in server.requests}
    assert bodies == {b"netboot-checks 1\nfirmware pass booted by UEFI\ndisks present:\nNAME MODEL\nsimulated\n"}
    assert [headers["Content-Type"] for _, _, headers, _ in server.requests] == [
        "application/x-www-form-urlencoded"
    ] * 3


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (409, "the server does not allow this install (HTTP 409); nothing was written"),
        (404, "the server does not allow this install (HTTP 404); nothing was written"),
        (400, "the server does not understand the report of the checks (HTTP 400)"),
        (500, "did not acknowledge the report checks in 40 tries (last HTTP status 500)"),
    ],
)
def test_a_report_that_is_refused_ends_the_install(server: ScriptedServer, status: int, shown: str):
    client = Client(server)
    server.replies = {"/report/a/checks": [Reply(status)], "/report/a/failed": [Reply(200)]}

    error = client.fails(lambda curl: client.reports(curl).checks(PASSED))

    assert (error.step, shown in error.sentence) == (Step.CHECKS, True)
    assert server.requests[-1][1] == "/report/a/failed"
    assert b"nothing was written" in server.requests[-1][3]


def test_a_failed_check_ends_the_install_also_if_the_server_accepts_the_report(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/report/a/checks": [Reply(200)], "/report/a/failed": [Reply(404)]}

    error = client.fails(lambda curl: client.reports(curl).checks([CheckLine("disk", "fail", "no disk")]))

    assert error.sentence == "the console shows “netboot: no disk; nothing was written”"


def test_an_end_that_is_not_acknowledged(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/report/a/done": [Reply(503), Reply(404)], "/report/a/post": [Reply(500)]}

    client.run(lambda curl: client.reports(curl).post())
    error = client.fails(lambda curl: client.reports(curl).done())

    assert (error.step, "(HTTP 404)" in error.sentence) == (Step.INSTALLED, True)
    assert client.texts == ["report post: status 500"]


def test_a_machine_that_is_switched_off_reports_nothing_more(server: ScriptedServer):
    client = Client(server, Behaviour(haste=1000.0, aborts_at=Step.CHECKS))
    server.replies = {"/report/a/checks": [Reply(200, b"noted, go on")]}

    client.fails(lambda curl: client.reports(curl).checks(PASSED))

    assert [path for _, path, _, _ in server.requests] == ["/report/a/checks"]


def test_a_wrong_clock_and_a_release_that_is_missing_fail_their_checks(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/healthz": [Reply(200, b"", {"Date": "Sat, 01 Jan 2022 00:00:00 GMT"})]}

    checks = client.run(lambda curl: MachineChecks(client.machine, curl, client.document(), arch=7).make())

    failed = {check.name: check.found for check in checks if check.result == "fail"}
    assert list(failed) == ["clock", "release"]
    assert "s ahead of the appliance's: set it" in failed["clock"]
    assert "the release ock cannot be fetched" in failed["release"]


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_a_kickstart_that_is_refused(server: ScriptedServer, status: int, requests: int):
    client = Client(server)
    server.replies = {"/ks/a": [Reply(status)]}

    error = client.fails(
        lambda curl: request_kickstart(curl, f"{client.url}/ks/a", (), client.machine.timeline), repeats=True
    )

    assert f"The requested URL returned error: {status}" in error.sentence
    assert len(server.requests) == requests


def test_a_kickstart_that_is_sent_again_after_the_start(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/ks/a": [Reply(200, b"text\n")]}

    error = client.fails(lambda curl: expect_spent(curl, f"{client.url}/ks/a", client.machine.timeline))

    assert "again after the start" in error.sentence


def stage2(client: Client) -> Callable[[HttpClient], Awaitable[None]]:
    return lambda curl: Stage2(curl, (("X-Site", "one"),), f"{client.url}/ol8/", client.machine.timeline).fetch()


def test_stage2_is_what_treeinfo_names(server: ScriptedServer):
    client, image = Client(server), squashfs()
    server.replies = {
        "/ol8/.treeinfo": [Reply(200, TREEINFO % hashlib.sha256(image).hexdigest().encode())],
        "/ol8/images/main.img": [Reply(200, image)],
        "/ol8/images/product.img": [Reply(200, b"product")],
    }

    client.run(stage2(client))

    assert [path for _, path, _, _ in server.requests] == [
        *("/ol8/.treeinfo", "/ol8/images/main.img", "/ol8/images/updates.img", "/ol8/images/product.img")
    ]
    assert {headers["X-Site"] for _, _, headers, _ in server.requests} == {"one"}
    assert client.texts[-1] == "images/product.img, which is unpacked over the installer"


def test_stage2_without_treeinfo_is_looked_for_twice(server: ScriptedServer):
    client = Client(server)
    server.replies = {"/ol8/LiveOS/squashfs.img": [Reply(200, squashfs())]}

    client.run(stage2(client))

    assert [path for _, path, _, _ in server.requests][:3] == [
        *("/ol8/.treeinfo", "/ol8/images/install.img", "/ol8/LiveOS/squashfs.img")
    ]


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        (Reply(200, squashfs()[:-1]), "its superblock states 4096 bytes, and it has 4095"),
        (Reply(200, b""), "it is empty"),
        (Reply(404), "failed to fetch stage2"),
    ],
)
def test_a_stage2_that_cannot_be_mounted(server: ScriptedServer, image: Reply, shown: str):
    client = Client(server)
    server.replies = {"/ol8/images/install.img": [image]}

    assert shown in client.fails(stage2(client)).sentence


def test_a_stage2_with_another_checksum(server: ScriptedServer):
    client = Client(server)
    server.replies = {
        "/ol8/.treeinfo": [Reply(200, TREEINFO % (b"0" * 64))],
        "/ol8/images/main.img": [Reply(200, squashfs())],
    }

    assert "images/main.img is damaged: .treeinfo states sha256 000000000000" in client.fails(stage2(client)).sentence


def archive(content: bytes, *, digest: str | None = None) -> Reply:
    packed = gzip.compress(content)
    return Reply(200, packed, {"X-Netboot-SHA256": digest or hashlib.sha256(packed).hexdigest()})


@pytest.mark.parametrize(
    ("replies", "shown"),
    [
        ([Reply(404)], "the server does not allow it (HTTP 404)"),
        ([Reply(503)], "in 120 tries (the last one: HTTP 503)"),
        ([archive(b"", digest="0" * 64)], "damaged: not what X-Netboot-SHA256 states"),
        ([archive(cpio(["usr", "usr/lib"]))], "its archive has no usr/lib/ignition/user.ign"),
        ([archive(b"no archive")], "the kernel cannot unpack its archive"),
    ],
)
def test_an_ignition_that_cannot_be_embedded(server: ScriptedServer, replies: list[Reply], shown: str):
    client = Client(server)
    server.replies = {"/ign/a/archive": replies}

    error = client.fails(lambda curl: fetch_archive(client.machine, curl, f"{client.url}/ign/a/archive"))

    assert (error.step, shown in error.sentence) == (Step.POST, True)
