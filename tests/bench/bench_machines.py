"""500 machines that boot at once, and 32 that pull a release, from netboot and from dnsmasq with nginx, in turns.

Run as root: `python tests/bench/bench_machines.py [MACHINES [ROUNDS]]`. Two namespaces and a veth pair, removed at the
end. Every server runs on the first core, the machines on the last (machines_at_once.py). Each machine has a MAC and an
address of its own; for netboot it is a registered and armed host with tokens of its own. dnsmasq and nginx serve the
same documents as files. `netboot` has its default settings; `netboot, 512 streams` has http.max_streams 512.
Needs dnsmasq, nginx and ostree.
"""

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import bench_dhcp
import bench_http
import machines_at_once
import structlog

sys.path.append(str(Path(__file__).parents[1]))
from fixtures.role_files import copy_role_files

MACHINES, ROUNDS = 500, 3
WITHIN_S = 1.0  # in which the machines are switched on: a rack's power-on is not one instant
PULLING, OBJECTS = 32, 2000
MIB = 1 << 20
LOADER_BYTES, KERNEL_BYTES, INITRD_BYTES, STAGE2_BYTES = MIB, 12 * MIB, 24 * MIB, MIB
SERVER, MEDIUM, RELEASE = "198.18.0.1", "ol8u10-x86_64", "ock"
CLIENT = Path(__file__).with_name("machines_at_once.py")
COLUMNS = (
    *("server", "total s", "x", "CPU ms per machine", "x", "client's CPU s", "failed", "waits"),
    *("slowest : fastest", "RSS MB"),
)
STEPS = ("offer", "loader", "script", "kernel", "initrd", "kickstart", "ignition", "ready")
SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
bootfiles: {directories: [boot]}
content: {directory: content, deltas: false}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml]}
log: {level: info, format: json}
"""
HOSTS = """\
cluster: {name: bench, init: m0000}
defaults: {boot_media: ol8u10-x86_64, release: ock, disk: /dev/vda}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
"""
NGINX = """
daemon off; master_process off; pid {0}/nginx.pid; error_log {0}/nginx.log; worker_rlimit_nofile 16384;
events {{ worker_connections 4096; }}
http {{
  sendfile on; tcp_nopush on; keepalive_requests 1000000000; access_log off; default_type application/octet-stream;
  client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u;
  scgi_temp_path {0}/s;
  server {{
    listen {1}:8080 backlog=1024;
    root {0}/static;
    rewrite ^/ign/([0-9a-f]+)$ /ign/$1/wrapper last;
    location /content/ {{ alias {0}/content/media/; }}
    location /ostree/ {{ alias {0}/content/ostree/; }}
    location /report/ {{ return 204; }}
  }}
}}
"""
DNSMASQ = [
    *("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=s0", "--bind-interfaces"),
    *("--dhcp-range=198.18.0.0,proxy,255.255.0.0", "--pxe-service=x86-64_EFI,boot,snponly.efi"),
    *("--pxe-service=7,boot,snponly.efi", "--enable-tftp", "--tftp-max=1000", "--user=root"),
    *("--dhcp-leasefile=/dev/null", "--pid-file=", "--log-facility=-", "--quiet-dhcp", "--quiet-tftp"),
]
NETBOOTS = {"netboot": "", "netboot, 512 streams": "http: {max_streams: 512}\n"}
PEERS = "dnsmasq + nginx"
NAMES = (PEERS, *NETBOOTS)


def name_of(number):
    return f"m{number:04x}"


def make_appliance(directory, machines):
    """Write a rack of hosts with content of a real size, and arm them."""
    (directory / "netboot.yaml").write_text(SETTINGS)
    hosts = "".join(
        f"  {name_of(each)}: {{role: {'worker' if each else 'control-plane'}, "
        f"mac: '{machines_at_once.mac_of(each).hex(':')}'}}\n"
        for each in range(machines)
    )
    (directory / "hosts.yaml").write_text(HOSTS + hosts)
    copy_role_files(directory / "ign")
    (directory / "boot").mkdir()
    pe_for_x64 = b"MZ" + bytes(0x3A) + b"\x40\0\0\0PE\0\0\x64\x86"
    (directory / "boot" / "snponly.efi").write_bytes(pe_for_x64 + os.urandom(LOADER_BYTES - len(pe_for_x64)))
    bench_http.make_content(directory, OBJECTS)
    shutil.rmtree(directory / "tree")
    medium = directory / "content" / "media" / MEDIUM
    (medium / "images").mkdir(parents=True)
    sizes = {"vmlinuz": KERNEL_BYTES, "initrd.img": INITRD_BYTES, "images/install.img": STAGE2_BYTES}
    for name, size in sizes.items():
        (medium / name).write_bytes(os.urandom(size))
    asyncio.run(arm(directory / "netboot.yaml", machines))
    shutil.copy(directory / bench_dhcp.STORE, directory / bench_dhcp.ARMED_STORE)


async def arm(settings, machines):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with bench_dhcp.offline_administration(bench_dhcp.load_configuration(settings)) as administration:
        names = list(map(name_of, range(machines)))
        await administration.arm(bench_dhcp.ArmRequest(names, reason="bench", force=True))


def write_static(directory, recorded, machines):
    """Write for nginx what netboot rendered for one machine, for each machine with a token of its own."""
    static = directory / "static"
    for area in ("boot", "ks", "ign"):
        (static / area).mkdir(parents=True)
    for number in range(machines):
        token = f"{number:032x}"
        text = {each.name: re.sub(rb"[0-9a-f]{32}", token.encode(), each.read_bytes()) for each in recorded.iterdir()}
        (static / "boot" / f"{machines_at_once.mac_of(number).hex('-')}.ipxe").write_bytes(text["script"])
        (static / "ks" / token).write_bytes(text["kickstart"])
        (static / "ign" / token).mkdir()
        for name, part in (("ignition", "wrapper"), ("ignition-role", "role"), ("ignition-overlay", "overlay")):
            (static / "ign" / token / part).write_bytes(text[name])


def add_addresses(machines):
    """Give the client's interface an address for each machine."""
    bench_dhcp.ip(bench_dhcp.SERVER, "addr", "add", f"{SERVER}/16", "dev", "s0")
    lines = "".join(f"addr add {machines_at_once.address_of(each)}/16 dev c0\n" for each in range(machines))
    subprocess.run(["ip", "-n", bench_dhcp.CLIENT, "-batch", "-"], input=lines, text=True, check=True)


