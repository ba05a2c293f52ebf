"""`netboot check` inspects the box on which it runs: interfaces, addresses, ports, and what the daemon may read."""

import json
import os
import pwd
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fixtures.files import HOSTS, SETTINGS
from fixtures.rack import Rack, running

pytestmark = pytest.mark.integration


@pytest.fixture
def box(rack_directory: Path) -> Iterator[Rack]:
    """An appliance whose daemon does not run."""
    with running(rack_directory, starts=False) as rack:
        yield rack


def checked(rack: Rack, *, status: int = 1) -> tuple[list[str], list[str]]:
    found = json.loads(rack.netboot("check", "--json", status=status))
    assert found["ok"] == (status == 0)
    return found["problems"], found["warnings"]


def set_to(rack: Rack, settings: str) -> None:
    rack.config.write_text(settings + SETTINGS.partition("\n")[2])


@contextmanager
def held(rack: Rack, kind: int, *addresses: tuple[str, int]) -> Iterator[None]:
    with ExitStack() as stack:
        for address in addresses:
            bound = stack.enter_context(rack.server_socket(socket.AF_INET, kind))
            bound.bind(address)
            if kind == socket.SOCK_STREAM:
                bound.listen()
        yield


def test_a_sound_box_has_no_problem_before_the_start_and_while_the_daemon_runs(box: Rack):
    assert checked(box, status=0) == ([], [])
    box.start()
    assert checked(box, status=0) == ([], [])


def test_an_interface_that_is_not_there_is_a_problem_that_names_those_of_this_box(box: Rack):
    set_to(box, "network: {interfaces: [nosuch0]}\n")

    (problem,), _ = checked(box)

    box.start()
    (while_it_runs,), _ = checked(box)

    assert problem == "network.interfaces[0]: this appliance has no interface nosuch0; it has lo, s0; correct the name"
    assert while_it_runs == problem


def test_addresses_that_are_not_there_are_problems_and_several_a_warning(box: Rack):
    box.ip("addr", "add", "192.0.2.250/24", "dev", "s0")
    set_to(box, "network: {interfaces: [s0]}\nhttp: {listen: [192.0.2.10, 192.0.2.251]}\n")

    (problem,), (warning,) = checked(box)
    set_to(box, "network: {interfaces: [{name: s0, address: 192.0.2.251}]}\n")
    (other,), _ = checked(box)

    assert problem.startswith(
        "http.listen: no interface of this appliance has 192.0.2.251; it has 127.0.0.1, 192.0.2.10,"
    )
    assert "s0 has 192.0.2.10/24, 192.0.2.250/24; machines are answered from 192.0.2.10" in warning
    assert "s0 has no address 192.0.2.251; it has 192.0.2.10/24, 192.0.2.250/24" in other


def test_an_interface_without_an_address_or_that_is_down_is_a_problem(box: Rack):
    box.ip("link", "set", "s0", "down")
    (down,), _ = checked(box)
    box.ip("addr", "flush", "dev", "s0")
    (bare,), _ = checked(box)

    assert down == "network.interfaces[0]: s0 is down; ip link set s0 up"
    assert bare == "network.interfaces[0]: s0 has no IPv4 address; give it one on the boot LAN"


def test_ports_of_other_programs_are_problems_that_name_the_program(box: Rack):
    comm = Path("/proc/self/comm").read_text().strip()
    with (
        held(box, socket.SOCK_DGRAM, ("0.0.0.0", 67), ("0.0.0.0", 69)),
        held(box, socket.SOCK_STREAM, ("0.0.0.0", 8080)),
    ):
        problems, _ = checked(box)

    me = f"{comm} (process {os.getpid()})"
    assert problems == [
        f"tftp.port: UDP port 69 on s0 is in use by {me}; stop it, or give one of the two another port",
        f"dhcp.port: UDP port 67 on s0 is in use by {me}; stop it, or "
        "dhcp.listen: packet answers beside a DHCP server that has the port",
        f"http.port: TCP port 8080 on 192.0.2.10 is in use by {me}; stop it, or give one of the two another port",
    ]


