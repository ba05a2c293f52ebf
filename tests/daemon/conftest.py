"""A rack with a running daemon, its files and its content; and one for a whole module, whose daemon is never reset."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.rack import Rack, namespaces, running
from daemon.wire import ADDRESS, RELAY, Wire

from netboot.content.assets import assets_directory

SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
content: {directory: content, deltas: false}
store: {url: sqlite+aiosqlite:///netboot.db}
hosts: {files: [hosts.yaml]}
log: {level: debug, format: json}
"""

HOSTS = """\
cluster: {name: rackone, init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/vda}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:aa:bb:01}
  w1: {role: worker, mac: 52:54:00:12:34:56}
"""


# What a conformance set is run against: one host armed, strangers wait, loaders for every architecture that has a name.
OPEN_SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
bootfiles: {directories: [boot]}
content: {directory: content}
store: {url: sqlite+aiosqlite:///netboot.db}
hosts: {files: [hosts.yaml], unknown: wait}
"""
PE_MACHINES = {"snponly.efi": 0x8664, "ipxe.efi": 0x8664, "snponly-ia32.efi": 0x14C, "snponly-arm64.efi": 0xAA64}
FILES = {
    "undionly.kpxe": bytes(range(256)) * 300,
    "empty": b"",
    "even": b"e" * 1024,
    "text": b"one\ntwo\r\n",
    "Mixed.Case": b"mixed",
    "twin": b"lower",
    "TWIN": b"upper",
    "100%25": b"percent",
    "below/deeper/file": b"deep",
    "long": bytes(65_540 * 8),
    ".hidden": b"no",
}


@pytest.fixture(scope="module")
def open_rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """A daemon with `cp1` armed and `hosts.unknown: wait`; a relay's network lies behind the client."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    directory = tmp_path_factory.mktemp("open")
    (directory / "netboot.yaml").write_text(OPEN_SETTINGS)
    (directory / "hosts.yaml").write_text(HOSTS)
    shutil.copytree(assets_directory() / "examples" / "ign", directory / "ign")
    _fill(directory / "content")
    _fill_boot_files(directory / "boot")
    with namespaces() as (server, client):
        rack = Rack(directory, server, client)
        try:
            rack.add_client_address(ADDRESS)
            rack.add_route(f"{RELAY}/32", ADDRESS)
            rack.netboot("install", "arm", "cp1")
            rack.start()
            yield rack
        finally:
            rack.stop()


@pytest.fixture
def wire(open_rack: Rack) -> Iterator[Wire]:
    wire = Wire(open_rack)
    yield wire
    wire.close()


def _fill_boot_files(directory: Path) -> None:
    for name, content in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    for name, machine in PE_MACHINES.items():
        header = b"MZ" + bytes(0x3A) + (0x40).to_bytes(4, "little") + b"PE\0\0" + machine.to_bytes(2, "little")
        (directory / name).write_bytes(header + bytes(range(256)) * 40)
    (directory / "outside").symlink_to("/etc/hostname")
    (directory / "within").symlink_to("even")


@pytest.fixture
def rack_directory(tmp_path: Path) -> Path:
    """The files of an appliance that serves cp1 and w1 on 192.0.2.10."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    (tmp_path / "netboot.yaml").write_text(SETTINGS)
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    shutil.copytree(assets_directory() / "examples" / "ign", tmp_path / "ign")
    _fill(tmp_path / "content")
    return tmp_path


@pytest.fixture
def rack(rack_directory: Path) -> Iterator[Rack]:
    """A daemon that serves cp1 and w1; nothing is armed."""
    with running(rack_directory) as rack:
        yield rack


def _fill(content: Path) -> None:
    medium, repository = content / "media" / "ol8u10-x86_64", content / "ostree" / "ock-1.31-amd64"
    (medium / "images").mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img", "images/install.img"):
        (medium / name).write_bytes(name.encode() * 100)
    tree = content / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    repository.mkdir(parents=True)
    for arguments in (("init", "--mode=archive"), ("commit", "--branch=ock", f"--tree=dir={tree}", "--no-xattrs")):
        command = ["ostree", f"--repo={repository}", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
