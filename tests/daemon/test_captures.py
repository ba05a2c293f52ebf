"""Captures from outside: tshark reads what machines and the daemon sent each other, in a file without secrets."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.daemon import wait_until
from fixtures.files import HOSTS, SETTINGS, write_files
from fixtures.packets import SERVER, vector
from fixtures.rack import Machine, Rack, running, token_in
from secrets_search import files_below, search, secrets_of_store

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
UNKNOWN = ("52:54:00:aa:bb:99", "192.0.2.66")
OUR_MAC = "02:6e:62:00:00:01"
CAPTURED: Final[dict[str, Any]] = {"capture_output": True, "check": True, "timeout": 60}
CONTENT = ("/content/ol8u10-x86_64/vmlinuz", "/ostree/none/objects/aa/bb.filez", "/ostree/none/config")


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    with running(write_files(tmp_path)) as rack:
        yield rack


def tshark(file: Path, wanted: str, *fields: str) -> list[list[str]]:
    """Read the fields of the packets that a filter selects; checksums are verified."""
    checked = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "udp", "tcp")]
    shown = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-r", str(file), "-n", *checked, "-Y", wanted, "-T", "fields", "-E", "separator=|", *shown]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("|") for line in done.stdout.splitlines()]


def read_by_tftp(machine: Machine, name: str) -> int:
    """Read a file with curl, and return the size of what came."""
    command = ["curl", "-sS", "--max-time", "10", "--interface", machine.address, f"tftp://{SERVER}/{name}"]
    inside = ["ip", "netns", "exec", machine.rack.client_namespace]
    return len(subprocess.run([*inside, *command], capture_output=True, check=True, timeout=20).stdout)


def captured(rack: Rack, name: str, number: int, *, boot: int = 0) -> Path:
    """Write the capture of a machine that has so many packets to a file."""
    file = rack.directory / "boot.pcapng"

    def write() -> bool | None:
        done = rack.run("install", "capture", name, "--boot", str(boot), "-o", str(file))
        return (done.returncode == 0 and len(tshark(file, "frame", "frame.number")) >= number) or None

    wait_until(write, failed=lambda: rack.log[-2000:])
    return file


def curl(machine: Machine, *arguments: str) -> None:
    """Send requests on one connection, from the machine's address."""
    command = ["ip", "netns", "exec", machine.rack.client_namespace, "curl", "-s", "--interface", machine.address]
    subprocess.run([*command, *arguments], check=False, capture_output=True, timeout=20)