def test_a_tftp_server_that_is_bound_to_our_address_is_found_at_the_start_and_by_check(box: Rack):
    with box.server_socket(socket.AF_INET, socket.SOCK_DGRAM) as dnsmasq:
        dnsmasq.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        dnsmasq.bind(("192.0.2.10", 69))
        before, _ = checked(box)
        box.start()
        while_it_runs, _ = checked(box)
        reported = box.api("/api/v1/status")["problems"]
        logged = [line["reason"] for line in box.lines("udp.port_shadowed")]

    assert len(before) == len(while_it_runs) == len(reported) == len(logged) == 1
    for text in (*before, *while_it_runs, *reported, *logged):
        assert text.startswith("UDP port 69 on 192.0.2.10 belongs to ")
        assert "TFTP requests do not reach netboot" in text


def test_what_a_running_daemon_lacks_is_a_problem(box: Rack):
    with held(box, socket.SOCK_STREAM, ("0.0.0.0", 8080)):
        box.start()
        problems, _ = checked(box)

    assert len(problems) == 1
    assert problems[0].startswith("the running daemon: cannot listen on 192.0.2.10, TCP port 8080: another program has")


def test_hosts_with_an_address_of_this_box_or_beside_the_lan_are_found(box: Rack):
    (box.directory / "hosts.yaml").write_text(
        HOSTS.replace(
            "mac: 52:54:00:aa:bb:01", "mac: 52:54:00:aa:bb:01, network: {address: 192.0.2.10/24, gateway: 192.0.2.1}"
        ).replace(
            "mac: 52:54:00:12:34:56", "mac: 52:54:00:12:34:56, network: {address: 10.7.0.5/24, gateway: 10.7.0.1}"
        )
    )

    (problem,), (warning,) = checked(box)

    assert "hosts.yaml:7:3: hosts.cp1.network.address: 192.0.2.10 is this appliance's own, on s0" in problem
    assert "hosts.yaml:8:3: hosts.w1.network.address: 10.7.0.5 is outside 192.0.2.0/24, the boot LAN" in warning


def test_an_http_address_that_machines_are_not_given_is_a_warning(box: Rack):
    box.ip("addr", "add", "192.0.2.250/32", "dev", "s0")
    set_to(box, "network: {interfaces: [{name: s0, address: 192.0.2.10}]}\nhttp: {listen: [192.0.2.250]}\n")
    _, (warning,) = checked(box, status=0)
    set_to(box, "network: {interfaces: [{name: s0, advertise: 192.0.2.250}]}\nhttp: {listen: [192.0.2.250]}\n")
    _, (other,) = checked(box, status=0)

    assert warning == (
        "http.listen: machines on s0 are sent to 192.0.2.10, which is not listened on; "
        "add it, or set network.interfaces[0].advertise"
    )
    assert "machines are answered from 192.0.2.10" in other


def test_what_hosts_lack_is_named_once_with_the_line_of_the_first(box: Rack):
    (box.directory / "hosts.yaml").write_text(HOSTS.replace("release: ock-1.31-amd64", "release: ock-9"))

    (problem,), _ = checked(box)

    assert f"{box.directory}/hosts.yaml:7:3: hosts.cp1: cannot find release ock-9" in problem
    assert problem.endswith("(also w1)")


def test_the_example_that_nobody_edited_is_found(box: Rack):
    example = (Path(__file__).parents[2] / "assets" / "examples" / "hosts.yaml").read_text()
    (box.directory / "hosts.yaml").write_text(example.replace("192.0.2", "198.51.100"))

    _, warnings = checked(box, status=0)

    assert any("hosts.cp1.ssh_keys: this is the key of the example" in warning for warning in warnings)
    assert any("hosts.cp1.network.gateway: 198.51.100.1 is an address for examples" in warning for warning in warnings)


