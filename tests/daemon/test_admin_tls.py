"""The administration beyond loopback, with other people's clients: curl, openssl and Python's ssl on a second LAN."""

import json
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from fixtures.daemon import wait_until
from fixtures.files import SETTINGS
from fixtures.lan import a_lan
from fixtures.rack import Answer, Rack
from netns import inside

from netboot.operate.certificates.authority import CertificateAuthority

pytestmark = pytest.mark.integration

MANAGEMENT, CLIENT = "10.9.0.1", "10.9.0.66"
URL = f"https://{MANAGEMENT}:8470"
LISTEN = f"[127.0.0.1:8470, {MANAGEMENT}:8470]"
CERTIFICATE = "tls: {certificate: tls/server.pem, key: tls/server.key}"


def configure(rack: Rack, listen: str = LISTEN, *, tls: str = CERTIFICATE) -> None:
    admin = f"admin: {{socket: control.sock, listen: {listen}{', ' if tls else ''}{tls}}}"
    rack.config.write_text(SETTINGS.replace("admin: {socket: control.sock, listen: 127.0.0.1:8470}", admin))


@pytest.fixture
def box(rack_directory: Path) -> Iterator[Rack]:
    """An appliance with a boot LAN (s0) and a LAN of administrators (s1), and a CA; its daemon does not run."""
    with a_lan(("192.0.2.10/24", "192.0.2.66/24"), (f"{MANAGEMENT}/24", f"{CLIENT}/24")) as lan:
        rack = Rack(rack_directory, lan)
        configure(rack)
        rack.netboot("ca", "init")
        try:
            yield rack
        finally:
            rack.stop()


@pytest.fixture
def served(box: Rack) -> Rack:
    """The same, with a certificate; its daemon runs."""
    box.netboot("ca", "issue")
    box.start()
    return box


def curl(rack: Rack, url: str, *arguments: str) -> Answer:
    """Send a request from the administrators' LAN, with trust in the CA."""
    return rack.curl("--cacert", str(rack.directory / "tls/ca.pem"), *arguments, url)


def curl_fails(rack: Rack, url: str, *arguments: str) -> int:
    """Return curl's exit code."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        curl(rack, url, *arguments)
    return failed.value.returncode


def s_client(rack: Rack, *arguments: str, at: str = f"{MANAGEMENT}:8470") -> str:
    command = ["openssl", "s_client", "-connect", at, "-CAfile", str(rack.directory / "tls/ca.pem"), *arguments]
    done = subprocess.run(
        ["ip", "netns", "exec", rack.client_namespace, *command],
        input="", capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@contextmanager
def connected(rack: Rack) -> Iterator[ssl.SSLSocket]:
    """Connect from the administrators' LAN and verify the certificate."""
    context = ssl.create_default_context(cafile=str(rack.directory / "tls/ca.pem"))
    with inside(rack.client_namespace):
        plain = socket.create_connection((MANAGEMENT, 8470), timeout=10)
    with context.wrap_socket(plain, server_hostname=MANAGEMENT) as line:
        yield line


def status_of(line: ssl.SSLSocket, path: str = "/healthz") -> int:
    """Send a request on an open connection; return its status."""
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: {MANAGEMENT}:8470\r\n\r\n".encode())
    head, _, body = line.recv(65536).partition(b"\r\n\r\n")
    if not head:
        raise ConnectionResetError
    length = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(body) < length:
        body += line.recv(65536)
    return int(head.split()[1])


def serial(line: ssl.SSLSocket) -> object:
    found = line.getpeercert()
    assert found is not None
    return found["serialNumber"]


def problems(rack: Rack) -> list[str]:
    found: list[str] = rack.api("/api/v1/status")["problems"]
    return found


def becomes(rack: Rack, is_so: Callable[[list[str]], bool]) -> list[str]:
    """Wait until the problems of the status are so."""
    return wait_until(lambda: [found] if is_so(found := problems(rack)) else None)[0]


def refused_for(rack: Rack, reason: str) -> int:
    series = f'netboot_admin_connections_refused_total{{reason="{reason}"}} '
    found = [line for line in rack.curl_api("/metrics").body.splitlines() if line.startswith(series)]
    return int(float(found[0].removeprefix(series))) if found else 0


