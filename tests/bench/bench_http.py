"""Content beside nginx on loopback, in turns within one run: `python tests/bench/bench_http.py [OBJECTS]`.

Small requests are measured in processor time of the server for each, which other work on the box affects little; a
large file and `ostree pull` in seconds. Two servers: nginx with one worker, and our engine.
Measures and prints a table. Needs nginx and ostree.
"""

import asyncio
import os
import random
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"
PORTS = {"nginx": 8081, "engine": 8082}
CONNECTIONS, SMALL_S, ROUNDS = 16, 2.0, 3
SMALL_BYTES, LARGE_BYTES, LARGE_READS = 8192, 100_000_000, 45
AT_MOST_S = 300.0
MEMORY, FREE_BYTES = Path("/dev/shm"), 6 << 30
NGINX = """
daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  sendfile on; tcp_nopush on; keepalive_requests 1000000000; access_log off; default_type application/octet-stream;
  client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u;
  scgi_temp_path {0}/s;
  server {{
    listen {1}:{2};
    location /content/ {{ alias {0}/content/media/; }}
    location /ostree/ {{ alias {0}/content/ostree/; }}
  }}
}}
"""


def in_memory():
    """Return a directory in memory if it has enough space; otherwise None: the usual directory is used."""
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > FREE_BYTES
    return MEMORY if is_roomy else None


READERS_PLACE = in_memory()  # the reader's disk is not measured


class Unrecorded:
    """A file service and counters that record nothing."""

    def request_file(self, *_, **__):
        """Find no boot file."""

    def begin_transfer(self, *_, **_sent):
        return lambda: None

    def record_content(self, address, file, bytes_sent):
        """Let it pass."""

    def content_sent(self, kind, status, bytes_sent):
        """Let it pass."""

    def count(self, *_, **__):
        """Let it pass."""

    def record_refusal(self, *_):
        """Let it pass."""


async def serve(directory, port):
    """Run our server until killed."""
    import logging

    import structlog

    from netboot.content.serving.index import ContentIndex
    from netboot.serve.static_http.engine import HttpEngine
    from netboot.serve.static_http.shares import Shares
    from netboot.serve.static_http.static_files import StaticFiles

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    content, shares = ContentIndex(Path(directory)), Shares(128, client_rate=0)
    await asyncio.to_thread(content.refresh)
    files = StaticFiles(content, Unrecorded(), counters=Unrecorded(), shares=shares, advertised={})
    engine = HttpEngine(files, asyncio.Protocol)
    await asyncio.get_running_loop().create_server(engine.protocol, HOST, port, backlog=1024)
    await asyncio.sleep(3600)


def make_content(root, objects):
    """Write a medium and an archive of about so many objects, their sizes spread as an OCK release's are."""
    medium = root / "content" / "media" / "ol8"
    medium.mkdir(parents=True)
    (medium / "small").write_bytes(random.randbytes(SMALL_BYTES))
    (medium / "install.img").write_bytes(random.randbytes(LARGE_BYTES))
    spread = random.Random(5)
    for n in range(objects):
        directory = root / "tree" / f"{n % 50}" / f"{n // 100}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{n}").write_bytes(spread.randbytes(min(int(spread.lognormvariate(7.9, 1.3)), 3_000_000)))
    repo = root / "content" / "ostree" / "ock"
    repo.parent.mkdir()
    ostree("init", f"--repo={repo}", "--mode=archive")
    ostree("commit", f"--repo={repo}", "--branch=ock", f"--tree=dir={root / 'tree'}", "-s", "OCK")


def ostree(*arguments):
    """Run ostree; raise an error if it fails."""
    subprocess.run(["ostree", *arguments], check=True, capture_output=True, timeout=AT_MOST_S)


def start(name, root):
    """Start a server and wait until it listens."""
    if name == "nginx":
        (root / "nginx.conf").write_text(NGINX.format(root, HOST, PORTS[name]))
        command = ["nginx", "-p", str(root), "-c", str(root / "nginx.conf")]
    else:
        command = [sys.executable, __file__, "--serve", str(root / "content"), str(PORTS[name])]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection((HOST, PORTS[name])).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise TimeoutError(f"{name} does not listen on {PORTS[name]}")