def test_the_macs_of_the_example_are_found_where_the_lan_is_no_trial(box: Rack):
    example = (Path(__file__).parents[2] / "assets" / "examples" / "hosts.yaml").read_text()
    (box.directory / "hosts.yaml").write_text(example.replace("52:54:00:aa:bb:12", "3c:fd:fe:00:00:12"))
    box.ip("addr", "flush", "dev", "s0")
    box.ip("addr", "add", "10.7.0.10/24", "dev", "s0")

    _, warnings = checked(box, status=0)

    assert [warning.partition(": hosts.")[2] for warning in warnings if ".mac: " in warning] == [
        "cp1.mac: 52:54:00:aa:bb:01 is a MAC of the example; write the one of the machine's card",
        "worker1.mac: 52:54:00:aa:bb:11 is a MAC of the example; write the one of the machine's card",
    ]


def test_disks_that_are_named_by_the_order_in_which_they_are_found_are_a_warning(box: Rack):
    hosts = HOSTS.replace("disk: /dev/vda", "disk: /dev/nvme0n1")
    (box.directory / "hosts.yaml").write_text(hosts)

    _, (warning,) = checked(box, status=0)
    (box.directory / "hosts.yaml").write_text(
        hosts.replace("/dev/nvme0n1", "/dev/disk/by-path/pci-0000:03:00.0-nvme-1")
    )

    assert "hosts.yaml:7:3: hosts.cp1.disk: /dev/nvme0n1 can name another disk at the next boot" in warning
    assert warning.endswith("below /dev/disk/by-path or /dev/disk/by-id (also w1)")
    assert checked(box, status=0) == ([], [])


def test_the_file_of_another_role_is_a_fault(box: Rack):
    (box.directory / "ign" / "worker-join.ign").write_bytes((box.directory / "ign/controlplane-join.ign").read_bytes())

    [fault] = json.loads(box.netboot("check", "--json", status=2))["faults"]

    assert fault["where"] == "roles.worker.ignition.join"
    assert fault["what"] == f"{box.directory}/ign/worker-join.ign joins a control-plane, and w1 is a worker"


def test_faults_and_problems_of_hosts_without_a_fault_are_reported_together(box: Rack):
    (box.directory / "hosts.yaml").write_text(HOSTS + "  w7: {role: wroker, mac: 52:54:00:aa:bb:17}\n")
    set_to(box, "network: {interfaces: [nosuch0]}\n")

    found = json.loads(box.netboot("check", "--json", status=2))
    box.start()
    set_to(box, "network: {interfaces: [s0]}\n")
    again = json.loads(box.netboot("check", "--json", status=2))

    assert [problem for problem in again["problems"] if "wroker" in problem] == []
    assert ([fault["where"] for fault in found["faults"]], len(found["problems"])) == (["hosts.w7.role"], 1)


