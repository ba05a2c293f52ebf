"""Blank machines become a cluster with one command: five UEFI guests, their BMCs, and a stand-in for `ocne`.

Real: firmware, installs, Ignition, the Redfish service, the daemon, which is killed twice. Played: `ocne`, the API of
the cluster, and what Kubernetes does on a node.
"""

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any, Final

import pytest
from e2e.commands import printed
from e2e.guest_bmcs import GuestBmc, guest_bmcs, url_of
from fixtures.ocne_stand_in import ADDRESS
from fixtures.redfish_emulator import HeldReset
from fixtures.rollout_rack import cluster_settings, runs_of, serve_api

from netboot.boot.documents.role_files import read_record, record_path
from netboot.client import ControlClient
from netboot.control_socket import RefusedError
from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1, LabHost
from netboot.lab.lan.namespaces import DHCP_CARD, index_of, within
from netboot.lab.machines.qemu import CARD_NAME, LabDisk, LabMachine
from netboot.model.host.host import Role
from netboot.model.host.role_ignition import LIFETIMES, SecretKind

pytestmark = [pytest.mark.e2e, pytest.mark.proof]

EVERY: Final = ("cp1", "cp2", "cp3", "w1", "w2")
STORY_S: Final = 2400.0  # generous: a busy box is four times slower
STAGE_S: Final = 900.0
CONSOLE_S: Final = 300.0
POLL_S: Final = 1.0
TOO_SMALL: Final = LabDisk("root", 1)
FETCHED: Final = "netboot-lab: ignition kargs"  # the stage of Ignition after the fetch
DONE: Final = ("requested", "sent", "ended done")
KILLED: Final = ("requested", "sent", "failed unknown")
PRESS: Final = "power the machine on and let it boot from the network once (often F12 at its start)"

View = Mapping[str, Any]


def quiet(*_: object) -> None: ...


async def test_blank_machines_become_a_cluster_by_their_bmcs():
    async with powered_lab() as cluster:
        await cluster.begins_and_is_killed("--max-parallel", "2")
        await cluster.until(lambda view: view["state"] == "paused")
        reason = (await cluster.daemon.rollouts.show())["reason"]
        await cluster.gets_another_disk("w2")
        await printed(cluster.lab, "cluster", "rollout", "retry", "w2")
        await printed(cluster.lab, "cluster", "rollout", "resume")
        await cluster.joins_with_a_key_that_ends_on_the_way()
        await cluster.until(lambda view: view["ended_at"] is not None)

        assert reason == "1 host failed, and the failure budget is 0"
        assert await cluster.phases() == dict.fromkeys(EVERY, "ready")
        assert await cluster.power_audit() == {
            ("cp1", "pxe"): [DONE],
            ("cp2", "pxe"): [KILLED],
            ("cp3", "pxe"): [DONE],
            ("w1", "pxe"): [DONE],
            ("w2", "pxe"): [DONE, DONE],
            ("w2", "off"): [DONE],
        }
        assert cluster.resets() == {**started_once(), "w2": ["On", "ForceOff", "On"]}
        assert await cluster.armings() == {**dict.fromkeys(EVERY, 1), "w2": 2}
        assert all(bmc.guest.is_on for bmc in cluster.bmcs.values())


async def test_a_person_powers_the_machine_without_a_bmc():
    async with powered_lab(without_bmc="w1") as cluster:
        await cluster.begins_and_is_killed("--max-parallel", "2", "--failure-budget", "1")
        await cluster.until(lambda view: phases_of(view)["w1"] == "needs-person")
        shown = await printed(cluster.lab, "cluster", "rollout", "show")
        await cluster.bmcs["w1"].press()
        await cluster.until(lambda view: phases_of(view)["w2"] == "failed")
        await printed(cluster.lab, "power", "off", "w2", "--wait")
        await cluster.joins_with_a_key_that_ends_on_the_way()
        await cluster.until(lambda view: view["ended_at"] is not None)

        assert PRESS in " ".join(shown.split())
        assert await cluster.phases() == {**dict.fromkeys(EVERY, "ready"), "w2": "failed"}
        assert await cluster.power_audit() == {
            ("cp1", "pxe"): [DONE],
            ("cp2", "pxe"): [KILLED],
            ("cp3", "pxe"): [DONE],
            ("w2", "pxe"): [DONE],
            ("w2", "off"): [DONE],
        }
        assert cluster.resets() == {**started_once(), "w1": [], "w2": ["On", "ForceOff"]}
        assert await cluster.armings() == dict.fromkeys(EVERY, 1)


