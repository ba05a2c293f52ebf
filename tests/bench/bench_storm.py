"""A rack that installs at once: 16 `ostree pull` from the running daemon beside nginx, and offers meanwhile.

Run as root: `python tests/bench/bench_storm.py [OBJECTS]`. Two namespaces and a veth pair, removed at the end; netboot
is `python -m netboot serve`. While the pulls run, a client requests an offer a
hundred times a second (beside nginx too, where it gets no reply but costs the same), another reads a loader by TFTP
ten times a second. The pulls are niced: in a rack they run on other machines' processors. Measures and prints a table.
Needs nginx and ostree.
"""

import json
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import bench_dhcp
import bench_http
import bench_tftp

PULLS, ROUNDS, OBJECTS = 16, 3, 500
MACHINES = 64
REQUEST_EVERY_S, READ_EVERY_S = 0.01, 0.1
LOADER, LOADER_BYTES = "snponly.efi", 173_792
AT_MOST_S = 300.0
ADDRESS = "192.0.2.10"
NGINX_PORT = 8085
PORTS = {"nginx": NGINX_PORT, "netboot": 8080}


def probe():
    """Request an offer every hundredth of a second until stdin ends; print p50, p99, the worst, how many were lost."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0\0")
    client.bind(("0.0.0.0", 68))
    requested, sent, took, xid = bench_dhcp.messages(MACHINES), {}, [], 0
    following = time.perf_counter()
    while True:
        ready = select.select([client, sys.stdin], [], [], max(0.0, following - time.perf_counter()))[0]
        if client in ready:
            began = sent.pop(int.from_bytes(client.recv(1500)[4:8], "big"), None)
            if began is not None:
                took.append((time.perf_counter() - began) * 1000)
        if sys.stdin in ready:
            break
        if time.perf_counter() >= following:
            following += REQUEST_EVERY_S
            xid += 1
            data = requested[xid % len(requested)]
            client.sendto(data[:4] + struct.pack("!I", xid) + data[8:], ("255.255.255.255", 67))
            sent[xid] = time.perf_counter()
    lost = sum(time.perf_counter() - began > 1.0 for began in sent.values())
    sys.stdout.write(json.dumps([*spread(took), lost]))


def spread(took):
    """Give p50, p99 and the worst of some milliseconds."""
    took = sorted(took) or [0.0]
    return took[len(took) // 2], took[len(took) * 99 // 100], took[-1]


def read_loaders():
    """Read the loader as firmware does, block by block, again and again until stdin ends; print p50, p99, the worst."""
    bench_tftp.HOST, took = ADDRESS, []
    while not select.select([sys.stdin], [], [], READ_EVERY_S)[0]:
        took += [each * 1000 for each in bench_tftp.read_at_once(69, LOADER, LOADER_BYTES, readers=1, windowsize=1)]
    sys.stdout.write(json.dumps(spread(took)))


@contextmanager
def serving(name, directory):
    """Run one server in its namespace; give its process."""
    inside = ["ip", "netns", "exec", bench_dhcp.SERVER]
    if name == "nginx":
        (directory / "nginx.conf").write_text(bench_http.NGINX.format(directory, ADDRESS, NGINX_PORT))
        command = ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    else:
        settings = bench_dhcp.SETTINGS.replace(
            "content: {directory: content}", "content: {directory: content, deltas: false}"
        )
        (directory / "netboot.yaml").write_text(settings)
        command = [*bench_dhcp.NETBOOT, "serve"]
    with (directory / f"{PORTS[name]}.log").open("ab") as log:
        process = subprocess.Popen([*inside, *command], stderr=log, env=bench_dhcp.environment(directory))
    try:
        for _ in range(150):
            url = f"http://{ADDRESS}:{PORTS[name]}/ostree/ock/config"
            if (
                subprocess.run(
                    ["ip", "netns", "exec", bench_dhcp.CLIENT, "curl", "-fs", "-o", "/dev/null", url]
                ).returncode
                == 0
            ):
                break
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def pulls(name):
    """Pull so many times at once; give the seconds until the last has ended, and how many failed."""
    with tempfile.TemporaryDirectory(dir=bench_http.READERS_PLACE) as target:
        first, *more = (Path(target, f"{n}") for n in range(PULLS))
        bench_http.ostree("init", f"--repo={first}", "--mode=archive")
        bench_http.ostree("config", f"--repo={first}", "set", "core.fsync", "false")
        url = f"http://{ADDRESS}:{PORTS[name]}/ostree/ock"
        bench_http.ostree("remote", "add", f"--repo={first}", "--no-gpg-verify", "ock", url)
        for repo in more:
            shutil.copytree(first, repo)
        inside = ["ip", "netns", "exec", bench_dhcp.CLIENT, "nice", "-n", "19", "ostree", "pull"]
        began = time.perf_counter()
        running = [
            subprocess.Popen([*inside, f"--repo={repo}", "ock", "ock"], stdout=subprocess.DEVNULL)
            for repo in (first, *more)
        ]
        codes = [process.wait(AT_MOST_S) for process in running]
        return time.perf_counter() - began, sum(code != 0 for code in codes)


def probed_during(work, *probes):
    """Do some work while probes run; give its result and what each of them prints."""
    inside = ["ip", "netns", "exec", bench_dhcp.CLIENT, sys.executable, __file__]
    running = [
        subprocess.Popen([*inside, probe], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for probe in probes
    ]
    for prober in running:
        prober.stdout.readline()  # it sends requests now
    result = work()
    return result, [json.loads(prober.communicate(timeout=AT_MOST_S)[0]) for prober in running]


def peak_mb(process):
    """Give the most memory that the daemon has held; `ip netns exec` became it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main(objects):
    """Measure by turns and print."""
    with tempfile.TemporaryDirectory() as made, bench_dhcp.namespaces():
        directory = Path(made)
        bench_dhcp.appliance(directory, MACHINES)
        loader = directory / "boot" / LOADER
        loader.write_bytes(loader.read_bytes().ljust(LOADER_BYTES, b"\0"))
        bench_http.make_content(directory, objects)
        seconds = {name: [] for name in PORTS}
        printed = []
        failed, memory = dict.fromkeys(PORTS, 0), dict.fromkeys(PORTS, 0)
        for _ in range(ROUNDS):
            for name in PORTS:
                probes = PROBES if name == "netboot" else {"--offers": probe}
                with serving(name, directory) as process:
                    (took, lost), figures = probed_during(lambda name=name: pulls(name), *probes)
                    seconds[name].append(took)
                    failed[name] += lost
                    memory[name] = max(memory[name], peak_mb(process))
                    if name == "netboot":
                        printed.append([each for figure in figures for each in figure])
        say(f"{PULLS} pulls at once of {objects} files; milliseconds of an offer, and of a loader by TFTP")
        say(f"{'':12}{'s':>8}{'failed':>8}{'MB':>6}" + f"{'p50':>10}{'p99':>8}{'worst':>8}" * 2 + f"{'lost':>6}")
        for name in PORTS:
            line = f"{name:12}{statistics.median(seconds[name]):8.1f}{failed[name]:8}{memory[name]:6}"
            if name == "netboot":
                *offer, lost, p50, p99, worst = (max(column) for column in zip(*printed, strict=True))
                line += "".join("{:10.1f}{:8.1f}{:8.1f}".format(*each) for each in (offer, (p50, p99, worst)))
                line += f"{lost:6}"
            say(line)


def say(line):
    """Write a line of the table."""
    sys.stdout.write(line + "\n")


PROBES = {"--offers": probe, "--loaders": read_loaders}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PROBES:
        sys.stdout.write("started\n")
        sys.stdout.flush()
        PROBES[sys.argv[1]]()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS)
