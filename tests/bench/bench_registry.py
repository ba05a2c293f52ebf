"""The registry beside Debian's docker-registry on loopback, in turns: `python tests/bench/bench_registry.py`.

Each server alone on one core, the clients on another; both servers have the same image, which skopeo copied from ours
to the peer, and neither logs requests. Large blobs in MB/s, small blobs and manifests in replies per second, each with
the server's processor time; then whole pulls by skopeo, and large blobs with TLS by curl. Measures and prints a table.
Needs docker-registry, skopeo, curl and openssl.
"""

import asyncio
import os
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

from bench_http import Unrecorded, cpu_s, peak_mb

HOST = "127.0.0.1"
PORTS = {"docker-registry": 5051, "netboot": 5052}
TLS_PORTS = {"docker-registry": 5053, "netboot": 5054}
NAME, TAG = "olcne/ock-ostree", "1.33"
LARGE_BYTES, LARGE_BLOBS, LARGE_CLIENTS = 100_000_000, 4, 8
SMALL_BYTES, SMALL_BLOBS, CONNECTIONS = 8_192, 96, 16
SMALL_S, ROUNDS, PULLS = 2.0, 5, 3
AT_MOST_S = 300.0
MEMORY, FREE_BYTES = Path("/dev/shm"), 3 << 30
CONFIG = """
version: 0.1
log: {{accesslog: {{disabled: true}}, level: error}}
storage: {{filesystem: {{rootdirectory: {0}/peer}}, cache: {{blobdescriptor: inmemory}}}}
http: {{addr: "{1}:{2}"{3}}}
"""
TLS_CONFIG = ", tls: {{certificate: {0}/server.pem, key: {0}/server.key}}"


async def serve(directory, port, *tls):
    """Run our server until killed; `tls` are a certificate and its key."""
    import logging

    import structlog

    from netboot.content.serving.index import ContentIndex
    from netboot.model.access.certificate_files import CertificateFiles
    from netboot.operate.certificates.server_certificate import tls_context
    from netboot.serve.static_http.engine import HttpEngine
    from netboot.serve.static_http.shares import Shares
    from netboot.serve.static_http.static_files import StaticFiles

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    content, shares = ContentIndex(Path(directory)), Shares(128, client_rate=0)
    files = StaticFiles(content, Unrecorded(), counters=Unrecorded(), shares=shares, advertised={})
    engine = HttpEngine(files, asyncio.Protocol)
    context = tls_context(CertificateFiles(*map(Path, tls))) if tls else None
    await asyncio.get_running_loop().create_server(engine.protocol, HOST, port, backlog=1024, ssl=context)
    await asyncio.sleep(3600)


def make_image(root):
    """Store an image of some large layers and many small ones; return the paths of both."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from fixtures.stored_images import an_image, store_image

    image = an_image(*[LARGE_BYTES] * LARGE_BLOBS, *[SMALL_BYTES] * SMALL_BLOBS)
    store_image(root / "content", NAME, image, TAG)
    paths = [(f"/v2/{NAME}/blobs/{layer}", len(image.blobs[layer])) for layer in image.layers]
    return paths[:LARGE_BLOBS], paths[LARGE_BLOBS:]


def make_certificate(root):
    """Make a certificate that no client of this bench verifies."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=x",
         "-keyout", str(root / "server.key"), "-out", str(root / "server.pem")],
        check=True, capture_output=True, timeout=AT_MOST_S,
    )  # fmt: skip


def start(name, root, *, with_tls=False):
    """Start a server on the first core and wait until it listens."""
    port = (TLS_PORTS if with_tls else PORTS)[name]
    if name == "netboot":
        command = [sys.executable, __file__, "--serve", str(root / "content"), str(port)]
        command += [str(root / "server.pem"), str(root / "server.key")] if with_tls else []
    else:
        configuration = root / f"peer{port}.yml"
        configuration.write_text(CONFIG.format(root, HOST, port, TLS_CONFIG.format(root) if with_tls else ""))
        command = ["docker-registry", "serve", str(configuration)]
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], stderr=subprocess.DEVNULL, env={**os.environ, "GOMAXPROCS": "1"}
    )
    for _ in range(200):
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return process
    process.kill()
    raise TimeoutError(f"{name} does not listen on {port}")


def skopeo(*arguments):
    """Run skopeo; raise an error if it fails."""
    command = ["skopeo", "--insecure-policy", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=AT_MOST_S)


def image_at(name):
    return f"docker://{HOST}:{PORTS[name]}/{NAME}:{TAG}"


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/vnd.oci.image.manifest.v1+json\r\n\r\n".encode()


def answer_bytes(port, path):
    """Give the length of one answer with its head, and check that it is one."""
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(request(path))
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(1 << 17)
    head = data.partition(b"\r\n\r\n")[0].decode()
    assert head.startswith("HTTP/1.1 200"), head
    (length,) = [int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")]
    return len(head) + 4 + length


def replies(port, paths):
    """Request paths in turn over several connections for a while; return the number of replies for each second."""
    wholes = [answer_bytes(port, path) for path in paths]
    selector, answers, buffer = selectors.DefaultSelector(), 0, bytearray(1 << 17)
    with ExitStack() as stack:
        state = {}
        for n in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection((HOST, port)))
            at = n * len(paths) // CONNECTIONS
            connection.sendall(request(paths[at]))
            state[connection] = [at, 0]
            selector.register(connection, selectors.EVENT_READ)
        began = time.perf_counter()
        while time.perf_counter() < began + SMALL_S:
            for key, _ in selector.select(1.0):
                connection = key.fileobj
                each = state[connection]
                each[1] += connection.recv_into(buffer)
                if each[1] >= wholes[each[0]]:
                    each[:] = [(each[0] + 1) % len(paths), 0]
                    answers += 1
                    connection.sendall(request(paths[each[0]]))
    return answers


