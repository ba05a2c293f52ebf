"""A host is installed from an imported image and updates itself from the appliance: all but the firmware and the boot.

Its node runs the real bash, curl, ostree and skopeo, with the files of its overlay; see fixtures/ock_node.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from fixtures.daemon import wait_until
from fixtures.files import HOSTS, SETTINGS, write_boot_files, write_files
from fixtures.ock_node.installed_node import InstalledNode, node_tree
from fixtures.ostree_images.commits import commit_tree
from fixtures.ostree_images.exporter import exported
from fixtures.ostree_images.layouts import MadeImage, written
from fixtures.rack import BASE, Machine, Rack, running
from fixtures.rack_in_use import CP1, begin

pytestmark = pytest.mark.integration

TAG = "1.33"  # an alias of a release, and the tag of its image: what the node follows
OLD, NEW = "1.33.5-1", "1.33.5-2"
UPDATE = ("/etc/ocne/ocne-update.sh", "once")


@dataclass
class Site:
    """An appliance, the images of two releases, and the one host: `node` is what its machine would run."""

    rack: Rack
    images: Mapping[str, MadeImage]
    machine: Machine
    node: InstalledNode
    report: tuple[str, ...] = ()  # the command of netboot-updates.service, without its pause

    def content(self, *words: str) -> Any:
        return json.loads(self.rack.netboot("content", *words, "--json"))

    def take(self, release: str) -> None:
        self.content("import-image", str(self.images[release].archive), "--name", release)

    def install(self) -> None:
        """Install the host as its machine would, up to `ready`."""
        self.rack.netboot("install", "arm", "cp1", "--force")
        report, ignition = begin(self.machine)
        self.machine.report(report, "started")
        self.node.install(f"{BASE}/ostree/{TAG}")
        self.machine.report(report, "done")
        overlay = json.loads(self.machine.get(f"/ign/{ignition}/overlay").body)
        self.node.add_files({file["path"]: contents(file) for file in overlay["storage"]["files"]})
        units = {unit["name"]: unit.get("contents", "") for unit in overlay["systemd"]["units"]}
        [command] = re.findall(r"^ExecStart=(.*)", units["netboot-updates.service"], re.MULTILINE)
        self.report = tuple(shlex.split(command)[:-1])
        self.machine.report(report, "ready")

    def row(self) -> dict[str, Any]:
        """Let the node report; return what the board shows of it then, with releases in the place of commits."""
        self._report()
        [node] = self.rack.api("/api/v1/updates")["nodes"]
        names = {image.commit.checksum: release for release, image in self.images.items()}
        shown = {key: names[node[key]["commit"]] if node[key] else None for key in ("runs", "staged", "offered")}
        return shown | {key: node[key] for key in ("state", "next_command", "warnings", "is_since_install")}

    def _report(self) -> None:
        """Send a report; one that comes too soon after the one before is refused, and sent again."""
        wait_until(lambda: "did not take" not in self.node.start(*self.report).stderr or None)


def contents(file: Mapping[str, Any]) -> bytes:
    return unquote_to_bytes(file["contents"]["source"].removeprefix("data:,"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    images = {}
    for release, letter in ((OLD, "A"), (NEW, "B")):
        tree = node_tree(tmp_path / f"tree-{letter}", letter, version=release)
        commit = commit_tree(tmp_path / f"repo-{letter}", tree, version=release)
        images[release] = written(exported(commit), commit, tmp_path / f"image-{letter}", tag=TAG)
    appliance = tmp_path / "appliance"
    appliance.mkdir()
    settings = SETTINGS + "updates: {registry: true, report: true}\nbootfiles: {directories: [boot]}\n"
    hosts = HOSTS.replace("release: ock-1.31-amd64", f"release: '{TAG}'").rpartition("  w1:")[0]
    write_files(appliance, settings=settings, hosts=hosts)
    write_boot_files(appliance / "boot")
    with running(appliance) as rack:
        machine = rack.machine(*CP1)
        rack.lan.ip(rack.client_namespace, "route", "replace", "192.0.2.0/24", "dev", "c0", "src", machine.address)
        yield Site(rack, images, machine, InstalledNode(tmp_path / "disk", rack.client_namespace))


def test_a_host_is_installed_from_an_image_and_follows_the_next_one(site: Site):
    site.take(OLD)
    site.content("promote", OLD, TAG)
    site.install()
    known = {"runs": OLD, "staged": None, "warnings": [], "is_since_install": False}
    nothing = known | {"state": "current", "offered": OLD, "next_command": ""}
    assert site.row() == nothing

    site.take(NEW)
    site.node.run(*UPDATE)
    assert site.row() == nothing  # an import moves no tag that a node follows

    site.content("promote", NEW, TAG)
    assert site.row() == known | {"state": "offered", "offered": NEW, "next_command": ""}

    site.node.run(*UPDATE)
    staged = known | {"staged": NEW, "offered": NEW}
    assert site.row() == staged | {"state": "staged", "next_command": "ocne node update -N cp1"}

    site.node.run("ostree", "admin", "deploy", "ock:ock")
    assert site.row() == staged | {"state": "restarting", "next_command": ""}

    site.node.restart()
    assert site.row() == known | {"runs": NEW, "state": "current", "offered": NEW, "next_command": ""}