@dataclass
class PoweredLab:
    """A lab whose guests are off, with their BMCs, and what an operator does with its appliance."""

    lab: Lab
    daemon: ControlClient
    bmcs: dict[str, GuestBmc]
    first_event: int

    @property
    def ocne(self) -> Path:
        return self.lab.work / "ocne"

    async def until(self, holds: Callable[[View], bool]) -> None:
        """Wait until something is so in the rollout."""

        async def read() -> bool:
            return holds(await self.daemon.rollouts.show())

        await self.awaited(read)

    async def awaited(self, read: Callable[[], Awaitable[bool]]) -> None:
        """Read again until it is true; a store that is too slow for one answer is read again."""
        for _ in range(int(STAGE_S / POLL_S)):
            with suppress(RefusedError):
                if await read():
                    return
            await asyncio.sleep(POLL_S)
        consoles = "\n".join(f"{name}:\n{bmc.guest.console.tail()}" for name, bmc in self.bmcs.items())
        pytest.fail(f"not so in {STAGE_S:.0f} s: {dict(await self.daemon.rollouts.show())}\n{consoles}")

    async def is_powered(self, name: str) -> bool:
        """Return whether the audit trail has the end of a machine's power action: it is stored a moment after it."""
        return (await self.power_audit()).get((name, "pxe")) == [DONE]

    async def phases(self) -> dict[str, str]:
        return phases_of(await self.daemon.rollouts.show())

    async def begins_and_is_killed(self, *options: str) -> None:
        """Begin a rollout; kill the daemon while the BMC of cp2 executes its reset, and that of cp1 has."""
        bmc = self.bmcs["cp2"]
        bmc.held = held = HeldReset()
        await printed(self.lab, "cluster", "rollout", *EVERY, *options, "--yes")
        assert await asyncio.to_thread(held.has_come.wait, STAGE_S), self.lab.appliance.log_tail()
        await self.awaited(partial(self.is_powered, "cp1"))
        await self.lab.appliance.kill()
        bmc.held = None
        held.may_end.set()
        await self.lab.appliance.start()

    async def gets_another_disk(self, name: str) -> None:
        """Switch a machine off by its BMC, and give it a disk that is large enough."""
        await printed(self.lab, "power", "off", name, "--wait")
        guest = self.bmcs[name].guest
        guest.machine = replace(guest.machine, disks=(LabDisk("root"),))

    async def joins_with_a_key_that_ends_on_the_way(self) -> None:
        """Let the API answer; let the certificate key end after the first join; kill the daemon while `ocne` runs."""
        others = ("cp2", "cp3")
        await self.until(lambda view: all(phases_of(view)[name] == "installed" for name in others))
        await self.bmcs["cp1"].guest.console.wait_for("netboot-lab: ready", timeout_s=CONSOLE_S)
        async with self.answering_api():
            await self.until(lambda view: any(phases_of(view)[name] != "installed" for name in others))
            phases = await self.phases()
            first = next(name for name in others if phases[name] != "installed")
            await self.bmcs[first].guest.console.wait_for(FETCHED, timeout_s=CONSOLE_S)
            let_the_key_end(self.lab.appliance.paths.directory / "ign" / "controlplane-join.ign")
            (self.ocne / "slow").write_text("5")
            await self.until(lambda _: runs_of(self.ocne).count("join -n 1") == 2)
            await self.lab.appliance.kill()
            (self.ocne / "slow").unlink()
            await self.lab.appliance.start()
            await self.until(lambda view: all(phases_of(view)[name] == "ready" for name in others))
        assert runs_of(self.ocne).count("join -n 1") == 3, "the run that was killed is repeated, and no other"

    @asynccontextmanager
    async def answering_api(self) -> AsyncIterator[None]:
        """Give the cluster its address, which no machine may have before, and let its API answer there."""
        namespace = self.lab.lan.dhcp_namespace

        def add_address(ip: Any) -> None:
            ip.addr("add", index=index_of(ip, DHCP_CARD), address=ADDRESS, prefixlen=24)

        await asyncio.to_thread(within, namespace, add_address)
        server = await asyncio.to_thread(serve_api, namespace, self.ocne)
        try:
            yield
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()

    async def power_audit(self) -> dict[tuple[str, str], list[Sequence[str]]]:
        """Read the audit trail of the machines' power: the events of each action, by host and action."""
        events: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        async for event in self.daemon.events(after=self.first_event, follow=False):
            what, _, kind = event["event"].partition(".")
            if what == "power":
                data = event["data"]
                action = (event["host"], data["action"], data["intent"])
                events[action].append(" ".join([kind, data.get("outcome") or ""]).strip())
        found: dict[tuple[str, str], list[Sequence[str]]] = defaultdict(list)
        for (host, action, _), kinds in events.items():
            found[host, action].append(tuple(kinds))
        return dict(found)

    def resets(self) -> dict[str, list[str]]:
        """Return what each BMC was sent; each start was the one-time network boot."""
        found = {}
        for name, bmc in self.bmcs.items():
            found[name] = bmc.machine.resets
            assert bmc.machine.boots == ["Pxe"] * bmc.machine.resets.count("On"), name
        return found

    async def armings(self) -> dict[str, int]:
        return {name: [move["what"] for move in await self.daemon.history(name)].count("armed") for name in self.bmcs}