def test_another_computer_verifies_the_certificate_and_needs_a_login(served: Rack):
    health, status = curl(served, f"{URL}/healthz"), curl(served, f"{URL}/api/v1/status")

    assert (health.status, status.status) == (200, 401)
    assert "Verify return code: 0 (ok)" in s_client(served, "-verify_ip", MANAGEMENT, "-x509_strict")
    assert curl_fails(served, f"{URL}/healthz", "--cacert", "/etc/ssl/certs/ca-certificates.crt") == 60
    assert problems(served) == []
    assert json.loads(served.netboot("check", "--json"))["problems"] == []
    assert [(part["name"], part["state"]) for part in served.api("/readyz")["parts"] if part["part"] == "admin"] == [
        ("127.0.0.1:8470", "ok"),
        (f"{MANAGEMENT}:8470", "ok"),
        ("certificate", "ok"),
    ]


def test_loopback_has_http_as_before(served: Rack):
    assert served.curl_api("/api/v1/status").status == 200


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_tls_before_1_2_is_refused(served: Rack, version: str):
    old = s_client(served, version, "-cipher", "ALL:@SECLEVEL=0")
    current = s_client(served, "-tls1_2")

    assert "New, (NONE), Cipher is (NONE)" in old
    assert "Protocol  : TLSv1.2" in current
    assert wait_until(lambda: refused_for(served, "handshake") or None) == 1


def test_http_on_the_port_of_tls_is_answered_with_the_url_to_use(served: Rack):
    answer = curl(served, f"http://{MANAGEMENT}:8470/api/v1/status")

    assert (answer.status, answer.body) == (400, f"this port answers HTTPS only: {URL}/\n")
    assert refused_for(served, "plain-http") == 1


def test_the_boot_lan_reaches_neither_its_own_address_nor_that_of_the_administrators(served: Rack):
    served.lan.ip(served.client_namespace, "route", "add", f"{MANAGEMENT}/32", "via", "192.0.2.10", "src", "192.0.2.66")

    assert curl_fails(served, "https://192.0.2.10:8470/healthz") == 7
    assert curl_fails(served, f"{URL}/healthz") == 35
    assert refused_for(served, "boot-interface") == 1
    served.lan.ip(served.client_namespace, "route", "del", f"{MANAGEMENT}/32")
    assert curl(served, f"{URL}/healthz").status == 200


def test_an_address_of_the_boot_lan_is_a_problem_and_its_interface_by_name_is_served(box: Rack):
    configure(box, "[127.0.0.1:8470, 192.0.2.10:8470]")
    box.netboot("ca", "issue", "192.0.2.10")
    box.start()
    sentence = (
        "admin.listen: 192.0.2.10:8470 is an address of s0, on which machines boot (network.interfaces); "
        "write s0:8470 if the administration shall listen there, or name another interface's address"
    )
    assert problems(box) == [sentence]
    assert json.loads(box.netboot("check", "--json", status=1))["problems"] == [sentence]
    assert curl_fails(box, "https://192.0.2.10:8470/healthz") == 7
    box.stop()

    configure(box, "[127.0.0.1:8470, s0:8470]")
    box.start()

    assert problems(box) == []
    assert curl(box, "https://192.0.2.10:8470/healthz").status == 200


def test_without_a_certificate_nothing_is_served_beyond_loopback(box: Rack):
    configure(box, tls="")
    box.start()

    assert problems(box) == [
        f"admin.listen: {MANAGEMENT}:8470 is beyond loopback, where only TLS is served; "
        "netboot ca init and netboot ca issue make a certificate; set admin.tls, or name only loopback addresses"
    ]
    assert curl_fails(box, f"{URL}/healthz") == 7
    assert box.curl_api("/healthz").status == 200


def test_a_renewal_is_for_new_connections_and_the_open_ones_continue(served: Rack):
    with connected(served) as line:
        assert status_of(line) == 200
        before = serial(line)
        served.netboot("ca", "issue")
        wait_until(lambda: served.lines("tls.certificate_loaded")[1:] or None)

        assert status_of(line) == 200
        with connected(served) as newer:
            assert (status_of(newer), serial(newer) != before) == (200, True)