def cpu_s(process):
    """Give the processor seconds that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(process):
    """Give the most memory that a process has held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def answer_bytes(port, request):
    """Give the length of one answer with its head."""
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(1 << 17)
    return data.index(b"\r\n\r\n") + 4 + SMALL_BYTES


def small_requests(port):
    """Request the small file over several connections for a while; return the number of replies."""
    request = f"GET /content/ol8/small HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    whole = answer_bytes(port, request)
    selector, answers, buffer = selectors.DefaultSelector(), 0, bytearray(1 << 17)
    with ExitStack() as stack:
        got = {}
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((HOST, port)))
            connection.sendall(request)
            got[connection] = 0
            selector.register(connection, selectors.EVENT_READ)
        until = time.perf_counter() + SMALL_S
        while time.perf_counter() < until:
            for key, _ in selector.select(1.0):
                connection = key.fileobj
                got[connection] += connection.recv_into(buffer)
                if got[connection] >= whole:
                    got[connection] = 0
                    answers += 1
                    connection.sendall(request)
    return answers


def large_read(port):
    """Read the large file once; give MB/s."""
    buffer, got, began = bytearray(1 << 20), 0, time.perf_counter()
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(
            f"GET /content/ol8/install.img HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        )
        while length := connection.recv_into(buffer):
            got += length
    assert got > LARGE_BYTES
    return LARGE_BYTES / 1e6 / (time.perf_counter() - began)


def pull(port, *options, place=READERS_PLACE, mode="archive"):
    """Pull the release into an empty repository; give the seconds."""
    with tempfile.TemporaryDirectory(dir=place) as target:
        repo = f"--repo={target}/repo"
        ostree("init", repo, f"--mode={mode}")
        ostree("config", repo, "set", "core.fsync", "false")
        ostree("remote", "add", repo, "--no-gpg-verify", "ock", f"http://{HOST}:{port}/ostree/ock")
        began = time.perf_counter()
        ostree("pull", repo, *options, "ock", "ock")
        return time.perf_counter() - began


def pulls_by_delta(root):
    """Pull plainly from nginx and by delta from the engine, into what a machine's disk has: objects unpacked."""
    plain = statistics.median(pull(PORTS["nginx"], place=root, mode="bare-user") for _ in range(2))
    repo = f"--repo={root}/content/ostree/ock"
    ostree("static-delta", "generate", repo, "--empty", "--to=ock")
    ostree("summary", repo, "--update")
    by_delta = statistics.median(
        pull(PORTS["engine"], "--require-static-deltas", place=root, mode="bare-user") for _ in range(2)
    )
    say(
        f"unpacked as on a disk: nginx plain {plain:.2f} s, engine by delta {by_delta:.2f} s ({by_delta / plain:.2f} x)"
    )


def say(line):
    """Write a line of the table."""
    sys.stdout.write(line + "\n")


def main(objects):
    """Measure by turns and print the medians."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        make_content(root, objects)
        servers = {name: start(name, root) for name in PORTS}
        small, large, pulls, pull_cpu = ({name: [] for name in PORTS} for _ in range(4))
        try:
            for _ in range(ROUNDS):
                for name, process in servers.items():
                    before = cpu_s(process)
                    answers = small_requests(PORTS[name])
                    small[name].append((cpu_s(process) - before) / answers * 1e6)
            for _ in range(LARGE_READS):
                for name in servers:
                    large[name].append(large_read(PORTS[name]))
            for _ in range(ROUNDS):
                for name, process in servers.items():
                    before = cpu_s(process)
                    pulls[name].append(pull(PORTS[name]))
                    pull_cpu[name].append(cpu_s(process) - before)
            say(
                f"{'':10}{'8 KiB: µs cpu':>16}{'100 MB: MB/s':>16}{f'pull {objects}: s':>18}{'its cpu: s':>12}{'MB':>6}"
            )
            for name, process in servers.items():
                figures = [statistics.median(table[name]) for table in (small, large, pulls, pull_cpu)]
                say("{:10}{:16.1f}{:16.0f}{:18.2f}{:12.2f}{:6}".format(name, *figures, peak_mb(process)))
            pulls_by_delta(root)
        finally:
            for process in servers.values():
                process.kill()
                process.wait()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3])))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
