"""Machines are installed from the pages alone, in Chromium: approved, armed, and followed until they are ready."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Final

import pytest
from e2e.run_outputs import RunSecrets
from fixtures.browser import LOOPBACK, Pages, axe, chromium, screenshot
from playwright.sync_api import Page, expect
from secrets_search import Finding, search

from netboot.lab.lab import Lab, running_lab
from netboot.lab.lab_hosts import CP1, POOL, W1, LabHost
from netboot.lab.machines.qemu import DISK_PATH
from netboot.model.host.host import Role

pytestmark = pytest.mark.e2e

INSTALL_MS: Final = 600_000.0  # generous: a busy box is four times slower
NEW: Final = replace(W1, machine=replace(W1.machine, name="new"), is_registered=False)


def quiet(*_: object) -> None: ...


class Operator:
    """Uses a browser on the lab's appliance; switches machines on and off, and does everything else by clicks."""

    def __init__(self, lab: Lab, loop: asyncio.AbstractEventLoop, page: Page) -> None:
        self._lab, self._loop, self.page = lab, loop, page
        self.shown: dict[str, bytes] = {}

    def power_on(self, machine: str) -> None:
        self._await(self._lab.guest(machine).power_on())

    def power_cycle(self, machine: str) -> None:
        self._await(self._lab.guest(machine).power_off())
        self.power_on(machine)

    def _await(self, switched: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(switched, self._loop).result(60)

    def approve(self, mac: str, role: Role) -> str:
        """Wait until a machine has reported its hardware, make a host of it, and return the host's name."""
        self.page.goto(f"{LOOPBACK}/machines")
        expect(self.page.get_by_label(f"Select {mac}")).to_be_visible(timeout=INSTALL_MS)
        self.page.get_by_role("link", name=mac).click()
        expect(self.page.get_by_role("rowheader", name="vda")).to_be_visible(timeout=INSTALL_MS)
        self._note("lab-discovered")
        self.page.goto(f"{LOOPBACK}/machines")
        self.page.get_by_label(f"Select {mac}").check()
        self.page.get_by_role("button", name="Approve").click()
        self.page.get_by_label("Role").select_option(role.value)
        self.page.get_by_label("Address pool").fill(POOL)
        self.page.get_by_label("Disk", exact=True).fill(DISK_PATH)
        self.page.get_by_role("button", name="Preview").click()
        expect(self.page.get_by_role("heading", name="Preview")).to_be_visible()
        self._note("lab-approve")
        self.page.get_by_role("button", name="Approve", exact=True).click()
        self.page.goto(f"{LOOPBACK}/?role={role.value}")
        return str(self.page.locator("#rack > tr").get_attribute("id")).removeprefix("host-")

    def arm(self, host: str) -> None:
        """Arm a host."""
        self.page.goto(LOOPBACK)
        self.page.get_by_label(f"Select {host}").check()
        bar = self.page.get_by_role("group", name="Actions on the selected hosts")
        bar.get_by_role("button", name="Arm", exact=True).click()
        self.page.get_by_label("Reason").fill("new rack")
        self._note(f"lab-arm-{host}")
        self.page.get_by_role("button", name=f"Arm {host}").click()
        expect(self.page.get_by_role("status").filter(has_text=f"{host} armed")).to_be_visible()

    def follow(self, *hosts: str) -> None:
        """Watch the rows of hosts until each is ready, without loading the page again."""
        self.page.goto(LOOPBACK)
        self.page.evaluate("window.isMarked = true")
        rows = [self.page.locator(f"#host-{host} .state") for host in hosts]
        expect(rows[-1]).to_have_text("installing", timeout=INSTALL_MS)
        self._note("lab-installing")
        for row in rows:
            expect(row).to_have_text("ready", timeout=INSTALL_MS)
        assert self.page.evaluate("window.isMarked")
        self._note("lab-ready")
        for host in hosts:
            self.page.goto(f"{LOOPBACK}/hosts/{host}")
            self._note(f"lab-{host}")

    def _note(self, name: str) -> None:
        axe(self.page)
        screenshot(self.page, name)
        self.shown[name] = self.page.content().encode()


def install_by_clicks(lab: Lab, loop: asyncio.AbstractEventLoop) -> dict[str, bytes]:
    """Install cp1, and the lab's machine that is not registered; return the pages that were shown."""
    with chromium(lab.lan.namespace) as browser:
        pages = Pages(browser)
        operator = Operator(lab, loop, pages.open("/"))
        operator.arm("cp1")
        for guest in lab.guests:
            operator.power_on(guest)
        hosts = ["cp1"]
        if NEW.machine.name in lab.guests:
            hosts.append(operator.approve(NEW.machine.mac, NEW.role))
            operator.arm(hosts[-1])
            operator.power_cycle(NEW.machine.name)  # it may have restarted before, and been led to its empty disk
        operator.follow(*hosts)
        pages.close()
        assert pages.unexpected() == []
    return operator.shown


async def install(*hosts: LabHost) -> None:
    """Run a lab with these hosts, install them by clicks, and search each page for the secrets of the run."""
    async with running_lab(hosts, say=quiet) as lab:
        secrets = RunSecrets(lab)
        shown = await asyncio.to_thread(install_by_clicks, lab, asyncio.get_running_loop())
        await secrets.add_tokens()

        assert search(shown, secrets.found) == list[Finding]()


async def test_a_host_is_installed_from_the_pages_alone():
    await install(CP1)


@pytest.mark.proof
async def test_two_machines_are_installed_from_the_pages_alone_one_is_discovered_first():
    await install(CP1, NEW)