def large_reads(port, blobs):
    """Read large blobs by several clients at once; give MB/s of all together. Copying the bytes would be the limit."""
    buffer, got, selector = bytearray(1 << 20), 0, selectors.DefaultSelector()
    began = time.perf_counter()
    with ExitStack() as stack:
        left = {}
        for n in range(LARGE_CLIENTS):
            path = blobs[n % len(blobs)][0]
            connection = stack.enter_context(socket.create_connection((HOST, port)))
            connection.sendall(request(path).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            left[connection] = 0
            selector.register(connection, selectors.EVENT_READ)
        while left:
            for key, _ in selector.select(10.0):
                if length := key.fileobj.recv_into(buffer, 0, socket.MSG_TRUNC):  # the kernel drops the bytes
                    got += length
                    left[key.fileobj] += length
                else:
                    assert left.pop(key.fileobj) > LARGE_BYTES
                    selector.unregister(key.fileobj)
    return got / 1e6 / (time.perf_counter() - began)


def large_reads_with_tls(port, blobs):
    """Read large blobs by as many curls as there are blobs at once; give MB/s of all together."""
    began = time.perf_counter()
    curls = [
        subprocess.Popen(["curl", "-sSfk", "-o", "/dev/null", f"https://{HOST}:{port}{path}"]) for path, _ in blobs
    ]
    assert [each.wait(AT_MOST_S) for each in curls] == [0] * len(blobs)
    return sum(size for _, size in blobs) / 1e6 / (time.perf_counter() - began)


def pull(name, place):
    """Copy the whole image into an empty directory; give the seconds."""
    with tempfile.TemporaryDirectory(dir=place) as target:
        began = time.perf_counter()
        skopeo("copy", "-q", "--src-tls-verify=false", image_at(name), f"dir:{target}/image")
        return time.perf_counter() - began


def measured(server, work):
    """Give what `work` returns and the processor seconds of the server meanwhile."""
    before = cpu_s(server)
    return work(), cpu_s(server) - before


def main():
    """Measure by turns and print the medians."""
    is_roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > FREE_BYTES
    with tempfile.TemporaryDirectory(dir=MEMORY if is_roomy else None) as directory:
        root = Path(directory)
        (root / "content").mkdir()
        large, small = make_image(root)
        manifests, small = [f"/v2/{NAME}/manifests/{TAG}"], [path for path, _ in small]
        make_certificate(root)
        servers = {name: start(name, root) for name in PORTS}
        with_tls = {name: start(name, root, with_tls=True) for name in PORTS}
        table = {name: {} for name in PORTS}
        os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
        try:
            skopeo(
                "copy", "-q", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false",
                image_at("netboot"), image_at("docker-registry"),
            )  # fmt: skip
            for n in range(ROUNDS):
                for name, server in [*servers.items()][:: 1 if n % 2 else -1]:
                    port, got = PORTS[name], table[name]
                    speed, cpu = measured(server, lambda port=port: large_reads(port, large))
                    got.setdefault("large", []).append((speed, cpu / (LARGE_CLIENTS * LARGE_BYTES) * 1e9))
                    for what, paths in (("small", small), ("manifest", manifests)):
                        answers, cpu = measured(server, lambda port=port, paths=paths: replies(port, paths))
                        got.setdefault(what, []).append((answers / SMALL_S, cpu / answers * 1e6))
                    peer = with_tls[name]
                    speed, cpu = measured(peer, lambda name=name: large_reads_with_tls(TLS_PORTS[name], large))
                    got.setdefault("tls", []).append((speed, cpu / (LARGE_BLOBS * LARGE_BYTES) * 1e9))
                    if n < PULLS:
                        got.setdefault("pull", []).append(measured(server, lambda name=name: pull(name, root)))
            say(table, servers)
        finally:
            for process in (*servers.values(), *with_tls.values()):
                process.kill()
                process.wait()


def say(table, servers):
    """Write the table, and how many times as fast ours is."""
    lines = [f"{'':16}{'large: MB/s, cpu s/GB':>26}{'8 KiB: 1/s, µs cpu':>24}{'manifest: 1/s, µs cpu':>26}"]
    lines[0] += f"{'pull: s, cpu s':>20}{'TLS: MB/s, cpu s/GB':>22}{'MB':>6}"
    medians = {
        name: {what: [statistics.median(column) for column in zip(*rows, strict=True)] for what, rows in got.items()}
        for name, got in table.items()
    }
    for name, got in medians.items():
        cells = [f"{got['large'][0]:17.0f}{got['large'][1]:9.2f}", f"{got['small'][0]:15.0f}{got['small'][1]:9.1f}"]
        cells += [
            f"{got['manifest'][0]:17.0f}{got['manifest'][1]:9.1f}",
            f"{got['pull'][0]:12.2f}{got['pull'][1]:8.2f}",
        ]
        cells.append(f"{got['tls'][0]:13.0f}{got['tls'][1]:9.2f}")
        lines.append(f"{name:16}{''.join(cells)}{peak_mb(servers[name]):6}")
    ours, peers = medians["netboot"], medians["docker-registry"]
    ratios = {what: ours[what][0] / peers[what][0] for what in ("large", "small", "manifest", "tls")}
    ratios["pull (time)"] = ours["pull"][0] / peers["pull"][0]
    lines.append("netboot : docker-registry  " + ", ".join(f"{what} {ratio:.2f} x" for what, ratio in ratios.items()))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(sys.argv[2], int(sys.argv[3]), *sys.argv[4:]))
    else:
        main()
