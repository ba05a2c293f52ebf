"""A new appliance with the files, the content and a backup of the old one gives the same answers, in a running boot."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.files import write_files
from fixtures.lan import a_lan
from fixtures.packets import SERVER
from fixtures.rack import BASE, Machine, Rack, token_in
from fixtures.stored_images import an_image, store_image
from scapy.layers.dhcp import BOOTP
from scapy.layers.inet import UDP

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
W1 = ("52:54:00:12:34:56", "192.0.2.51")
NAME, TAG = "olcne/ock-ostree", "1.33"


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[tuple[Rack, Rack]]:
    """The appliance that is lost, and a new one with the same addresses, of which one runs at a time."""
    (tmp_path / "old").mkdir()
    old = write_files(tmp_path / "old")
    with a_lan((f"{SERVER}/24", "192.0.2.66/24")) as lan:
        racks = Rack(old, lan), Rack(tmp_path / "new", lan)
        try:
            yield racks
        finally:
            for each in racks:
                each.stop()


def test_a_new_appliance_gives_the_answers_of_the_old_one_byte_for_byte(boxes: tuple[Rack, Rack], tmp_path: Path):
    old, new = boxes
    image = store_image(old.directory / "content", NAME, an_image(), TAG)
    old.start()
    tokens = begin_install(old)
    backup = tmp_path / "netboot.backup"
    views_of(old)
    old.kill()
    old.start()  # what a daemon learned since its start is in memory, and not in the store
    views = views_of(old)
    old.netboot("store", "backup", str(backup))
    before = answers(old, tokens, image.digest, image.layers)  # its request of Ignition moves the install
    old.kill()

    recover(old, new, backup)
    new.start()
    views_after = views_of(new)
    after = answers(new, tokens, image.digest, image.layers)

    assert [path for path, found in before.items() if path.startswith("/") and found[0] != 200] == []
    assert b"snponly.efi" in before[f"offer to {CP1[0]}"]
    assert after == before
    assert views_after == views
    cp1 = Machine(new, *CP1)
    assert [cp1.report(tokens["report"], event) for event in ("done", "ready")] == [200] * 2
    assert new.install("cp1")["state"] == "ready"


def begin_install(rack: Rack) -> dict[str, str]:
    """Boot the armed cp1 until its installer has its Kickstart; return its tokens."""
    cp1 = rack.machine(*CP1)
    rack.machine(*W1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    kickstart = cp1.get(f"/ks/{(token := token_in(cp1.script(), 'ks'))}").body
    return {"ks": token, "ign": token_in(kickstart, "ign"), "report": token_in(kickstart, "report")}


def views_of(rack: Rack) -> dict[str, Any]:
    """Read what the API has of the install, once all of it is stored."""
    wait_until(lambda: rack.api("/api/v1/hosts/cp1/served") or None)
    views = ("installs", "hosts/cp1", "hosts/cp1/install", "hosts/cp1/history", "hosts/cp1/served")
    return {
        view: json.loads(json.dumps(rack.api(f"/api/v1/{view}")).replace(str(rack.directory), ".")) for view in views
    }


def answers(rack: Rack, tokens: dict[str, str], digest: str, layers: list[str]) -> dict[str, Any]:
    """Request what machines and nodes get. Of an offer the transaction differs."""
    cp1, w1 = Machine(rack, *CP1), Machine(rack, *W1)
    objects = sorted(path.relative_to(rack.directory / "content") for path in content_of(rack, "ostree", "objects"))
    media = sorted(path.relative_to(rack.directory / "content/media") for path in content_of(rack, "media", "."))
    paths = [
        f"/ks/{tokens['ks']}",
        f"/ign/{tokens['ign']}",
        f"/ign/{tokens['ign']}/role",
        f"/ign/{tokens['ign']}/overlay",
        f"/boot/{CP1[0]}/grub.cfg",
        f"/v2/{NAME}/tags/list",
        f"/v2/{NAME}/manifests/{TAG}",
        f"/v2/{NAME}/manifests/{digest}",
        *(f"/v2/{NAME}/blobs/{layer}" for layer in layers),
        *(f"/{path}" for path in objects),
        *(f"/content/{path}" for path in media),
        "/ostree/ock-1.31-amd64/refs/heads/ock",
    ]
    offers = {f"offer to {machine.mac}": offer_to(machine) for machine in (cp1, w1)}
    found: dict[str, Any] = {name: bytes(offer[BOOTP])[8:] for name, offer in offers.items()}
    return found | {path: content(rack, cp1, path) for path in paths} | {"script of w1": w1.script()}


def offer_to(machine: Machine) -> Any:
    """Return the offer to this machine; others may wait on the wire."""
    offer = machine.discover()
    while offer is not None and offer[BOOTP].chaddr[:6] != bytes.fromhex(machine.mac.replace(":", "")):
        offer = machine.rack.wire.receive(lambda frame: frame[UDP].sport == 67, timeout_s=1.0)
    return offer


def content(rack: Rack, machine: Machine, path: str) -> tuple[int, bytes]:
    place = rack.directory / "received"
    place.unlink(missing_ok=True)
    machine.rack.curl(
        "--interface", machine.address, "--output", str(place), "--write-out", "HTTP/1.1 200\n\n", BASE + path
    )
    head, _, body = place.read_bytes().partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def content_of(rack: Rack, *parts: str) -> list[Path]:
    below = rack.directory / "content" / parts[0]
    return [path for path in below.rglob("*") if path.is_file() and parts[1] in (".", *path.parts)]


def recover(old: Rack, new: Rack, backup: Path) -> None:
    """Do what docs/backup.md has: configuration, content, key file, store."""
    new.directory.mkdir()
    for name in ("netboot.yaml", "hosts.yaml", "ign"):
        copied(old.directory / name, new.directory / name)
    for name in ("content", "store.key"):
        if (old.directory / name).exists():
            copied(old.directory / name, new.directory / name)
    printed = new.netboot("store", "restore", str(backup), "--keep-armings")
    assert "the previous store is kept" not in printed


def copied(source: Path, place: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, place, symlinks=True)
    else:
        shutil.copy2(source, place)


def test_backups_that_are_taken_while_machines_install_are_whole_and_delay_nobody(rack: Rack, tmp_path: Path):
    ended = threading.Event()
    made: list[Path] = []

    def take() -> None:
        while not ended.is_set() and len(made) < 50:
            place = tmp_path / f"{len(made)}.backup"
            rack.netboot("store", "backup", str(place))
            made.append(place)

    cp1 = rack.machine(*CP1)
    taking = threading.Thread(target=take)
    taking.start()
    try:
        for _ in range(3):
            rack.netboot("install", "arm", "cp1")
            cp1.boots()
            kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
            report = token_in(kickstart, "report")
            assert [cp1.report(report, event) for event in ("started", "done", "ready")] == [200] * 3
    finally:
        ended.set()
        taking.join(timeout=60)

    assert made
    for place in made:
        assert json.loads(rack.netboot("store", "check", str(place), "--json"))["ok"] is True
    assert "is sound" in rack.netboot("store", "check")
    assert rack.install("cp1")["state"] == "ready"


def test_a_store_is_not_restored_while_its_daemon_runs(rack: Rack, tmp_path: Path):
    backup = tmp_path / "netboot.backup"
    rack.netboot("store", "backup", str(backup))

    refused = rack.netboot("store", "restore", str(backup), status=1)

    assert "cannot restore: the store is in use by the daemon with pid" in refused
    assert "systemctl stop netboot" in refused
    assert rack.api("/api/v1/status")["pid"] == rack.pid
    assert not (rack.directory / "netboot.db.before-restore").exists()


def test_an_arming_that_was_spent_since_the_backup_installs_nothing_after_the_restore(rack: Rack, tmp_path: Path):
    backup = tmp_path / "netboot.backup"
    rack.netboot("install", "arm", "cp1")
    rack.netboot("store", "backup", str(backup))
    cp1 = rack.machine(*CP1)
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    report = token_in(kickstart, "report")
    assert [cp1.report(report, event) for event in ("started", "done", "ready")] == [200] * 3
    rack.stop()

    printed = rack.netboot("store", "restore", str(backup))
    rack.start()
    cp1.boots()

    assert "hosts whose arming or tokens ended: cp1" in printed
    assert "vmlinuz" not in cp1.script()
    assert not rack.install("cp1")["arming"]
    assert [each["event"] for each in rack.api("/api/v1/activity?event=store.restored")] == ["store.restored"]
