"""The duration of checking and rendering every document of 1,000 hosts: each form of network, role and disk.

Run as root: `python tests/bench/bench_render.py`. Whole processes, wall clock and CPU, the median of three, in a
temporary directory. The target is 10 s of CPU time for `netboot check` and for `netboot plan` each, which is the wall
clock of an idle computer, because both use one core; exit code 1 if it is missed.
"""

# ruff: noqa: T201
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOSTS = 1000
ROUNDS = 3
TARGET_S = 10.0
NETBOOT = str(Path(sys.executable).with_name("netboot"))
EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples" / "ign"
SETTINGS = """\
network: {interfaces: [lo]}
dhcp: {port: 10067, pxe_port: 14011}
tftp: {port: 10069}
http: {port: 18080, listen: [127.0.0.1]}
admin: {socket: control.sock, listen: 127.0.0.1:18470}
content: {directory: content}
bootfiles: {directories: [boot]}
store: {url: sqlite+aiosqlite:///netboot.db}
records: {directory: records}
hosts: {files: [hosts.yaml]}
"""
DEFAULTS = """\
cluster: {init: h0}
defaults:
  boot_media: ol8
  release: ock
  ntp: [10.0.0.1]
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKE operator@example]
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
"""
NETWORKS = (
    "{{}}",
    "{{address: {address}/16, gateway: 10.0.0.1, nameservers: [10.0.0.1], interface: enp1s0}}",
    "{{address: {address}/16, gateway: 10.0.0.1, address6: '2001:db8::{number:x}/64', gateway6: fe80::1}}",
    "{{address: {address}/16, gateway: 10.0.0.1, bond: {{mode: active-backup, options: {{miimon: 100}}}}, mtu: 9000}}",
    "{{address: {address}/16, gateway: 10.0.0.1, vlan: 7, interface: enp1s0, search: [rack.example.org]}}",
)
DISKS = (
    "/dev/disk/by-path/pci-0000:00:1f.2-ata-1",
    "{{serial: S{number:08}}}",
    "{{min_size: 100GB, choose: smallest}}",
)


def rack(directory: Path) -> Path:
    """Write the configuration, its content and its Ignition files; return its path."""
    shutil.copytree(EXAMPLES, directory / "ign")
    medium, release = directory / "content" / "media" / "ol8", directory / "content" / "ostree" / "ock"
    (medium / "images").mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img", "images/install.img"):
        (medium / name).write_bytes(name.encode())
    (directory / "tree" / "usr").mkdir(parents=True)
    release.mkdir(parents=True)
    for arguments in (("init", "--mode=archive"), ("commit", "--branch=ock", f"--tree=dir={directory}/tree")):
        subprocess.run(["ostree", f"--repo={release}", *arguments], check=True, capture_output=True)
    (directory / "boot").mkdir()
    header = b"MZ" + bytes(0x3A) + (0x40).to_bytes(4, "little") + b"PE\0\0" + (0x8664).to_bytes(2, "little")
    (directory / "boot" / "snponly.efi").write_bytes(header + bytes(64))
    (directory / "hosts.yaml").write_text(DEFAULTS + "".join(map(host, range(HOSTS))))
    (directory / "netboot.yaml").write_text(SETTINGS)
    return directory / "netboot.yaml"


def host(number: int) -> str:
    is_plain = number % len(NETWORKS) < 3  # keepalived of the example names the card enp1s0
    role = "control-plane" if is_plain and number % 2 == 0 else "worker"
    macs = ", ".join(f"'52:54:{card:02x}:00:{number >> 8:02x}:{number & 255:02x}'" for card in range(2))
    values = {"address": f"10.0.{1 + number // 250}.{1 + number % 250}", "number": number + 16}
    network, disk = NETWORKS[number % len(NETWORKS)].format(**values), DISKS[number % len(DISKS)].format(**values)
    return f"  h{number}: {{role: {role}, mac: [{macs}], disk: {disk}, network: {network}}}\n"


def timed(settings: Path, *arguments: str) -> tuple[float, float, str]:
    """Run a command; give wall-clock and CPU seconds, the median of some runs, and what it printed."""
    seconds, printed = [], ""
    for _ in range(ROUNDS):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [NETBOOT, "--config", str(settings), *arguments, "--json"]
        printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append((took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    wall, cpu = zip(*seconds, strict=True)
    return statistics.median(wall), statistics.median(cpu), printed


def main() -> int:
    with tempfile.TemporaryDirectory() as made:
        settings = rack(Path(made))
        check_s, check_cpu_s, checked = timed(settings, "check")
        plan_s, plan_cpu_s, planned = timed(settings, "plan")
    plans = json.loads(planned)
    unrendered = [
        name for name, plan in plans.items() if "# cannot" in plan["kickstart"] or "error" in plan["ignition"]
    ]
    faults = json.loads(checked)["faults"]
    if len(plans) != HOSTS or unrendered or faults:
        print(f"{len(plans)} hosts planned, {len(unrendered)} of them not rendered, faults: {faults[:3]}")
        return 1
    print("| command | seconds | CPU seconds |\n|---|---|---|")
    print(f"| `netboot check`, {HOSTS} hosts | {check_s:.2f} | {check_cpu_s:.2f} |")
    print(f"| `netboot plan`, {HOSTS} hosts | {plan_s:.2f} | {plan_cpu_s:.2f} |")
    return int(max(check_cpu_s, plan_cpu_s) > TARGET_S)


if __name__ == "__main__":
    raise SystemExit(main())