def test_an_event_stream_continues_over_a_renewal(served: Rack):
    token = json.loads(served.run("token", "create", "ci", "--role", "read-only", "--json").stdout)["token"]
    command = ["curl", "-sSN", "--max-time", "30", "--cacert", str(served.directory / "tls/ca.pem"),
               "-H", f"Authorization: Bearer {token}", f"{URL}/api/v1/events"]  # fmt: skip
    stream = subprocess.Popen(["ip", "netns", "exec", served.client_namespace, *command], stdout=subprocess.PIPE)
    try:
        assert stream.stdout is not None
        served.netboot("reload")
        assert b"reload" in read_until(stream.stdout, b"reload")
        served.netboot("ca", "issue")
        wait_until(lambda: served.lines("tls.certificate_loaded")[1:] or None)
        served.netboot("install", "arm", "cp1")
        assert b"install.moved" in read_until(stream.stdout, b"install.moved")
    finally:
        stream.kill()
        stream.communicate()


def read_until(stream: IO[bytes], text: bytes) -> bytes:
    """Read lines until one has the text, or the stream ends."""
    found = b""
    while text not in found and (line := stream.readline()):
        found += line
    return found


def test_a_faulty_renewal_keeps_the_certificate_that_is_in_force(served: Rack):
    key = served.directory / "tls/server.key"
    good = key.read_bytes()
    with connected(served) as line:
        before = serial(line)
    key.write_text("rubbish")

    (problem,) = becomes(served, bool)

    assert problem == (
        f"admin.tls.key: {key} has no private key that can be read; name a file in PEM; "
        "the one that was read before stays in force"
    )
    with connected(served) as line:
        assert (status_of(line), serial(line)) == (200, before)
    assert served.curl_api("/readyz").status == 503
    assert "has no private key" in served.netboot("check", status=1)
    key.write_bytes(good)
    becomes(served, lambda found: not found)


def test_an_ended_certificate_replaces_none_that_is_valid(served: Rack):
    issue_in_the_past(served)

    (problem,) = becomes(served, bool)

    assert " ended at " in problem
    assert problem.endswith("; the one that was read before stays in force")
    assert curl(served, f"{URL}/healthz").status == 200


def test_with_an_ended_certificate_alone_clients_decide_and_the_status_names_the_cure(box: Rack):
    issue_in_the_past(box)
    box.start()

    (problem,) = problems(box)

    assert problem.endswith("UTC; netboot ca issue writes a new one, or renew it where it comes from")
    assert (curl_fails(box, f"{URL}/healthz"), curl(box, f"{URL}/healthz", "-k").status) == (60, 200)
    box.netboot("ca", "issue")
    becomes(box, lambda found: not found)
    assert curl(box, f"{URL}/healthz").status == 200


def issue_in_the_past(rack: Rack) -> None:
    """Replace the certificate by one of the same CA that ended yesterday."""
    authority = CertificateAuthority.read(rack.directory / "tls")
    assert authority is not None
    past = datetime.now(UTC) - timedelta(days=31)
    issued = authority.issue([MANAGEMENT], days=30, now=past)
    issued.write(rack.directory / "tls/server.pem", rack.directory / "tls/server.key", group=None)


def test_a_certificate_that_ends_soon_is_a_warning_and_a_gauge(box: Rack):
    box.netboot("ca", "issue", "--days", "10")
    box.start()

    warnings = box.api("/api/v1/status")["warnings"]

    assert len(warnings) == 1
    assert " ends at " in warnings[0]
    assert warnings[0] in json.loads(box.netboot("check", "--json"))["warnings"]
    gauge = next(
        float(line.split()[1])
        for line in box.curl_api("/metrics").body.splitlines()
        if line.startswith("netboot_admin_certificate_remaining_seconds")
    )
    assert 9.9 * 86400 < gauge <= 10 * 86400


