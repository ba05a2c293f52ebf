"""What a host would receive from the daemon and why: documents without secrets, offers, places of values."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fixtures.services import BASE_URL, LOADERS, BuiltServices, WithServices

from netboot.admin.json_views import json_view
from netboot.boot.documents.documents import Documents
from netboot.errors import UnknownHostError
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.host.firmware import LocalBoot, LocalBootMethod, LocalBootState
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.ignition_way import IgnitionWay
from netboot.model.install.inspection import OneTimeBoot, RequestedBoot
from netboot.model.install.install import Install
from netboot.operate.host_status import InstallReport, InstallStatus
from netboot.operate.planning.explanation import SourcedValue, ValueOrigin, WrittenValues
from netboot.operate.planning.host_plan import local_boot_texts, plan_texts
from netboot.operate.planning.host_plans import HostPlans
from netboot.operate.planning.next_boot import NO_BOOT
from netboot.render.template_engine import Engine

AT = datetime(2026, 11, 21, tzinfo=UTC)
PLACE = ValueOrigin("defaults.timezone", "hosts.yaml", 5, 13)
WRITTEN = WrittenValues(
    [
        SourcedValue("timezone", "UTC", (PLACE,), ()),
        SourcedValue("network.address", "192.0.2.7/24", (PLACE,), (PLACE,), is_allocated=True, recorded_at=AT),
    ],
    [],
)
URLS = {
    "script": f"{BASE_URL}/boot/52-54-00-aa-bb-01.ipxe",
    "boot_media": f"{BASE_URL}/content/ol8u10-x86_64",
    "release": f"{BASE_URL}/ostree/ock-1.31-amd64",
}
INSPECTION = RequestedBoot(OneTimeBoot.RESCUE, AT, "ol8u10-x86_64")


def plans(services: BuiltServices, *, is_armed: bool = False, requested: RequestedBoot | None = None) -> HostPlans:
    async def install_of(name: str) -> InstallReport:
        if name != "cp1":
            raise UnknownHostError(f"no host is called {name}")
        install = Install(HostName(name))
        armed = install.armed(at=AT, reason="", attempts=1) if is_armed else install
        return InstallReport(InstallStatus(armed, (), is_declared=True), None, next_boot=requested)

    async def written(_: HostName) -> WrittenValues:
        return WRITTEN

    return HostPlans(install_of, services.registry, lambda: BASE_URL, written)


def test_a_plan_is_rendered_as_if_the_host_were_armed_and_has_no_secret(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        return await plans(services).plan("cp1")

    plan = with_services(scenario)

    assert plan.offers["UEFI x64, PXE"] == "loader snponly.efi"
    assert f"{BASE_URL}/ks/KICKSTART-TOKEN" in plan.script
    assert "hidden" in plan.ignition["role"]


@pytest.mark.parametrize(
    ("is_armed", "requested", "offer"),
    [(False, None, "local-disk"), (True, None, "loader snponly.efi"), (False, INSPECTION, "loader snponly.efi")],
)
def test_the_offer_is_that_of_the_install_and_of_what_the_machine_boots_once(
    with_services: WithServices, is_armed: bool, requested: RequestedBoot | None, offer: str
):
    async def scenario(services: BuiltServices) -> Any:
        return await plans(services, is_armed=is_armed, requested=requested).next_boot("cp1")

    found = with_services(scenario)

    assert (found.offers["UEFI x64, PXE"], found.urls, found.ignition) == (offer, URLS, IgnitionWay.URL)


def test_an_explanation_is_shown_with_the_places_of_the_values(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        return json_view(await plans(services).explain("cp1"))

    shown = with_services(scenario)

    place = {"where": "defaults.timezone", "file": "hosts.yaml", "line": 5, "column": 13}
    pooled = {"key": "network.address", "value": "192.0.2.7/24", "from": [place], "overrides": [place]}
    assert shown["values"] == [
        {"key": "timezone", "value": "UTC", "from": [place], "overrides": []},
        {**pooled, "recorded_at": AT.isoformat()},
    ]
    assert (shown["host"], shown["install"]["state"], shown["urls"]) == ("cp1", "registered", URLS)


def test_of_a_host_that_is_not_in_force_only_its_values_are_known(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        return await plans(services).explain("new")

    found = with_services(scenario)

    assert (found.install, found.next_boot, found.written) == (None, NO_BOOT, WRITTEN)


def test_there_is_no_plan_of_a_host_that_is_not_in_force(with_services: WithServices):
    async def scenario(services: BuiltServices) -> Any:
        with pytest.raises(UnknownHostError):
            await plans(services).plan("new")

    with_services(scenario)


def test_each_document_has_a_title_and_a_file_and_one_that_cannot_be_rendered_has_the_error(
    with_services: WithServices, tmp_path: Path
):
    async def scenario(services: BuiltServices) -> list[list[tuple[str, str, str]]]:
        whole = await plans(services).plan("cp1")
        services.use(documents=Documents(Engine([tmp_path]), services.documents.content))
        return [list(plan_texts(each)) for each in (whole, await plans(services).plan("cp1"))]

    whole, empty = with_services(scenario)

    assert [(title, file) for title, file, _ in whole] == [
        ("offers", "offers.txt"),
        ("script", "script.ipxe"),
        ("script, unarmed", "script-unarmed.ipxe"),
        ("grub", "grub.cfg"),
        ("grub, unarmed", "grub-unarmed.cfg"),
        ("kernel lines", "kernel-lines.txt"),
        ("kickstart", "kickstart.ks"),
        *((f"ignition {part}", f"ignition-{part}.ign") for part in ("wrapper", "role", "overlay", "merged")),
    ]
    texts = {title: text for title, _, text in whole}
    assert "UEFI x64, PXE: loader snponly.efi\n" in texts["offers"]
    assert texts["kernel lines"].startswith("installer: ")
    assert [title for title, _, text in empty if "# cannot render " in text] == [
        title for title, _, _ in whole if title not in ("offers", "kernel lines")
    ]


@pytest.mark.parametrize(
    ("local_boot", "known", "text"),
    [
        (LocalBootMethod.EXIT, None, "exit: local_boot of the host"),
        (None, None, "no-file: the first of no-file, exit, sanboot, no-offer"),
        (
            None,
            LocalBoot(LocalBootMethod.SANBOOT, LocalBootState.RESTING, why="came-back"),
            "sanboot: no method is left; this one is tried again",
        ),
    ],
)
def test_the_method_by_which_a_firmware_is_led_to_its_disk_has_its_reason(
    hosts: HostSet, local_boot: LocalBootMethod | None, known: LocalBoot | None, text: str
):
    host = replace(hosts.named("cp1"), local_boot=local_boot)
    policy = Policy(UnknownHosts.IGNORE, LOADERS)

    found = local_boot_texts(host, policy, {} if known is None else {"pxe/x64": known})

    assert found["UEFI x64, PXE"] == text