@asynccontextmanager
async def powered_lab(*, without_bmc: str | None = None) -> AsyncIterator[PoweredLab]:
    """Run a lab of five blank machines, of which w2 has a disk that is too small; all have BMCs, or all but one."""
    absent = {without_bmc} if without_bmc else set()
    hosts = [
        machine_of(name, place) if name in absent else with_bmc(machine_of(name, place), place)
        for place, name in enumerate(EVERY)
    ]
    async with (
        asyncio.timeout(STORY_S),
        running_lab(hosts, say=quiet) as lab,
        guest_bmcs(lab, without_bmc=absent, directory=lab.work) as bmcs,
    ):
        await add_cluster(lab)
        async with lab.appliance.control() as daemon:
            yield PoweredLab(lab, daemon, bmcs, await daemon.last_event_id())


def machine_of(name: str, place: int) -> LabHost:
    """Return a machine as delivered; control planes have fixed addresses."""
    machine = LabMachine(name, f"52:54:00:aa:ee:{place:02x}", disks=(TOO_SMALL if name == "w2" else LabDisk("root"),))
    if name.startswith("w"):
        return LabHost(machine, Role.WORKER)
    return replace(CP1, machine=machine, address=IPv4Interface(f"192.0.2.{21 + place}/24"))


def with_bmc(host: LabHost, place: int) -> LabHost:
    return replace(host, more={"bmc": url_of(place)})


async def add_cluster(lab: Lab) -> None:
    """Restart the appliance with the stand-in's commands and without Ignition files."""
    await lab.appliance.stop()
    state = lab.work / "ocne"
    state.mkdir()
    (state / "card").write_text(CARD_NAME)
    paths = lab.appliance.paths
    paths.settings.write_text(paths.settings.read_text() + cluster_settings(state))
    for file in (paths.directory / "ign").iterdir():
        file.unlink()
    await lab.appliance.start()


def let_the_key_end(file: Path) -> None:
    """Let the appliance have taken a file so long ago that its certificate key has ended."""
    record = read_record(file)
    assert record is not None
    by = LIFETIMES[SecretKind.CERTIFICATE_KEY] + timedelta(hours=1)
    os.utime(file, (file.stat().st_mtime - by.total_seconds(),) * 2)
    draft = file.with_name(".record")
    draft.write_text(replace(record, since={name: at - by for name, at in record.since.items()}).as_text())
    draft.replace(record_path(file))


def started_once() -> dict[str, list[str]]:
    return {name: ["On"] for name in EVERY}


def phases_of(view: View) -> dict[str, str]:
    return {each["host"]: each["phase"] for each in view["hosts"]}