@contextmanager
def serving(name, directory):
    """Run a server, or both, on the first core with a store of armed hosts; give the processes once they answer."""
    bench_dhcp.restore_store(directory)
    inside = ["ip", "netns", "exec", bench_dhcp.SERVER, "taskset", "-c", "0"]
    if name == PEERS:
        (directory / "nginx.conf").write_text(NGINX.format(directory, SERVER))
        nginx = ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
        commands = [[*DNSMASQ, f"--tftp-root={directory / 'boot'}"], nginx]
    else:
        (directory / "netboot.yaml").write_text(SETTINGS + NETBOOTS[name])
        commands = [[*bench_dhcp.NETBOOT, "serve"]]
    with ExitStack() as stack, (directory / f"{name}.log").open("ab") as log:
        processes = []
        for command in commands:
            process = subprocess.Popen([*inside, *command], stderr=log, env=bench_dhcp.environment(directory))
            stack.callback(end, process)
            processes.append(process)
        await_http()
        yield processes


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_http():
    url = f"http://{SERVER}:8080/ostree/{RELEASE}/config"
    curl = ["ip", "netns", "exec", bench_dhcp.CLIENT, "curl", "-fs", "-m", "2", "-o", "/dev/null", url]
    for _ in range(300):
        if subprocess.run(curl).returncode == 0:
            time.sleep(1.0)
            return
        time.sleep(0.2)
    raise TimeoutError("no server answers")


def at_once(*arguments):
    """Run the machines on the last core; return what they measured."""
    core = str((os.cpu_count() or 1) - 1)
    command = ["ip", "netns", "exec", bench_dhcp.CLIENT, "taskset", "-c", core, sys.executable, str(CLIENT)]
    ran = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, check=True)
    return json.loads(ran.stdout)


def measured(processes, *arguments):
    """Run the machines; add what the servers used."""
    before = [bench_http.cpu_s(each) for each in processes]
    found = at_once(*arguments)
    time.sleep(1.5)  # what is stored after the replies
    used = [bench_http.cpu_s(each) - each_before for each, each_before in zip(processes, before, strict=True)]
    return found | {"server_cpu_s": sum(used), "peak_mb": sum(map(bench_http.peak_mb, processes))}


