"""One file in: a machine is installed from an ostree container image, and updates itself from the appliance's registry.

Firmware, installer, Ignition, and the ostree and skopeo of the machine are real. Debian 12 has no rpm-ostree, and the
lab no Kubernetes: scripts of fixtures/ock_node stand in for `ocne-update.sh`, and for what `ocne node update` runs.
"""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
from e2e.commands import netboot, printed
from e2e.run_outputs import RunSecrets, outputs
from fixtures.ock_node import commit_over, updating_tree
from fixtures.ostree_images.exporter import Form, exported
from fixtures.ostree_images.layouts import MadeImage, written
from secrets_search import search

from netboot.client import ControlClient
from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1
from netboot.lab.lan.namespaces import within
from netboot.lab.machines.follow import boot_to_the_end
from netboot.lab.media.stand_ins import RELEASE
from netboot.operate.arming import ArmRequest

pytestmark = pytest.mark.e2e

INSTALL_S: Final = 480.0
STEP_S: Final = 240.0  # generous: a busy box is four times slower
READY: Final = "netboot-lab: ready"
TAG: Final = "1.33"  # an alias of a release, and the tag of its image: what nodes follow
OLD, NEW = "1.33.5-1", "1.33.5-2"
NODE_UPDATE: Final = ("192.0.2.21", 99)  # where the stand-in for the pod of `ocne node update` listens
WAIT: Final = "wait two minutes: the node looks at its tag, and downloads what it names"
DEPLOY: Final = "ocne node update -N cp1"
NOTICING: Final = {"host": "cp1", "role": "control-plane", "runs": OLD, "is_since_install": False, "stages": NEW}
PLAN: Final = {
    "alias": TAG,
    "name": NEW,
    "before": OLD,
    "after": NEW,
    "tag": f"olcne/ock-ostree:{TAG}",
    "nodes": [NOTICING],
    "armings_end": [],
    "installs": ["cp1"],
    "warnings": [],
}
# The nodes of a rack report every ten minutes, after a random time of up to one; this one does so every five seconds.
OFTEN: Final = {
    "netboot-updates.timer": "[Timer]\nOnUnitInactiveSec=5s\n",
    "netboot-updates.service": "[Service]\nExecStart=\nExecStart=/bin/bash /etc/netboot/report-updates\n",
}


def quiet(*_: object) -> None: ...


async def test_a_machine_is_installed_from_an_image_and_reports_its_release():
    async with installed_from_an_image() as (board, _, _):
        assert board.lab.guest("cp1").console.text.count("netboot-lab: installer stage 1") == 1


@pytest.mark.proof
async def test_a_machine_that_was_installed_from_an_image_updates_itself_from_the_registry():
    async with installed_from_an_image() as (board, new, secrets):
        lab, guest = board.lab, board.lab.guest("cp1")
        await netboot(lab, "content", "import-image", str(new.archive), "--name", NEW)
        plan = await netboot(lab, "content", "promote", NEW, TAG, "--plan")
        assert board.named(plan) == PLAN
        await board.shows("current", runs=OLD, offered=OLD, next_="nothing")  # an import and a plan move no tag

        await netboot(lab, "content", "promote", NEW, TAG)
        await board.shows("offered", runs=OLD, offered=NEW, next_=WAIT)
        await board.shows("staged", runs=OLD, staged=NEW, offered=NEW, next_=DEPLOY)

        shown = len(guest.console.text)
        printed_there = await asyncio.to_thread(within, lab.lan.dhcp_namespace, lambda _: update_node())
        assert f"deployed {new.commit.checksum}\n" in printed_there
        await guest.console.wait_for(READY, timeout_s=STEP_S, after=shown)
        await board.shows("current", runs=NEW, offered=NEW, next_="nothing")

        assert guest.console.text.count("netboot-lab: installer stage 1") == 1
        assert (await board.daemon.install("cp1"))["state"] == "ready"
        await secrets.add_tokens()
        assert {"kickstart_token of installs", "node_token of installs"} <= secrets.kinds
        assert search(await outputs(lab, "cp1"), secrets.found) == []