@pytest.fixture
def unit(box: Rack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed unit of this appliance that runs as `nobody`."""
    shipped = (Path(__file__).parents[2] / "systemd" / "netboot.service").read_text()
    path = box.directory / "units" / "netboot.service"
    path.parent.mkdir()
    path.write_text(
        shipped.replace("User=netboot", "User=nobody").replace("netboot serve", f"netboot --config {box.config} serve")
    )
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(path.parent))
    return path


def test_what_the_user_and_the_unit_of_the_daemon_do_not_allow_is_found(box: Rack, unit: Path):
    for directory in (box.directory, *list(box.directory.parents)[:-2]):
        directory.chmod(0o755)
    for directory in ("content", "."):
        os.chown(box.directory / directory, pwd.getpwnam("nobody").pw_uid, -1)
    (box.directory / "ign" / "worker-join.ign").chmod(0o600)

    problems, _ = checked(box)
    drop_in = unit.with_name("netboot.service.d") / "50.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nReadWritePaths={box.directory}\n")
    (problem,), _ = checked(box)

    assert [text for text in problems if "ProtectSystem=strict" in text and f"ReadWritePaths={box.directory}" in text]
    assert problem == (
        f"{box.directory}/ign/worker-join.ign: nobody, the daemon's user, may not read it (an Ignition file); "
        f"chgrp nobody {box.directory}/ign/worker-join.ign && chmod g+r {box.directory}/ign/worker-join.ign"
    )


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        pytest.param(lambda path: path.write_bytes(b"damaged " * 1000), "file is not a database", id="damaged"),
        pytest.param(lambda path: path.mkdir(), "is not a file; move it away", id="directory"),
    ],
)
def test_a_store_on_which_the_daemon_cannot_start_is_a_problem(box: Rack, prepare: Callable[[Path], object], said: str):
    prepare(box.directory / "netboot.db")

    (problem,), _ = checked(box)

    assert problem.startswith("store.url: the daemon cannot start: ")
    assert said in problem


def test_a_store_that_a_newer_program_wrote_is_a_problem(box: Rack):
    box.netboot("install", "arm", "cp1")
    assert checked(box, status=0) == ([], [])
    with sqlite3.connect(box.directory / "netboot.db") as store:
        store.execute("INSERT INTO schema_version VALUES (99)")

    (problem,), _ = checked(box)

    assert "version 99" in problem


def test_a_postgresql_that_does_not_run_is_a_problem_and_check_makes_no_store(box: Rack):
    checked(box, status=0)
    assert not (box.directory / "netboot.db").exists()
    url = "postgresql+asyncpg://netboot@/netboot?host=/nosuch"
    box.config.write_text(SETTINGS.replace("sqlite+aiosqlite:///netboot.db", f'"{url}"'))

    (problem,), _ = checked(box)

    assert problem.startswith("store.url: the daemon cannot start: ")


def test_a_password_that_only_the_unit_has_leaves_the_store_unchecked(box: Rack):
    url = "postgresql+asyncpg://netboot@/netboot?host=/nosuch"
    store = f'{{url: "{url}", password_file: "credential:store-password"}}'
    box.config.write_text(SETTINGS.replace("{url: sqlite+aiosqlite:///netboot.db}", store))

    found = json.loads(box.netboot("check", "--json"))

    assert found["problems"] == []
    assert [note for note in found["notes"] if note.startswith("not checked: the store")] == [
        "not checked: the store: no password, /run/credentials/netboot.service/store-password; systemd keeps "
        "credentials only while netboot.service runs: start it, or name the directory that has a file store-password: "
        "CREDENTIALS_DIRECTORY=/etc/netboot/credentials netboot …"
    ]


def test_a_store_that_is_unusable_after_the_next_restart_is_a_problem_while_the_daemon_runs(box: Rack):
    box.start()
    url = "postgresql+asyncpg://u:secret@127.0.0.1:1/netboot"
    box.config.write_text(SETTINGS.replace("sqlite+aiosqlite:///netboot.db", url))

    [problem], _notes = checked(box)

    assert problem.startswith("store.url: the daemon cannot start: ")
    assert "secret" not in problem
    assert "in force after systemctl restart netboot: store" in box.netboot("reload")


def test_a_control_socket_that_cannot_be_made_is_a_problem(box: Rack):
    (box.directory / "file.sock").write_text("")
    box.config.write_text(SETTINGS.replace("control.sock", "file.sock"))
    assert checked(box)[0] == [
        f"admin.socket: {box.directory}/file.sock is not a socket; remove it, or choose another path"
    ]
    box.config.write_text(SETTINGS.replace("control.sock", "x" * 108))

    (problem,), _ = checked(box)

    assert "a Unix socket's path has at most 107; choose a shorter path" in problem


def test_a_faulty_template_names_the_unregistered_machine_and_no_mac_of_check(box: Rack):
    (box.directory / "tpl" / "ipxe").mkdir(parents=True)
    (box.directory / "tpl" / "ipxe" / "wait.ipxe.j2").write_text("#!ipxe\n{{ nosuch }}\n")
    box.config.write_text(SETTINGS + "render: {templates: [tpl]}\n")

    problems, _ = checked(box)

    assert problems[0].startswith("cannot render ipxe for an unregistered machine: template ipxe/wait.ipxe.j2:2 ")
    assert not [problem for problem in problems if "00:00:5e" in problem]