def install(rack: Rack) -> Machine:
    """Let cp1 boot into the installer, with its loader by TFTP and its documents by HTTP."""
    rack.netboot("install", "arm", "cp1")
    cp1 = rack.machine(*CP1)
    cp1.discover()
    cp1.request()
    assert read_by_tftp(cp1, "snponly.efi") > 100_000
    cp1.discover(ipxe=True)
    script = cp1.script()
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    cp1.report(token_in(kickstart, "report"), "started")
    cp1.get(f"/ks/{token_in(script, 'ks')}", "-H", "Authorization: Bearer 1234567890abcdef")
    curl(cp1, *(f"http://{SERVER}:8080{path}" for path in CONTENT))
    return cp1


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The capture of an install."""
    with running(write_files(tmp_path_factory.mktemp("box"))) as rack:
        install(rack)
        yield captured(rack, "cp1", 28)


def test_dhcp_is_read_with_its_frames(boot: Path):
    fields = ("eth.src", "eth.dst", "ip.src", "udp.srcport", "dhcp.option.dhcp", "dhcp.hw.mac_addr", "dhcp.file")
    packets = tshark(boot, "dhcp", *fields)

    everybody, nobody = "ff:ff:ff:ff:ff:ff", "0.0.0.0"
    assert packets == [
        [CP1[0], everybody, nobody, "68", "1", CP1[0], ""],
        [OUR_MAC, everybody, SERVER, "67", "2", CP1[0], "snponly.efi"],
        [CP1[0], everybody, nobody, "68", "3", CP1[0], ""],
        [CP1[0], everybody, nobody, "68", "1", CP1[0], ""],
        [OUR_MAC, everybody, SERVER, "67", "2", CP1[0], f"http://{SERVER}:8080/boot/52-54-00-aa-bb-01.ipxe"],
    ]
    assert {name for (name,) in tshark(boot, "frame", "frame.interface_name")} == {"s0"}


def test_no_checksum_is_wrong(boot: Path):
    wrong = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0"

    assert tshark(boot, wrong, "frame.number") == []
    assert len(tshark(boot, "udp.checksum.status == 1 || tcp.checksum.status == 1", "frame.number")) > 20


def test_a_transfer_has_its_first_and_last_blocks_without_their_data(boot: Path):
    packets = tshark(boot, "tftp", "tftp.opcode", "tftp.block", "tftp.source_file", "eth.src", "frame.cap_len")

    last = packets[-1][1]
    assert [(opcode, block) for opcode, block, *_ in packets] == [
        *(("1", ""), ("6", ""), ("4", "0"), ("3", "1"), ("4", "1"), ("3", "2"), ("4", "2"), ("3", last), ("4", last)),
    ]
    assert (packets[0][2], packets[0][3], packets[1][3]) == ("snponly.efi", CP1[0], OUR_MAC)
    assert {cut for opcode, *_, cut in packets if opcode == "3"} == {"46"}
    assert int(last) > 100


def test_requests_are_read_as_http_and_answers_are_comments(boot: Path):
    requests = tshark(boot, "http.request", "http.request.method", "http.request.uri", "http.user_agent", "tcp.stream")
    comments = [text for (text,) in tshark(boot, "tcp.srcport == 8080", "frame.comment")]

    paths = [f"/boot/{CP1[0]}.ipxe", "/ks/TOKEN-HIDDEN", "/report/TOKEN-HIDDEN/started", "/ks/TOKEN-HIDDEN", *CONTENT]
    methods = ["POST" if "report" in path else "GET" for path in paths]
    assert [(method, path) for method, path, *_ in requests] == list(zip(methods, paths, strict=True))
    assert all(agent.startswith("curl/") for _, _, agent, _ in requests)
    assert len({stream for *_, stream in requests}) == 5  # those for content are on one connection
    assert [text.rpartition(" ")[2] for text in comments] == paths
    assert [text[:3] for text in comments] == ["200"] * 3 + ["404"] + ["200", "404", "404"]
    assert comments[4] == f"200, 700 bytes: GET {CONTENT[0]}"
    assert tshark(boot, "tcp.analysis.retransmission || tcp.analysis.lost_segment", "frame.number") == []
    assert tshark(boot, 'frame contains "Bearer"', "frame.number") == []


def test_no_token_is_in_a_capture(rack: Rack):
    cp1 = install(rack)
    tokens = secrets_of_store(rack.directory / "netboot.db")
    assert len(tokens) >= 3
    for token in tokens:
        hidden = f"%{ord(token.text[0]):02x}{token.text[1:]}"
        field = ("-H", f"User-Agent: {token.text}", "-H", f"Authorization: {token.text}")
        curl(cp1, *field, f"http://{SERVER}:8080/ks/{hidden}", f"http://{SERVER}:8080/content/{token.text}?{hidden}")
        curl(cp1, "--max-time", "2", f"tftp://{SERVER}/ks/{token.text}")
    file = captured(rack, "cp1", 28 + 5 * len(tokens))

    assert search({"capture": file.read_bytes(), **files_below(rack.directory / "records")}, tokens) == []


def test_api_and_command_have_the_same_capture(rack: Rack):
    cp1 = rack.machine(*CP1)
    cp1.boots()
    cp1.script()
    file = captured(rack, "cp1", 7)
    configuration = ("--config", str(rack.config))
    written = subprocess.run(rack.command("install", "capture", "cp1", "-o", "-", *configuration), **CAPTURED)
    piped = subprocess.run(
        ["tshark", "-r", "-", "-T", "fields", "-e", "frame.number"],
        input=written.stdout,
        **CAPTURED,
    )

    [row] = rack.api("/api/v1/installs/cp1/captures")
    assert (row["machine"], row["number"], row["packets"], row["bytes"]) == ("cp1", 1, 7, file.stat().st_size)
    assert json.loads(rack.run("install", "capture", "cp1", "--json").stdout) == [row]
    began = row["began_at"][:19].replace("T", " ")
    assert rack.run("install", "capture", "cp1").stdout.splitlines()[1].startswith(f"1\t{began}\t")
    assert piped.stdout.split() == [b"%d" % number for number in range(1, 8)]
    rack.stop()
    assert json.loads(rack.run("install", "capture", "cp1", "--json").stdout) == [row]
    assert captured(rack, "cp1", 7).read_bytes() == file.read_bytes()


def test_a_boot_that_a_restart_of_the_daemon_divides_has_one_capture(rack: Rack):
    cp1 = rack.machine(*CP1)
    cp1.boots()
    cp1.script()
    captured(rack, "cp1", 7)
    rack.signal(signal.SIGTERM)  # so that the machine's address is stored
    rack.wait()
    rack.start()
    cp1.script()

    captured(rack, "cp1", 9)

    assert [row["packets"] for row in rack.api("/api/v1/installs/cp1/captures")] == [9]


def test_an_unregistered_machine_has_a_capture_under_its_mac_and_others_none(rack: Rack):
    unknown = rack.machine(*UNKNOWN)
    unknown.boots()

    file = captured(rack, UNKNOWN[0], 2)
    none = rack.run("install", "capture", "w1", "-o", str(rack.directory / "none.pcapng"))

    assert {source for (source,) in tshark(file, "frame", "eth.src")} == {UNKNOWN[0]}
    assert (none.returncode, none.stderr) == (1, "netboot: no capture of w1 is kept; see records.captures\n")
    assert not (rack.directory / "none.pcapng").exists()


def test_captures_are_switched_off_by_a_setting(tmp_path: Path):
    settings = SETTINGS.replace("{directory: records}", "{directory: records, captures: false}")
    with running(write_files(tmp_path, settings=settings)) as rack:
        cp1 = rack.machine(*CP1)
        cp1.boots()
        assert cp1.script().startswith("#!ipxe")

        assert "records" not in rack.api("/api/v1/status")
        assert not (rack.directory / "records").exists()
        assert "netboot_captured_packets_total{" not in rack.curl_api("/metrics").body


def test_leases_and_dropped_requests_of_a_host_are_recorded(tmp_path: Path):
    hosts = HOSTS.replace("mac: 52:54:00:12:34:56}", "mac: [52:54:00:aa:bb:11, 52:54:00:aa:bb:12], ADDRESS}")
    hosts = hosts.replace("ADDRESS", "network: {address: 192.0.2.111/24}")
    with running(write_files(tmp_path, settings=f"{SETTINGS}dhcp: {{mode: reservation}}\n", hosts=hosts)) as rack:
        offered = rack.wire.query(vector("two-cards-1-discover-a"))
        rack.wire.send(vector("two-cards-2-discover-b"))
        rack.wire.query(vector("two-cards-3-request-a"))
        file = captured(rack, "w1", 5)

    kinds = [tuple(each) for each in tshark(file, "dhcp", "eth.src", "dhcp.option.dhcp", "dhcp.ip.your")]
    assert offered is not None
    assert kinds == [
        ("52:54:00:aa:bb:11", "1", "0.0.0.0"),
        (OUR_MAC, "2", "192.0.2.111"),
        ("52:54:00:aa:bb:12", "1", "0.0.0.0"),
        ("52:54:00:aa:bb:11", "3", "0.0.0.0"),
        (OUR_MAC, "5", "192.0.2.111"),
    ]