def test_a_key_of_another_certificate_leaves_loopback_served_until_it_is_corrected(box: Rack):
    box.netboot("ca", "issue")
    key = box.directory / "tls/server.key"
    right = key.read_bytes()
    box.netboot("ca", "issue")
    key.write_bytes(right)
    box.start()

    assert problems(box) == [
        f"admin.listen: {MANAGEMENT}:8470 is beyond loopback, where only TLS is served; see admin.tls",
        f"admin.tls: the key {key} is not that of the certificate {box.directory}/tls/server.pem; "
        "name the two files that were made together",
    ]
    assert (curl_fails(box, f"{URL}/healthz"), box.curl_api("/healthz").status) == (7, 200)
    box.netboot("ca", "issue")
    becomes(box, lambda found: not found)
    assert curl(box, f"{URL}/healthz").status == 200


def test_an_address_that_moves_to_the_boot_interface_is_closed_with_its_connections(served: Rack):
    with connected(served) as line:
        assert status_of(line) == 200
        served.ip("addr", "del", f"{MANAGEMENT}/24", "dev", "s1")
        served.ip("addr", "add", f"{MANAGEMENT}/32", "dev", "s0")

        becomes(served, lambda found: any("is an address of s0" in each for each in found))

        assert served.lines("admin.closed")[-1]["address"] == f"{MANAGEMENT}:8470"
        served.ip("addr", "del", f"{MANAGEMENT}/32", "dev", "s0")
        served.ip("addr", "add", f"{MANAGEMENT}/24", "dev", "s1")
        with pytest.raises(ConnectionResetError):
            status_of(line)
    becomes(served, lambda found: not found)
    assert curl(served, f"{URL}/healthz").status == 200


def test_an_interface_that_appears_later_is_served_then(box: Rack):
    configure(box, "[127.0.0.1:8470, late0:8470]")
    box.netboot("ca", "issue", "10.8.0.1")
    box.start()
    assert problems(box) == [
        "admin.listen: this appliance has no interface late0; it has lo, s0, s1; correct the name, or add the interface"
    ]

    peer = ["peer", "name", "late1", "netns", box.client_namespace]
    box.ip("link", "add", "late0", "type", "veth", *peer)
    box.ip("addr", "add", "10.8.0.1/24", "dev", "late0")
    box.ip("link", "set", "late0", "up")
    box.lan.ip(box.client_namespace, "addr", "add", "10.8.0.2/24", "dev", "late1")
    box.lan.ip(box.client_namespace, "link", "set", "late1", "up")

    becomes(box, lambda found: not found)
    assert curl(box, "https://10.8.0.1:8470/healthz").status == 200


def test_a_port_that_another_program_has_is_retried(box: Rack):
    box.netboot("ca", "issue")
    with box.server_socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind((MANAGEMENT, 8470))
        other.listen()
        box.start()

        assert problems(box) == [f"cannot listen on {MANAGEMENT}:8470: Address already in use; see admin.listen"]

    becomes(box, lambda found: not found)
    assert curl(box, f"{URL}/healthz").status == 200


def test_ipv6_is_served_with_tls_too(box: Rack):
    box.ip("addr", "add", "fd00:9::1/64", "dev", "s1", "nodad")
    box.lan.ip(box.client_namespace, "addr", "add", "fd00:9::2/64", "dev", "c1", "nodad")
    configure(box, "[127.0.0.1:8470, s1:8470]")
    box.netboot("ca", "issue")
    box.start()

    assert curl(box, "https://[fd00:9::1]:8470/healthz").status == 200
    assert curl(box, f"{URL}/healthz").status == 200


def test_a_client_has_64_connections_and_those_that_send_nothing_end(served: Rack):
    with inside(served.client_namespace):
        idle = [socket.create_connection((MANAGEMENT, 8470), timeout=20) for _ in range(64)]
    try:
        wait_until(lambda: curl_is_refused(served) or None)
        assert refused_for(served, "too-many") >= 1
        assert served.curl_api("/healthz").status == 200
        assert idle[0].recv(1) == b""  # after the 10 seconds of a handshake
        assert curl(served, f"{URL}/healthz").status == 200
    finally:
        for each in idle:
            each.close()


def curl_is_refused(rack: Rack) -> bool:
    try:
        curl(rack, f"{URL}/healthz")
    except subprocess.CalledProcessError:
        return True
    return False
