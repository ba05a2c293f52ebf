"""The registry of a running daemon on the boot LAN, with TLS and without, to skopeo, podman and curl of a node."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS
from fixtures.lan import Lan, a_lan
from fixtures.rack import Rack
from fixtures.stored_images import MadeImage, an_image, store_image
from netns import inside

from netboot.operate.certificates.authority import CertificateAuthority

pytestmark = pytest.mark.integration

SERVER, NODE = "192.0.2.10", "192.0.2.66"
TLS = "registry: {tls_port: 8443, certificate: tls/registry.pem, key: tls/registry.key}\n"
NAME, TAG = "olcne/ock-ostree", "1.33"
IMAGE = f"docker://{SERVER}:8443/{NAME}:{TAG}"
TIMEOUT_S = 120.0


@pytest.fixture
def lan() -> Iterator[Lan]:
    with a_lan((f"{SERVER}/24", f"{NODE}/24")) as lan:
        yield lan


@pytest.fixture
def image(rack_directory: Path) -> MadeImage:
    return store_image(rack_directory / "content", NAME, an_image(1_000, 3_000_000), TAG)


@pytest.fixture
def box(rack_directory: Path, lan: Lan) -> Iterator[Rack]:
    """An appliance whose registry has TLS, and a CA; its daemon does not run."""
    rack = Rack(rack_directory, lan)
    rack.config.write_text(SETTINGS + TLS)
    rack.netboot("ca", "init")
    try:
        yield rack
    finally:
        rack.stop()


@pytest.fixture
def served(box: Rack, image: MadeImage) -> Rack:
    """The same, with a certificate and an image; its daemon runs."""
    box.netboot("ca", "issue", "--registry")
    box.start()
    return box


def on_node(rack: Rack, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program of a node."""
    inside_node = ["ip", "netns", "exec", rack.client_namespace, "env", *(f"{k}={v}" for k, v in environment.items())]
    return subprocess.run(
        [*inside_node, *map(str, command)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def certificates_of_node(rack: Rack, directory: Path) -> Path:
    """Make a directory with the CA, as /etc/containers/certs.d/ADDRESS:PORT of a node."""
    directory.mkdir()
    shutil.copy(rack.directory / "tls/ca.pem", directory / "ca.crt")
    return directory


def sizes(directory: Path) -> list[int]:
    return sorted(each.stat().st_size for each in directory.iterdir() if each.name != "version")


def sizes_of(image: MadeImage) -> list[int]:
    return sorted(map(len, image.blobs.values()))


def problems(rack: Rack) -> list[str]:
    found: list[str] = rack.api("/api/v1/status")["problems"]
    return found


def refused_for(rack: Rack, reason: str) -> int:
    series = f'netboot_registry_connections_refused_total{{reason="{reason}"}} '
    found = [line for line in rack.curl_api("/metrics").body.splitlines() if line.startswith(series)]
    return int(float(found[0].removeprefix(series))) if found else 0


def part_states(rack: Rack) -> list[tuple[str, str]]:
    parts = rack.api("/readyz")["parts"]
    return [(part["name"], part["state"]) for part in parts if part["part"] == "registry"]


def test_skopeo_trusts_the_ca_by_a_directory_and_by_the_environment(served: Rack, image: MadeImage, tmp_path: Path):
    by_directory = on_node(
        served,
        *(
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            f"--src-cert-dir={certificates_of_node(served, tmp_path / 'c')}",
        ),
        *(IMAGE, f"dir:{tmp_path / 'one'}"),
    )
    ca = served.directory / "tls/ca.pem"
    by_environment = on_node(
        served, "skopeo", "--insecure-policy", "copy", "-q", IMAGE, f"dir:{tmp_path / 'two'}", SSL_CERT_FILE=str(ca)
    )

    assert (by_directory.returncode, by_environment.returncode) == (0, 0), by_directory.stderr + by_environment.stderr
    assert sizes(tmp_path / "one") == sizes(tmp_path / "two") == sizes_of(image)
    assert problems(served) == []
    assert json.loads(served.netboot("check", "--json"))["problems"] == []
    assert part_states(served) == [(f"{SERVER}:8443", "ok"), ("certificate", "ok")]


def test_without_the_ca_a_client_refuses_the_registry_unless_it_verifies_nothing(served: Rack):
    refused = on_node(served, "skopeo", "inspect", IMAGE)
    unverified = on_node(served, "skopeo", "inspect", "--tls-verify=false", IMAGE)

    assert refused.returncode == 1
    assert "certificate signed by unknown authority" in refused.stderr
    assert json.loads(unverified.stdout)["RepoTags"] == [TAG]


def test_registries_conf_lets_a_node_use_the_registry_without_tls(served: Rack, tmp_path: Path):
    """The file of docs/registry.md, of which the address is another one."""
    page = (Path(__file__).parents[2] / "docs/registry.md").read_text()
    text = page.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "netboot.conf").write_text(text)
    plain = f"docker://{SERVER}:8080/{NAME}:{TAG}"

    without = on_node(served, "skopeo", "inspect", plain)
    done = on_node(served, "skopeo", f"--registries-conf={tmp_path / 'netboot.conf'}", "inspect", plain)

    assert "server gave HTTP response to HTTPS client" in without.stderr
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["RepoTags"] == [TAG]


def test_podman_pulls_with_the_ca(served: Rack, tmp_path: Path):
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as directory:
        podman = ("podman", f"--root={directory}/root", f"--runroot={directory}/run", "--storage-driver=vfs")
        where = f"--cert-dir={certificates_of_node(served, tmp_path / 'c')}"
        done = on_node(served, *podman, "pull", "-q", where, IMAGE.removeprefix("docker://"))

        assert (done.returncode, len(done.stdout.strip())) == (0, 64), done.stderr


@contextmanager
def containerd(rack: Rack, directory: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run containerd on the node, and yield its command `ctr`."""
    (directory / "config.toml").write_text(
        f"""version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{directory}/s"
"""
    )
    command = ["ip", "netns", "exec", rack.client_namespace, "containerd", "-c", str(directory / "config.toml")]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until(lambda: (directory / "s").exists() or None, failed=(directory / "log").read_text)
            yield lambda *arguments: on_node(rack, "ctr", f"--address={directory}/s", *arguments)
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


@pytest.mark.parametrize("port", [8080, 8443])
def test_containerd_pulls_as_the_page_has_it(served: Rack, image: MadeImage, port: int):
    """`hosts.toml` of docs/registry.md: without TLS, and with the CA."""
    page = (Path(__file__).parents[2] / "docs/registry.md").read_text()
    (text,) = [
        block
        for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
        if f":{port}" in block and "server" in block
    ]
    with tempfile.TemporaryDirectory(prefix="ctr-", ignore_cleanup_errors=True) as directory:
        hosts = Path(directory) / "certs.d" / f"{SERVER}:{port}"
        hosts.mkdir(parents=True)
        (hosts / "hosts.toml").write_text(text.replace("/etc/containerd/netboot.pem", f"{served.directory}/tls/ca.pem"))
        with containerd(served, Path(directory)) as ctr:
            name = f"{SERVER}:{port}/{NAME}:{TAG}"
            done = ctr("content", "fetch", f"--hosts-dir={hosts.parent}", name)
            listed = ctr("images", "list", "-q"), ctr("content", "list", "-q")

    assert done.returncode == 0, done.stderr
    assert listed[0].stdout.split() == [name]
    assert sorted(listed[1].stdout.split()) == sorted(image.blobs)


def test_curl_resumes_a_layer_and_gets_ranges_on_one_connection(served: Rack, image: MadeImage, tmp_path: Path):
    layer = image.layers[1]
    data, part, url = image.blobs[layer], tmp_path / "part", f"https://{SERVER}:8443/v2/{NAME}/blobs/{layer}"
    part.write_bytes(data[:1_234_567])
    curl = ("curl", "-sS", "--cacert", served.directory / "tls/ca.pem", "--max-time", "60")

    resumed = on_node(served, *curl, "-C", "-", "-o", part, url)
    ranges = on_node(
        served,
        *(*curl, "-w", "%{num_connects} %{http_code}\n", "-o", tmp_path / "a", "-r", "100000-299999", url),
        *("--next", *curl[1:], "-w", "%{num_connects} %{http_code}\n", "-o", tmp_path / "b", url),
    )

    assert resumed.returncode == 0, resumed.stderr
    assert part.read_bytes() == data
    assert ranges.stdout == "1 206\n0 200\n"
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (data[100_000:300_000], data)


@pytest.mark.parametrize("path", ["/healthz", "/content/ol8u10-x86_64/vmlinuz", "/boot/52-54-00-aa-bb-01.ipxe", "/"])
def test_nothing_but_the_registry_is_served_with_tls(served: Rack, path: str):
    ca = served.directory / "tls/ca.pem"
    with_tls = served.curl("--cacert", str(ca), f"https://{SERVER}:8443{path}")
    registry = served.curl("--cacert", str(ca), f"https://{SERVER}:8443/v2/")

    assert (with_tls.status, with_tls.body) == (404, "404 Not Found: no such file\n")
    assert (registry.status, registry.body) == (200, "{}")


def test_a_request_in_clear_text_is_answered_with_the_url_to_use(served: Rack):
    answer = served.curl(f"http://{SERVER}:8443/v2/")

    assert (answer.status, answer.body) == (400, f"this port answers HTTPS only: https://{SERVER}:8443/\n")
    assert refused_for(served, "plain-http") == 1


@contextmanager
def connected(rack: Rack, *, buffer_bytes: int | None = None) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(rack.directory / "tls/ca.pem"))
    with inside(rack.client_namespace):
        plain = socket.socket()
        if buffer_bytes is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        plain.settimeout(30)
        plain.connect((SERVER, 8443))
    with context.wrap_socket(plain, server_hostname=SERVER) as line:
        yield line


def resident_bytes(rack: Rack) -> int:
    pid = rack.api("/api/v1/status")["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_readers_that_do_not_read_take_little_memory_and_do_not_stop_others(served: Rack):
    """Sixteen clients request 40 MB each and read nothing: what a connection holds is some pieces, not the layer."""
    large = store_image(served.directory / "content", "large", an_image(40_000_000, seed=3), "1").layers[0]
    request = f"GET /v2/large/blobs/{large} HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode()
    before = resident_bytes(served)
    lines = []
    try:
        for _ in range(16):
            line = connected(served, buffer_bytes=4_096)
            lines.append(line)
            line.__enter__().sendall(request)
        answer = served.curl(
            "--cacert", str(served.directory / "tls/ca.pem"), f"https://{SERVER}:8443/v2/large/tags/list"
        )
        after = resident_bytes(served)
    finally:
        for line in lines:
            line.__exit__(None, None, None)

    assert answer.status == 200
    assert after - before < 40_000_000


def test_a_slow_reader_gets_every_byte(served: Rack, image: MadeImage):
    layer = image.layers[1]
    data = image.blobs[layer]
    with connected(served, buffer_bytes=8_192) as line:
        line.sendall(f"GET /v2/{NAME}/blobs/{layer} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while chunk := line.recv(3_001):
            got += chunk

    assert got.partition(b"\r\n\r\n")[2] == data


def test_a_client_that_disconnects_in_a_layer_leaves_no_fault_in_the_log(served: Rack, image: MadeImage):
    for _ in range(5):
        with connected(served) as line:
            line.sendall(f"GET /v2/{NAME}/blobs/{image.layers[1]} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            line.recv(1_000)
    served.curl("--cacert", str(served.directory / "tls/ca.pem"), f"https://{SERVER}:8443/v2/")

    log = [json.loads(line) for line in served.log.splitlines() if line.startswith("{")]
    assert [line for line in log if line.get("level") in ("error", "critical", "warning")] == []


def test_without_a_certificate_the_daemon_serves_the_rest_and_names_the_command(box: Rack, image: MadeImage):
    box.start()
    certificate = box.directory / "tls/registry.pem"
    reason = f"registry.certificate: cannot read {certificate}: No such file or directory"
    cure = "netboot ca issue --registry makes a certificate and its key, or correct registry.certificate"

    assert problems(box) == [f"{reason}; {cure}"]
    checked = json.loads(box.netboot("check", "--json", status=1))
    assert checked["problems"] == [f"{reason}; {cure}"]
    assert part_states(box) == [("certificate", "degraded")]
    assert box.curl(f"http://{SERVER}:8080/v2/{NAME}/tags/list").status == 200

    box.netboot("ca", "issue", "--registry")

    assert wait_until(lambda: not problems(box) or None)
    assert on_node(box, "skopeo", "inspect", "--tls-verify=false", IMAGE).returncode == 0


def test_a_renewed_certificate_is_used_without_a_restart_and_one_that_ended_is_named(served: Rack):
    """What is open keeps the certificate that it has."""
    authority = CertificateAuthority.read(served.directory / "tls")
    assert authority is not None
    with connected(served) as line:
        before = line.getpeercert()
        served.netboot("ca", "issue", "--registry")
        renewed = wait_until(lambda: found if (found := peer_certificate(served)) != before else None)
        line.sendall(f"GET /v2/ HTTP/1.1\r\nHost: {SERVER}\r\n\r\n".encode())
        status = line.recv(65_536).split()[1]
    ended = authority.issue([SERVER], days=1, now=datetime.now(UTC) - timedelta(days=3))
    ended.write(served.directory / "tls/registry.pem", served.directory / "tls/registry.key", group=None)
    (problem,) = wait_until(lambda: problems(served) or None)

    assert (status, renewed != before) == (b"200", True)
    assert "ended at" in problem
    assert problem.endswith("; the one that was read before stays in force")
    assert peer_certificate(served) == renewed
    in_files, in_force = json.loads(served.netboot("check", "--json", status=1))["problems"]
    assert in_files.startswith(f"registry: the certificate {served.directory}/tls/registry.pem ended at ")
    assert in_force == f"the running daemon: {problem}"


def peer_certificate(rack: Rack) -> object:
    with connected(rack) as line:
        return line.getpeercert()


def test_a_port_that_another_program_has_is_named_and_taken_when_it_is_free(box: Rack, image: MadeImage):
    box.netboot("ca", "issue", "--registry")
    with box.server_socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind((SERVER, 8443))
        other.listen()
        (before,) = json.loads(box.netboot("check", "--json", status=1))["problems"]
        box.start()
        (reason,) = problems(box)
        states = part_states(box)

    assert before.startswith(f"registry.tls_port: TCP port 8443 on {SERVER} is in use by ")
    cure = "see registry.tls_port; ss -ltnp names the programs that listen"
    assert reason == f"cannot listen on {SERVER}, TCP port 8443: Address already in use; {cure}"
    assert states == [(f"{SERVER}:8443", "degraded"), ("certificate", "ok")]
    assert wait_until(lambda: not problems(box) or None)
    assert on_node(box, "skopeo", "inspect", "--tls-verify=false", IMAGE).returncode == 0
