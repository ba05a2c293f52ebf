"""Content over loopback to foreign clients, through the engine."""

import filecmp
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener
from fixtures.listeners import default_shares

from netboot.content.ostree.repository import read_release
from netboot.content.serving.pull_progress import PullProgress
from netboot.content.serving.trees import ReleaseTree
from netboot.model.release import ContentKind

pytestmark = pytest.mark.integration
TIMEOUT_S = 60.0
LARGE = bytes(range(256)) * 20_000


@dataclass
class Server:
    """A running server of one content directory."""

    directory: Path
    port: int
    recorder: Recorder

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A medium, and an archive of a thousand objects made by `ostree`."""
    root = tmp_path_factory.mktemp("content")
    medium = root / "media" / "ol8"
    (medium / "images").mkdir(parents=True)
    (medium / "vmlinuz").write_bytes(LARGE)
    (medium / "initrd.img").write_bytes(LARGE[:50_000])
    (medium / "images" / "install.img").write_bytes(LARGE)
    (root / "secret").write_text("secret")
    tree = tmp_path_factory.mktemp("tree")
    for n in range(1000):
        (tree / f"{n % 20}").mkdir(exist_ok=True)
        (tree / f"{n % 20}" / f"{n}").write_bytes(f"{n}".encode() * n)
    (tree / "large").write_bytes(LARGE)
    (root / "ostree").mkdir()
    repo = f"--repo={root / 'ostree' / 'ock-1'}"
    assert run("ostree", "init", repo, "--mode=archive").returncode == 0
    assert run("ostree", "commit", repo, "--branch=ock", f"--tree=dir={tree}", "-s", "OCK").returncode == 0
    return root


@pytest.fixture
def server(directory: Path) -> Iterator[Server]:
    recorder = Recorder()
    with content_listener(directory, recorder, shares=default_shares()) as port:
        yield Server(directory, port, recorder)


def test_curl_gets_kernel_initrd_and_stage2(server: Server, tmp_path: Path) -> None:
    for name in ("vmlinuz", "initrd.img", "images/install.img", "images/pxeboot/vmlinuz"):
        got = tmp_path / "got"
        done = run("curl", "-fsS", "--retry", "3", "-o", str(got), server.url(f"/content/ol8/{name}"))

        assert done.returncode == 0, done.stderr
        assert filecmp.cmp(got, server.directory / "media" / "ol8" / name.replace("images/pxeboot/", ""), shallow=False)


def test_the_service_records_which_machine_got_which_file(server: Server) -> None:
    run("curl", "-fsS", "-o", "/dev/null", server.url("/content/ol8/vmlinuz"))
    run("curl", "-fsSI", "-o", "/dev/null", server.url("/content/ol8/vmlinuz"))

    ((address, file, bytes_sent),) = server.recorder.served
    assert (address, file.owner, file.member) == (IPv4Address("127.0.0.1"), "ol8", "vmlinuz")
    assert (file.kind, bytes_sent) == (ContentKind.KERNEL, len(LARGE))


def test_curl_resumes_and_wget_continues_a_download(server: Server, tmp_path: Path) -> None:
    for command in (["curl", "-fsS", "-C", "-", "-o"], ["wget", "-q", "-c", "-O"]):
        got = tmp_path / command[0]
        got.write_bytes(LARGE[:1_234_567])

        done = run(*command, str(got), server.url("/content/ol8/vmlinuz"))

        assert done.returncode == 0, done.stderr
        assert got.read_bytes() == LARGE


def test_wget_takes_a_treeinfo_that_we_made(server: Server) -> None:
    done = run("wget", "-q", "-S", "-O", "-", server.url("/content/ol8/.treeinfo"))

    assert b"mainimage = images/install.img\n" in done.stdout
    assert b"Content-Type: text/plain; charset=utf-8" in done.stderr


def test_curl_sends_what_it_knows_and_gets_304(server: Server, tmp_path: Path) -> None:
    tag, url = str(tmp_path / "tag"), server.url("/ostree/ock-1/refs/heads/ock")
    first = run("curl", "-fsS", "--etag-save", tag, url)
    second = run("curl", "-sS", "--etag-compare", tag, "-w", "%{http_code}", url)

    assert len(first.stdout) == 65
    assert second.stdout == b"304"


def test_a_ref_that_moved_is_never_answered_with_304_or_its_old_length(server: Server, tmp_path: Path) -> None:
    name = tmp_path.name
    shutil.copytree(server.directory / "ostree" / "ock-1", server.directory / "ostree" / name)
    ref, url = (
        server.directory / "ostree" / name / "refs" / "heads" / "ock",
        server.url(f"/ostree/{name}/refs/heads/ock"),
    )
    tag = str(tmp_path / "tag")
    assert run("curl", "-fsS", "--etag-save", tag, url).returncode == 0

    ref.write_text("moved\n")
    again = run("curl", "-sS", "--etag-compare", tag, "-w", " %{http_code}", url)
    ref.write_text("and moved again\n")
    head = run("curl", "-fsSI", url)

    assert again.stdout == b"moved\n 200"
    assert b"\r\nContent-Length: 16\r\n" in head.stdout


def test_ostree_pulls_a_release_and_finds_no_fault(server: Server, tmp_path: Path) -> None:
    repo = f"--repo={tmp_path / 'repo'}"
    run("ostree", "init", repo, "--mode=bare-user")
    run("ostree", "remote", "add", repo, "--no-gpg-verify", "ock", server.url("/ostree/ock-1/"))

    pulled = run("ostree", "pull", repo, "ock", "ock")
    checked = run("ostree", "fsck", repo)

    assert pulled.returncode == 0, pulled.stderr
    assert checked.returncode == 0, checked.stderr
    object_count = read_release(server.directory, "ock-1").object_count
    tree = ReleaseTree.read(server.directory, "ock-1")
    assert tree is not None
    progress = PullProgress(tree, object_count)
    objects = [file for _, file, _ in server.recorder.served if file.kind is ContentKind.OSTREE_OBJECT]
    percents = [progress.record_request(file.member, file.size_bytes) for file in objects]
    assert len(objects) == object_count
    assert percents == sorted(percents)
    assert percents[-2:] == [99, 100]


def test_ostree_pulls_by_static_delta_and_summary_made_while_we_run(server: Server, tmp_path: Path) -> None:
    name = tmp_path.name  # copied in by hand while the daemon runs
    shutil.copytree(server.directory / "ostree" / "ock-1", server.directory / "ostree" / name)
    served = f"--repo={server.directory / 'ostree' / name}"
    repo = f"--repo={tmp_path / 'repo'}"
    assert run("curl", "-fsS", "-o", "/dev/null", server.url(f"/ostree/{name}/config")).returncode == 0
    assert run("ostree", "static-delta", "generate", served, "--empty", "--to=ock").returncode == 0
    assert run("ostree", "summary", served, "-u").returncode == 0
    run("ostree", "init", repo, "--mode=bare-user")
    run("ostree", "remote", "add", repo, "--no-gpg-verify", "ock", server.url(f"/ostree/{name}"))

    pulled = run("ostree", "pull", repo, "--require-static-deltas", "ock", "ock")

    assert pulled.returncode == 0, pulled.stderr
    assert run("ostree", "fsck", repo).returncode == 0


@pytest.mark.parametrize(
    "target",
    [
        b"/content/../secret",
        b"/content/ol8/../../../secret",
        b"/content/%2e%2e/secret",
        b"/content/%2e%2e%2fsecret",
        b"/content/ol8/..%2f..%2f..%2fsecret",
        b"/content/..\\secret",
        b"/content/ol8/.%2e/.%2e/.%2e/secret",
        b"/content//../secret",
        b"//content/../../secret",
        b"/content/ol8//etc/passwd",
        b"/content//etc/passwd",
        b"/content/ol8/%00",
        b"/content/ol8/%c0%ae%c0%ae/secret",
        b"/content/ol8",
        b"/content/ol8/",
        b"/content/ol8/images",
        b"/content/",
        b"/ostree/ock-1/tmp/",
        b"/ostree/ock-1/.lock",
        b"/ostree/ock-1/../../secret",
        b"http://127.0.0.1/content/../secret",
        b"http://127.0.0.1/content/%2e%2e/secret",
    ],
)
def test_no_target_leads_out(server: Server, target: bytes) -> None:
    answer = server.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 Not Found\r\n"), answer
    assert f"\r\nContent-Length: {len(body)}".encode() in head
    assert b"chunked" not in head
    assert b"secret" not in body


def test_a_target_in_absolute_form_is_served(server: Server) -> None:
    target = server.url("/content/ol8/initrd.img").encode()
    answer = server.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.endswith(b"\r\n\r\n" + LARGE[:50_000])


def test_a_raw_nul_is_a_malformed_request(server: Server) -> None:
    answer = server.raw(b"GET /content/ol8/\x00 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert answer.startswith((b"HTTP/1.1 400 Bad Request\r\n", b"HTTP/1.0 400 Bad Request\r\n"))
    assert b"\r\nContent-Length: " in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_files_are_only_given(server: Server, method: str) -> None:
    done = run("curl", "-sS", "-i", "-X", method, "-d", "x=y", server.url("/content/ol8/vmlinuz"))

    assert done.stdout.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nAllow: GET, HEAD\r\n" in done.stdout
    assert b"\r\nContent-Length: " in done.stdout


@pytest.mark.parametrize("path", ["/content/ol8/vmlinuz", "/content/ol8/initrd.img", "/ostree/ock-1/config"])
def test_the_answer_has_what_grub_reads_literally(server: Server, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GRUB 2.06\r\nRange: bytes=10-\r\n"
    head = server.raw(request.encode() + b"Connection: close\r\n\r\n").partition(b"\r\n\r\n")[0]

    assert head.startswith(b"HTTP/1.1 206 Partial Content\r\n")
    assert re.search(rb"\r\nContent-Length: [0-9]+(\r\n|$)", head)
    assert re.search(rb"\r\nContent-Range: bytes 10-\d+/\d+(\r\n|$)", head)
    for name in (b"Date", b"ETag", b"Cache-Control", b"Content-Type"):
        assert head.count(b"\r\n" + name + b": ") == 1


def test_a_wish_for_http2_is_ignored(server: Server) -> None:
    done = run(
        "curl", "-fsS", "--http2", "-o", "/dev/null", "-w", "%{http_version}", server.url("/ostree/ock-1/config")
    )

    assert done.stdout == b"1.1"


def test_a_compressed_sibling_is_never_given(server: Server) -> None:
    (server.directory / "media" / "ol8" / "initrd.img.gz").write_bytes(b"gz")

    done = run("curl", "-fsS", "-i", "-H", "Accept-Encoding: gzip", server.url("/content/ol8/initrd.img"))

    assert b"Content-Encoding" not in done.stdout
    assert done.stdout.endswith(LARGE[:50_000])


def test_a_connection_is_kept_for_content_and_closed_after_a_document(server: Server) -> None:
    paths = ("/content/ol8/initrd.img", "/content/ol8/nothing", "/ostree/ock-1/config", "/boot/x.ipxe")
    requests = [f"GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: iPXE/1.21.1\r\n\r\n".encode() for path in paths]

    answer = server.raw(b"".join(requests))

    assert re.findall(rb"HTTP/1\.1 (\d+) ", answer) == [b"200", b"404", b"200", b"404"]
    assert LARGE[:50_000] in answer


def test_old_http_and_a_body_that_nobody_reads_close_the_connection_after_the_file(server: Server) -> None:
    path = b"/content/ol8/initrd.img"
    requests = (
        b"GET " + path + b" HTTP/1.0\r\n\r\n",
        b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345",
        b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    )

    answers = [server.raw(request) for request in requests]

    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.endswith(b"\r\nConnection: close")
        assert body == LARGE[:50_000]


def test_a_body_of_length_zero_is_none_and_the_connection_is_kept(server: Server) -> None:
    request = b"GET /content/ol8/initrd.img HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"

    answer = server.raw(request + b"\r\n" + request + b"Connection: close\r\n\r\n")

    assert answer.count(LARGE[:50_000]) == 2