def paths_of_release(directory):
    repository = directory / "content" / "ostree" / RELEASE
    found = [each for each in (repository / "objects").rglob("*") if each.is_file()]
    return [f"/ostree/{RELEASE}/{each.relative_to(repository)}" for each in sorted(found)]


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_table(title, runs, count):
    """Print the medians of each server's rounds, and the ratios within rounds to the peers."""
    say(f"\n{title}\n")
    say("| " + " | ".join(COLUMNS) + " |")
    say("|---" * len(COLUMNS) + "|")
    for name, rounds in runs.items():
        row = [statistics.median(each["total_s"] for each in rounds)]
        row.append(statistics.median(ratios(rounds, runs[PEERS], "total_s")))
        row.append(statistics.median(each["server_cpu_s"] for each in rounds) / count * 1000)
        row.append(statistics.median(ratios(rounds, runs[PEERS], "server_cpu_s")))
        row.append(statistics.median(each["client_cpu_s"] for each in rounds))
        figures = "{:.2f} | {:.2f} | {:.1f} | {:.2f} | {:.2f}".format(*row)
        failed = sum(len(each["failures"]) for each in rounds)
        waits = sum(each["waits"] for each in rounds)
        fairness = max(max(each["boots_s"]) / min(each["boots_s"]) for each in rounds if each["boots_s"])
        say(f"| {name} | {figures} | {failed} | {waits} | {fairness:.2f} | {max(each['peak_mb'] for each in rounds)} |")
    for name, rounds in runs.items():
        for sentence in sorted({each for found in rounds for each in found["failures"]}):
            say(f"{name}: {sentence}")


def ratios(rounds, peers, key):
    return [each[key] / peer[key] for each, peer in zip(rounds, peers, strict=True)]


def print_steps(runs):
    """Print when the machines of the last round reached each step."""
    say("\n| reached after s: median, last | " + " | ".join(STEPS) + " |")
    say("|---" * (len(STEPS) + 1) + "|")
    for name, rounds in runs.items():
        reached = rounds[-1]["steps"]
        cells = (sorted(each[step] for each in reached) for step in STEPS)
        say(f"| {name} | " + " | ".join(f"{each[len(each) // 2]:.2f}, {each[-1]:.2f}" for each in cells) + " |")


def main(machines, rounds):
    boots, pulls = ({name: [] for name in NAMES} for _ in range(2))
    with tempfile.TemporaryDirectory() as made, bench_dhcp.namespaces():
        directory = Path(made)
        directory.chmod(0o755)
        make_appliance(directory, machines)
        bench_dhcp.ip(bench_dhcp.SERVER, "addr", "flush", "dev", "s0")
        bench_dhcp.ip(bench_dhcp.CLIENT, "addr", "flush", "dev", "c0")
        add_addresses(machines)
        recorded = directory / "recorded"
        recorded.mkdir()
        with serving("netboot", directory):
            warm = at_once("boot", SERVER, 1, 0.0, recorded)
        if warm["failures"]:
            raise RuntimeError(warm["failures"])
        write_static(directory, recorded, machines)
        (directory / "paths").write_text("\n".join(paths := paths_of_release(directory)))
        for _ in range(rounds):
            for name in NAMES:
                with serving(name, directory) as processes:
                    boots[name].append(measured(processes, "boot", SERVER, machines, WITHIN_S))
                    pulls[name].append(measured(processes, "pull", SERVER, PULLING, directory / "paths"))
        sizes = (LOADER_BYTES, KERNEL_BYTES, INITRD_BYTES)
        title = f"{machines} machines: loader, kernel, initrd of {', '.join(str(each // MIB) for each in sizes)} MiB"
        print_table(title, boots, machines)
        print_steps({name: found for name, found in boots.items() if all(each["steps"] for each in found)})
        print_table(f"{PULLING} pulls of {len(paths)} objects", pulls, PULLING)


if __name__ == "__main__":
    chosen = [int(each) for each in sys.argv[1:3]]
    main(*chosen, *(MACHINES, ROUNDS)[len(chosen) :])
