"""`netboot doctor --host` beside a running daemon: from its own computer, and from another one of the LAN."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures import signed_loaders as made
from fixtures.files import SETTINGS, write_files
from fixtures.installer import bzimage, initrd, squashfs
from fixtures.rack import Rack, a_rack

from netboot.content.library.disk import sha256
from netboot.content.library.record import Record

SENT = {"host.loader_sent", "host.medium_sent", "host.release_sent"}


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """A daemon with whole content and loaders; w1 was never seen."""
    settings = SETTINGS.replace("[s0]", "[{name: s0, address: 192.0.2.10}]") + "bootfiles: {directories: [boot]}\n"
    directory = write_files(tmp_path_factory.mktemp("host"), settings=settings)
    (directory / "boot").mkdir()
    (directory / "boot/snponly.efi").write_bytes(made.ipxe())
    medium = directory / "content/media/ol8u10-x86_64"
    (medium / "vmlinuz").write_bytes(bzimage("5.15.0-1.el8uek.x86_64"))
    (medium / "initrd.img").write_bytes(initrd("5.15.0-1.el8uek.x86_64"))
    (medium / "images/install.img").write_bytes(squashfs())
    release = directory / "content/ostree/ock-1.31-amd64"
    for arguments in (("static-delta", "generate", "--empty", "--to=ock"), ("summary", "-u")):
        command = ["ostree", arguments[0], f"--repo={release}", *arguments[1:]]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    with a_rack(directory) as rack:
        rack.start()
        yield rack


def judge(rack: Rack, name: str = "w1", *, namespace: str | None = None) -> Any:
    """Run the command on the appliance or in another namespace; return the area."""
    if namespace is None:
        done = rack.run("doctor", "--host", name, "--json")
    else:
        command = ["ip", "netns", "exec", namespace, *rack.command("doctor", "--host", name, "--json")[4:]]
        environment = os.environ | {"NETBOOT_CONFIG": str(rack.directory / "netboot.yaml")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    [area] = json.loads(done.stdout)["areas"]
    return area


def bad(area: Any) -> list[tuple[str, str]]:
    """List what is worse than a note."""
    return [(each["check"], each["sentence"]) for each in area["findings"] if each["level"] != "note"]


def test_a_healthy_host_that_is_armed_is_judged_and_nothing_is_spent(rack: Rack):
    rack.netboot("install", "arm", "w1")
    before = rack.install("w1")

    area = judge(rack)

    assert rack.install("w1") == before
    assert bad(area) == []
    assert area["findings"][0]["sentence"].endswith("it boots the installer, which wipes its disk")
    assert set(area["checked"]) >= SENT
    assert "simulate --until loader" in area["not_checked"]["host.loader_tftp"]
    assert not re.search(r"/boot/|/ks/|/ign/|/report/", rack.log)


def test_files_that_differ_from_the_library_are_found(rack: Rack):
    medium = rack.directory / "content/media/ol8u10-x86_64"
    files = {name: sha256(medium / name) for name in ("vmlinuz", "initrd.img", "images/install.img")}
    Record("ol8.iso", "d" * 64, "2026-11-01T00:00:00+00:00", files={**files, "vmlinuz": "0" * 64}).write(medium)
    summary = rack.directory / "content/ostree/ock-1.31-amd64/summary"
    before = summary.read_bytes()
    summary.unlink()
    (rack.directory / "boot/snponly.efi").write_bytes(made.ipxe()[:-700])

    found = bad(judge(rack))
    (medium / ".netboot.json").unlink()
    (rack.directory / "boot/snponly.efi").write_bytes(made.ipxe())
    summary.write_bytes(before)

    assert ("host.medium_sent", "the kernel: its bytes are not those of the library") in found
    assert "host.loader" in {check for check, _ in found}


def test_from_another_computer_the_loader_is_read_by_tftp(rack: Rack):
    """The control socket is a file, so that a command in the machines' namespace reaches the daemon."""
    (rack.directory / "boot/snponly.efi").write_bytes(made.ipxe())
    rack.netboot("reload")

    area = judge(rack, namespace=rack.client_namespace)

    assert [each for each in bad(area) if each[0] in {*SENT, "host.loader_tftp"}] == []
    assert "host.loader_tftp" in area["checked"]
