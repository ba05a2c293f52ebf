"""A rack that installs at once: 16 `ostree pull` from the running daemon beside nginx, and offers meanwhile.

Run as root: `python tests/bench/bench_storm.py [OBJECTS]`. Two namespaces and a veth pair, removed at the end; netboot
is `python -m netboot serve`, alone and with two content workers. While the pulls run, a client asks for an offer a
hundred times a second (beside nginx too, where nobody answers it: it costs the same). The pulls are niced: in a rack
they run on other machines' processors. Measures and prints a table, judges nothing. Needs nginx and ostree.
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

PULLS, ROUNDS, OBJECTS = 16, 3, 500
ASK_EVERY_S = 0.01
AT_MOST_S = 300.0
ADDRESS = "192.0.2.10"
NGINX_PORT = 8085
CONTENT = {
    "netboot": "{directory: content, deltas: false}",
    "2 workers": "{directory: content, deltas: false, workers: 2}",
}
PORTS = {"nginx": NGINX_PORT, "netboot": 8080, "2 workers": 8081}


def probe():
    """Ask for an offer every hundredth of a second until stdin ends; print p50, p99, the worst, how many were lost."""
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"c0\0")
    client.bind(("0.0.0.0", 68))
    asked, sent, took, xid = bench_dhcp.questions(), {}, [], 0
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
            following += ASK_EVERY_S
            xid += 1
            data = asked[xid % len(asked)]
            client.sendto(data[:4] + struct.pack("!I", xid) + data[8:], ("255.255.255.255", 67))
            sent[xid] = time.perf_counter()
    lost = sum(time.perf_counter() - began > 1.0 for began in sent.values())
    took.sort()
    figures = [took[len(took) // 2], took[len(took) * 99 // 100], took[-1]] if took else [0.0, 0.0, 0.0]
    sys.stdout.write(json.dumps([*figures, lost]))


@contextmanager
def serving(name, directory):
    """Run one server in its namespace; give its process."""
    inside = ["ip", "netns", "exec", bench_dhcp.SERVER]
    if name == "nginx":
        (directory / "nginx.conf").write_text(bench_http.NGINX.format(directory, ADDRESS, NGINX_PORT))
        command = ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    else:
        settings = bench_dhcp.SETTINGS.replace("{directories: [content]}", "").replace(
            "content: {directory: content}", f"content: {CONTENT[name]}"
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


def offers_during(work):
    """Do some work while offers are asked for; give its result and what the prober says."""
    command = ["ip", "netns", "exec", bench_dhcp.CLIENT, sys.executable, __file__, "--probe"]
    prober = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(1.0)  # it is asking now
    result = work()
    told, _ = prober.communicate(timeout=AT_MOST_S)
    return result, json.loads(told)


def peak_mb(process):
    """Give the most memory that the daemon has held; `ip netns exec` became it."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main(objects):
    """Measure by turns and print."""
    with tempfile.TemporaryDirectory() as made, bench_dhcp.namespaces():
        directory = Path(made)
        bench_dhcp.appliance(directory)
        bench_http.make_content(directory, objects)
        seconds = {name: [] for name in PORTS}
        offers = {name: [] for name in CONTENT}
        failed, memory = dict.fromkeys(PORTS, 0), dict.fromkeys(PORTS, 0)
        for _ in range(ROUNDS):
            for name in PORTS:
                with serving(name, directory) as process:
                    (took, lost), told = offers_during(lambda name=name: pulls(name))
                    if name in offers:
                        offers[name].append(told)
                    seconds[name].append(took)
                    failed[name] += lost
                    memory[name] = max(memory[name], peak_mb(process))
        sys.stdout.write(f"{PULLS} pulls at once of {objects} objects\n")
        sys.stdout.write(f"{'':12}{'s':>8}{'failed':>8}{'MB':>6}{'offer p50':>12}{'p99':>9}{'worst':>9}{'lost':>6}\n")
        for name in PORTS:
            sys.stdout.write(f"{name:12}{statistics.median(seconds[name]):8.1f}{failed[name]:8}{memory[name]:6}")
            if name in offers:
                p50, p99, worst, lost = (max(column) for column in zip(*offers[name], strict=True))
                sys.stdout.write(f"{p50:9.1f} ms{p99:6.1f} ms{worst:6.1f} ms{lost:6}")
            sys.stdout.write("\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["--probe"]:
        probe()
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else OBJECTS)