@asynccontextmanager
async def installed_from_an_image() -> AsyncIterator[tuple["Board", MadeImage, RunSecrets]]:
    """Run a lab whose machine was installed from the old release's image, and has reported.

    Gives the image of the new release, and the secrets of the run so far.
    """
    async with running_lab([replace(CP1, more={"release": TAG})], say=quiet) as lab:
        old, new = await asyncio.to_thread(make_images, lab)
        await restart_with_updates(lab)
        async with lab.appliance.control() as daemon:
            board = Board(lab, daemon, {old.commit.checksum: OLD, new.commit.checksum: NEW})
            await netboot(lab, "content", "import-image", str(old.archive), "--name", OLD)
            await netboot(lab, "content", "promote", OLD, TAG)
            await daemon.arm(ArmRequest(["cp1"], reason="test"))
            boot = boot_to_the_end(daemon, [lab.guest("cp1")], on_change=quiet, limit_s=INSTALL_S)
            secrets = await secrets_during(lab, asyncio.create_task(boot))
            await board.shows("current", runs=OLD, offered=OLD, next_="nothing")
            yield board, new, secrets


async def secrets_during(lab: Lab, boot: asyncio.Task[object]) -> RunSecrets:
    """Collect the secrets that a boot has until its end: each of its steps spends some."""
    secrets = RunSecrets(lab)
    while not boot.done():
        await secrets.add_tokens()
        await asyncio.wait({boot}, timeout=1)
    await boot
    return secrets


@dataclass(frozen=True, slots=True)
class Board:
    """The board of the lab's appliance, with the names of releases in the place of what is known of their commits."""

    lab: Lab
    daemon: ControlClient
    releases: Mapping[str, str]

    async def shows(self, state: str, *, runs: str, offered: str, next_: str, staged: str | None = None) -> None:
        """Wait until the node has reported that it is in this state; compare its row, and what is printed of it."""
        async with asyncio.timeout(STEP_S):
            node = await self._reported(state)
        expected = {"runs": runs, "staged": staged, "offered": offered, "warnings": []}
        assert {key: node[key] for key in expected} == expected
        assert (node["next_command"] or node["next_step"]) == next_
        lines = (await printed(self.lab, "updates")).splitlines()
        [cells] = [line.split("\t") for line in lines if line.startswith("cp1\t")]
        assert (cells[2], cells[-1]) == (state, next_)

    async def _reported(self, state: str) -> Any:
        """Return the row of the node once it has reported itself in this state: each change of a report is an event."""
        after = await self.daemon.last_event_id()
        if (node := await self._row())["state"] == state and not node["is_since_install"]:
            return node
        async for _ in self.daemon.events(after=after):
            if (node := await self._row())["state"] == state and not node["is_since_install"]:
                return node
        raise AssertionError("the events of the appliance ended")

    async def _row(self) -> Any:
        [node] = (await self.daemon.updates.board())["nodes"]
        return self.named(node)

    def named(self, value: Any) -> Any:
        """Put the name of its release in the place of each commit, at any depth."""
        if isinstance(value, dict):
            if "commit" in value:
                return self.releases[value["commit"]]
            return {key: self.named(each) for key, each in value.items()}
        return [self.named(each) for each in value] if isinstance(value, list) else value


def make_images(lab: Lab) -> tuple[MadeImage, MadeImage]:
    """Make the images of two releases from that of the lab, and take that one away."""
    base, work = lab.appliance.paths.content / "ostree" / RELEASE, lab.work / "images"
    old = commit_over(base, updating_tree(work / "programs"), work / "old", version=OLD, day=1)
    (work / "changes").mkdir()
    new = commit_over(old.repo, work / "changes", work / "new", version=NEW, day=2)
    shutil.rmtree(base)
    # Both archives have the tag of the registry that they came from, as Oracle's of one Kubernetes minor do.
    first = written(exported(old, Form(chunks=4, packing="none")), old, work / "image-old", tag=TAG)
    return first, written(exported(new, Form(chunks=4, packing="gzip")), new, work / "image-new", tag=TAG)


async def restart_with_updates(lab: Lab) -> None:
    """Restart the appliance with the registry and the reports, and with logs of machines; nodes report often."""
    await lab.appliance.stop()
    with lab.appliance.paths.settings.open("a") as settings:
        settings.write('updates: {registry: true, report: true}\nlogs: {listen: "0.0.0.0:514"}\n')
    for file in (lab.appliance.paths.directory / "ign").glob("*.ign"):
        config = json.loads(file.read_text())
        for unit, text in OFTEN.items():
            config["systemd"]["units"].append({"name": unit, "dropins": [{"name": "lab.conf", "contents": text}]})
        file.write_text(json.dumps(config))
    await lab.appliance.start()


def update_node() -> str:
    """Run on the node what `ocne node update` does there."""
    with socket.create_connection(NODE_UPDATE, timeout=STEP_S) as pod:
        pod.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: pod.recv(4096), b"")).decode()
