"""Lease exchanges per second (DISCOVER, OFFER, REQUEST, ACK) beside dnsmasq and Kea, each alone on one core, by turns.

Run as root: `python tests/bench/bench_leases.py [RATE…]`. The client is perfdhcp (Debian's kea-admin) on the other
core. It plays a relay on the servers' own LAN, so that no server probes an address before it offers it. Each exchange
is another machine's, and each server has a reservation for each machine. Two namespaces and a veth pair, removed at the
end. Measures and prints a table.
"""

# ruff: noqa: T201
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import bench_dhcp
from bench_dhcp import CLIENT, NETBOOT, SERVER

RATES = (300, 1000)
SECONDS = 10
FIRST_MAC = 0x525400000000
MACHINES = 12_000
NETWORK = IPv4Network("10.64.0.0/16")
ADDRESS, RELAY = "10.64.0.1", "10.64.255.1"
STARTED_WITHIN_S = 120.0  # with 12,000 hosts; 10 s on an idle computer
SETTINGS = f"""\
network: {{interfaces: [s0]}}
dhcp: {{mode: reservation, router: {ADDRESS}}}
admin: {{socket: control.sock, listen: 127.0.0.1:8470}}
bootfiles: {{directories: [boot]}}
content: {{directory: content}}
store: {{url: sqlite+aiosqlite:///netboot.db}}
records: {{directory: records}}
hosts: {{files: [hosts.yaml]}}
log: {{level: info, format: json}}
"""
DNSMASQ = [
    *("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=s0", "--bind-interfaces"),
    *(f"--dhcp-range={NETWORK[0]},static,{NETWORK.netmask},1h", "--dhcp-lease-max=100000", "--dhcp-authoritative"),
    "--no-ping",
    *("--user=root", "--pid-file=", "--log-facility=-", "--quiet-dhcp"),
]


def machines() -> Iterator[tuple[str, str]]:
    """Give MAC and address of each machine; perfdhcp counts up from the first."""
    for number in range(MACHINES):
        yield (FIRST_MAC + number).to_bytes(6, "big").hex(":"), str(NETWORK[256 + number])


def kea_settings(directory: Path) -> dict[str, object]:
    reservations = [{"hw-address": mac, "ip-address": address} for mac, address in machines()]
    return {
        "Dhcp4": {
            "interfaces-config": {"interfaces": ["s0"], "dhcp-socket-type": "raw"},
            "lease-database": {"type": "memfile", "persist": True, "name": str(directory / "kea.leases")},
            "valid-lifetime": 3600,
            "subnet4": [{"subnet": str(NETWORK), "reservations": reservations}],
            "loggers": [{"name": "kea-dhcp4", "severity": "WARN"}],
        }
    }


def command_of(server: str, directory: Path) -> list[str]:
    """Write what a server reads, and give its command line."""
    match server:
        case "netboot":
            (directory / "netboot.yaml").write_text(SETTINGS)
            hosts = [
                f"  w{number}: {{role: worker, mac: '{mac}', network: {{address: {address}/16}}}}\n"
                for number, (mac, address) in enumerate(machines())
            ]
            (directory / "hosts.yaml").write_text("hosts:\n" + "".join(hosts))
            for name in ("boot", "content"):
                (directory / name).mkdir()
            return [*NETBOOT, "serve"]
        case "dnsmasq":
            (directory / "machines").write_text("".join(f"{mac},{address}\n" for mac, address in machines()))
            return [*DNSMASQ, f"--dhcp-hostsfile={directory}/machines", f"--dhcp-leasefile={directory}/dnsmasq.leases"]
        case _:
            (directory / "kea.json").write_text(json.dumps(kea_settings(directory)))
            return ["kea-dhcp4", "-c", str(directory / "kea.json")]


@contextmanager
def serving(server: str, directory: Path) -> Iterator[int]:
    """Run one server on the first core; give its process id once it leases."""
    pinned = ["ip", "netns", "exec", SERVER, "taskset", "-c", "0", *command_of(server, directory)]
    kea = {"KEA_PIDFILE_DIR": str(directory), "KEA_LOCKFILE_DIR": str(directory)}
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen(pinned, stdout=log, stderr=log, env=bench_dhcp.environment(directory) | kea)
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while "exchanges/second" not in exchanged(rate=1, seconds=1):
            if time.monotonic() > deadline:
                raise TimeoutError((directory / "server.log").read_text())
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def exchanged(*, rate: int, seconds: int) -> str:
    """Give what perfdhcp reports; nothing if no exchange was completed."""
    command = [
        *("perfdhcp", "-4", "-l", RELAY, "-r", str(rate), "-p", str(seconds), "-W", "1000000", "-R", str(MACHINES)),
        *("-b", f"mac={FIRST_MAC.to_bytes(6, 'big').hex(':')}", "-g", "single", ADDRESS),
    ]
    core = str((os.cpu_count() or 1) - 1)
    ran = subprocess.run(
        ["ip", "netns", "exec", CLIENT, "taskset", "-c", core, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 60,
    )
    received = re.findall(r"received packets: (\d+)", ran.stdout)
    return ran.stdout if len(received) == 2 and int(received[1]) else ""


def measure(server: str, rate: int) -> None:
    with tempfile.TemporaryDirectory() as made, serving(server, Path(made)) as pid:
        before_ns = bench_dhcp.cpu_ns(pid)
        printed = exchanged(rate=rate, seconds=SECONDS)
        cpu_ns = bench_dhcp.cpu_ns(pid) - before_ns
    sent = sum(int(count) for count in re.findall(r"sent packets: (\d+)", printed))
    dropped = sum(int(count) for count in re.findall(r"drops: (\d+)", printed))
    completed = int(re.findall(r"received packets: (\d+)", printed)[1])
    delays = re.findall(r"avg delay: ([\d.]+) ms", printed)
    print(
        f"| {rate} | {server} | {completed / SECONDS:.0f} | {100 * dropped / sent:.1f} % | "
        f"{' + '.join(f'{float(delay):.1f}' for delay in delays)} | {cpu_ns / completed / 1000:.0f} |",
        flush=True,
    )


def main() -> None:
    rates = [int(each) for each in sys.argv[1:]] or RATES
    print("| wanted/s | server | exchanges/s | dropped | mean delay ms: offer + ACK | CPU µs per exchange |")
    print("|---|---|---|---|---|---|")
    with bench_dhcp.namespaces():
        bench_dhcp.ip(SERVER, "addr", "add", f"{ADDRESS}/16", "dev", "s0")
        bench_dhcp.ip(SERVER, "addr", "del", "192.0.2.10/24", "dev", "s0")
        bench_dhcp.ip(CLIENT, "addr", "add", f"{RELAY}/16", "dev", "c0")
        for rate in rates:
            for server in ("dnsmasq", "kea", "netboot"):
                measure(server, rate)


if __name__ == "__main__":
    main()
