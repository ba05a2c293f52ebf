"""A rack with a running daemon, its files and its content."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon.rack import Rack, namespaces

from netboot.content.assets import assets_directory

SETTINGS = """\
network: {interfaces: [s0]}
admin: {socket: control.sock, listen: 127.0.0.1:8470}
content: {directory: content}
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


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    """A daemon that serves cp1 and w1 on 192.0.2.10; nothing is armed."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    (tmp_path / "netboot.yaml").write_text(SETTINGS)
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    shutil.copytree(assets_directory() / "examples" / "ign", tmp_path / "ign")
    _fill(tmp_path / "content")
    with namespaces() as (server, client):
        rack = Rack(tmp_path, server, client)
        try:
            rack.start()
            yield rack
        finally:
            rack.stop()


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
