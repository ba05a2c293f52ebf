"""Why a host does not proceed, as `install show` and `host show` print it: from the data in the store."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, UNKNOWN_ADDRESS, BuiltServices, WithServices

from netboot.admin.json_views import json_view
from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.token_documents import Report
from netboot.boot_records.kept_records import KeptRecords
from netboot.boot_records.record_files import RecordFiles
from netboot.content.bootfiles.directories import BootFiles
from netboot.model.boot.boot_client import Arch
from netboot.model.boot.offer import Policy, UnknownHosts
from netboot.model.host.host import HostName, HostSet
from netboot.operate.administration import Administration
from netboot.operate.cluster.role_file_uses import RoleFileUses
from netboot.operate.readiness import Readiness
from netboot.registry.writing.host_writer import HostWriter
from netboot.store.allocations import Allocations

CP1 = HostName("cp1")
SENT = {"bytes_sent": 100, "seconds": 0.1, "retransmissions": 0, "outcome": "sent"}


async def arm(services: BuiltServices) -> None:
    await services.install_moves.arm_all([CP1], reason="the operator's own reason", attempts=3)


def never_armed_here() -> Readiness:
    raise AssertionError("nothing is armed by showing it")


async def shown(services: BuiltServices) -> dict[str, Any]:
    """What `host show cp1 --json` prints."""
    await services.event_log.flush()
    await services.machines.flush()
    opened = administration(services)
    found = dict(json_view(await opened.host("cp1")))
    install = json_view(await opened.install("cp1"))
    assert install == found["install"]
    return found


def administration(services: BuiltServices) -> Administration:
    return Administration(
        services.install_moves,
        services.event_bus,
        event_log=services.event_log,
        machines=services.machines,
        allocations=Allocations(services.database),
        served=services.served,
        boot_waits=services.boot_waits,
        boot_recorder=services.boot_recorder,
        inspections=services.inspections,
        hosts=lambda: services.hosts,
        host_files=HostWriter(Path("netboot.yaml")),
        readiness=never_armed_here,
        role_files=RoleFileUses(
            lambda: services.hosts, lambda _: (), now=services.clock.now, random_bytes=services.clock.random_bytes
        ),
        attempts=3,
        records=KeptRecords(RecordFiles(services.directory / "logs")),
        now=services.clock.now,
        bmc_credentials=Path("bmc.d"),
    )


async def reason(services: BuiltServices) -> str | None:
    text: str | None = (await shown(services))["install"]["reason"]
    return text


async def code(services: BuiltServices) -> str | None:
    blocked = (await shown(services))["install"]["blocked"]
    return blocked and blocked["reason"]


def test_a_missing_document_is_reported_with_its_cure_until_the_machine_gets_its_script(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        role_file = services.hosts.get("cp1").ignition  # type: ignore[union-attr]
        assert role_file is not None
        text = role_file.read_bytes()
        role_file.unlink()
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        blocked = (await shown(services))["install"]["blocked"]
        assert str(role_file) in blocked["sentence"]
        assert blocked["since"] == services.clock.now().isoformat()

        services.clock.pass_(10)
        role_file.write_bytes(text)
        await services.script_for(MAC, ADDRESS)

        assert await code(services) is None

    with_services(scenario)


def test_a_dead_end_stays_reported_over_further_boots_and_over_another_arming(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        directory = services.directory / "loaders"
        directory.mkdir()
        (directory / "undionly.kpxe").write_bytes(b"x")
        bootfiles = BootFiles([directory])
        policy = Policy(UnknownHosts.IGNORE, bootfiles.loaders())
        services.use(policy=policy, boot_files=bootfiles)
        await arm(services)
        bios = replace(FIRMWARE, arch=Arch.X86_BIOS)
        for exchange in range(1, 5):
            services.boots(replace(bios, exchange=exchange))
            services.file_service.request_file(ADDRESS, "undionly.kpxe")
            services.file_service.record_loader(ADDRESS, "undionly.kpxe", **SENT)  # type: ignore[arg-type]
            services.clock.pass_(100)
        assert await code(services) == "no-script"
        assert "undionly.kpxe runs" in str(await reason(services))

        await services.install_moves.cancel(CP1, reason="")
        await arm(services)

        assert await code(services) == "no-script"

    with_services(scenario)


def test_a_machine_that_is_refused_is_shown_with_the_reason_and_the_package_to_install(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        arm64 = replace(FIRMWARE, arch=Arch.ARM64_UEFI)
        await arm(services)
        for _ in range(3):
            services.offer(arm64)

        assert await reason(services) == (
            "cp1 gets no offer (it boots as arm64-uefi by pxe): no loader for arm64 (option 93 = 11): "
            "none of no directory has snponly-arm64.efi or ipxe-arm64.efi; "
            "install ipxe-bootimgs-aarch64 (Oracle Linux; Debian 12 has none), or put one there as snponly-arm64.efi"
        )
        assert (await services.event_names()).count("dhcp.architecture_refused") == 1
        services.clock.pass_(100)
        services.boots(FIRMWARE)
        assert await code(services) is None

    with_services(scenario)


def test_a_machine_whose_named_loader_is_for_another_cpu_is_shown_so(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        cp1 = services.hosts.get("cp1")
        assert cp1 is not None
        hosts = HostSet.of(services.hosts.cluster, [replace(cp1, loader="undionly.kpxe")])
        services.use(hosts=hosts)
        await arm(services)
        services.offer(FIRMWARE)

        assert await reason(services) == (
            "cp1 gets no offer (it boots as x64-uefi by pxe): undionly.kpxe is built for x86-bios, not for x64; "
            "correct hosts.cp1.loader"
        )

    with_services(scenario)


def test_an_armed_host_that_was_not_heard_says_so_and_one_that_was_armed_never_too(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        assert await reason(services) == "cp1 is not armed, so it boots its own disk; netboot install arm cp1"
        await arm(services)
        assert await code(services) == "not-heard"
        services.boots(FIRMWARE)
        assert await code(services) is None

    with_services(scenario)


def test_behind_a_router_that_translates_addresses_the_reason_is_the_address(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        for _ in range(5):
            await services.script_for(MAC, UNKNOWN_ADDRESS)

        assert await code(services) == "other-address"
        assert "(NAT)" in str(await reason(services))

    with_services(scenario)


def test_another_address_hides_no_reason_of_the_machine_itself(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.hosts.get("cp1").ignition.unlink()  # type: ignore[union-attr]
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        await services.script_for(MAC, UNKNOWN_ADDRESS)

        assert "cannot read the Ignition" in str(await reason(services))

    with_services(scenario)


async def fail(services: BuiltServices, text: str) -> None:
    await arm(services)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    token = (await services.install_moves.read(CP1)).tokens.report
    assert await services.document_service.report(token, Report.FAILED, address=ADDRESS, body=text) is None


DISKS = "disks present:\nNAME SIZE MODEL\nsda  894G SAMSUNG \x1b[31mX\n"


def test_the_reason_of_a_failure_is_the_first_line_of_its_report_and_the_disks_stay_apart(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await fail(services, f"/dev/vda is not there: set hosts.cp1.disk to one of the disks present\n{DISKS}")
        found = await shown(services)

        assert found["install"]["blocked"] == {
            "reason": "reported-failed",
            "sentence": "/dev/vda is not there: set hosts.cp1.disk to one of the disks present",
            "cure": "it is still armed: its next network boot tries again",
            "since": services.clock.now().isoformat(),
        }
        assert found["disks"] == ["NAME SIZE MODEL", "sda  894G SAMSUNG \ufffd[31mX"]
        moved = (await services.events())[-1]
        assert (moved.step, moved.data["note"]) == ("failed", found["install"]["blocked"]["sentence"])

    with_services(scenario)


def test_a_failure_of_before_is_no_reason_once_the_host_is_armed_again(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await fail(services, "no space left")
        await services.install_moves.cancel(CP1, reason="")
        assert str(await reason(services)).startswith("no space left; the whole report: ")
        services.clock.pass_(10)
        await arm(services)

        assert await code(services) == "not-heard"

    with_services(scenario)


def test_a_host_shows_when_it_was_last_heard_its_last_offer_and_the_last_reason(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[dict[str, Any], dict[str, Any]]:
        before = await shown(services)
        services.boots(FIRMWARE)
        services.clock.pass_(10)
        await services.script_for(MAC, UNKNOWN_ADDRESS)
        await arm(services)
        services.offer(replace(FIRMWARE, arch=Arch.ARM64_UEFI))
        return before, await shown(services)

    before, after = with_services(scenario)

    assert [before[key] for key in ("last_heard", "last_offer", "last_reason", "disks")] == [None, None, None, []]
    assert after["last_heard"] == "2026-11-21T00:16:50+00:00"
    assert after["last_offer"] == {
        "at": "2026-11-21T00:16:40+00:00",
        "kind": "local-disk",
        "stage": "firmware",
        "boot_file": None,
        "arch": "x64-uefi",
        "protocol": "pxe",
        "vendor_class": None,
        "method": "no-file",
    }
    assert after["last_reason"]["reason"].startswith("cp1 gets no offer (it boots as arm64-uefi by pxe): ")


@pytest.mark.parametrize("address", [ADDRESS, UNKNOWN_ADDRESS])
def test_a_node_that_is_ready_is_held_back_by_nothing(with_services: WithServices, address: IPv4Address):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        tokens = (await services.install_moves.read(CP1)).tokens
        assert await services.document_service.report(tokens.report, Report.READY, address=ADDRESS) is None
        await services.document_service.serve_kickstart(tokens.kickstart, address, base_url="http://192.0.2.10:8080")

        assert await code(services) is None

    with_services(scenario)


def test_every_move_of_the_history_has_its_reason_in_one_line(with_services: WithServices):
    async def scenario(services: BuiltServices) -> list[tuple[str, str, str]]:
        await fail(services, f"no space left\nlast line\n{DISKS}")
        for _ in range(3):
            services.clock.pass_(300)
            services.boots(FIRMWARE, IPXE)
            await services.script_for(MAC, ADDRESS)
        moves = json_view(await services.install_moves.history(CP1))
        return [(move["what"], move["reason"], move["note"]) for move in moves if move["reason"]]

    assert with_services(scenario) == [
        ("armed", "the operator's own reason", "the operator's own reason"),
        ("reported-failed", "no space left", "no space left\nlast line"),
        ("attempts-spent", "every boot of its arming is spent, and no installer reported an end", ""),
    ]


CHECKS = """\
netboot-checks 1
firmware pass UEFI
disk pass sda
members fail sda is in use: sda1 is swap
ntp skipped none
disks present:
sda 894G
"""


def test_a_failed_check_is_the_reason_with_the_table_of_checks_and_the_disks(with_services: WithServices):
    async def scenario(services: BuiltServices) -> dict[str, Any]:
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        token = (await services.install_moves.read(CP1)).tokens.report
        before = await shown(services)
        assert (before["checks"], before["install"]["checks"]) == ([], [])
        await services.document_service.report_checks(token, address=ADDRESS, body=CHECKS)
        await services.document_service.report(token, Report.FAILED, address=ADDRESS, body="again")
        services.clock.pass_(300)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        return await shown(services)

    found = with_services(scenario)

    assert found["install"]["blocked"] | {"since": None} == {
        "reason": "checks-failed",
        "sentence": "sda is in use: sda1 is swap",
        "cure": "nothing was written, and it waits: correct this, then netboot install arm cp1; "
        "or netboot install cancel cp1 to boot its own disk",
        "since": None,
    }
    assert (found["install"]["state"], found["install"]["armed"]) == ("failed", True)
    assert found["checks"] == [
        {"name": "firmware", "result": "pass", "found": "UEFI"},
        {"name": "disk", "result": "pass", "found": "sda"},
        {"name": "members", "result": "fail", "found": "sda is in use: sda1 is swap"},
        {"name": "ntp", "result": "skipped", "found": "none"},
    ]
    assert found["disks"] == ["sda 894G"]


async def causes_of_a_whole_boot(services: BuiltServices) -> list[str | None]:
    """Install cp1 and boot its disk; return the causes that are shown after each step."""
    found = []

    async def note() -> None:
        cause = (await shown(services))["install"]["cause"]
        found.append(cause and cause["name"])
        services.clock.pass_(5)

    await arm(services)
    for client in (FIRMWARE, IPXE):
        services.boots(client)
        await note()
        if client is FIRMWARE:
            services.file_service.record_loader(ADDRESS, "snponly.efi", **SENT)  # type: ignore[arg-type]
            await note()
    await services.script_for(MAC, ADDRESS)
    await note()
    tokens, documents = (await services.install_moves.read(CP1)).tokens, services.document_service
    await documents.serve_kickstart(tokens.kickstart, ADDRESS, base_url="http://192.0.2.10:8080")
    await note()
    await documents.report_checks(tokens.report, address=ADDRESS, body=CHECKS.replace("members fail", "members pass"))
    await note()
    for report in (Report.STARTED, Report.DONE):
        await documents.report(tokens.report, report, address=ADDRESS)
        await note()
    services.clock.pass_(100)
    services.boots(FIRMWARE)
    await note()
    for part in (IgnitionPart.WRAPPER, IgnitionPart.ROLE, IgnitionPart.OVERLAY):
        await documents.serve_ignition(tokens.ignition, part, address=ADDRESS, base_url="http://192.0.2.10:8080")
    await note()
    await documents.report(tokens.report, Report.READY, address=ADDRESS)
    await note()
    return found


def test_a_boot_that_proceeds_has_no_cause_at_any_of_its_steps(with_services: WithServices):
    assert with_services(causes_of_a_whole_boot) == [None] * 11


def test_a_cause_is_shown_with_its_evidence(with_services: WithServices):
    async def scenario(services: BuiltServices) -> dict[str, Any]:
        await arm(services)
        services.boots(FIRMWARE)
        services.file_service.record_failed_loader(
            ADDRESS, "snponly.efi", outcome="unanswered", bytes_sent=0, size_bytes=100
        )
        return dict((await shown(services))["install"]["cause"])

    assert with_services(scenario) == {
        "name": "tftp-blocked",
        "sentence": "cp1 requested snponly.efi by TFTP, and acknowledged no packet of it",
        "evidence": [
            "00:16:40 UTC boot.transfer_failed: content loader, name snponly.efi, outcome unanswered, bytes 0, "
            "size_bytes 100",
            "00:16:40 UTC boot.offered: kind loader, stage firmware, boot_file snponly.efi, arch x64-uefi, "
            "protocol pxe",
        ],
        "cure": "a firewall between them blocks the packets of the transfer, which come from another port than 69: "
        "permit UDP in both directions, or set tftp.single_port: true; else check the path for a small MTU",
        "severity": "error",
        "since": "2026-11-21T00:16:40+00:00",
    }


def test_a_release_that_is_missing_is_the_cause_of_a_boot_that_waits(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> str | None:
        services.change_host("cp1", release="gone")
        await arm(services)
        services.boots(FIRMWARE, IPXE)
        await services.script_for(MAC, ADDRESS)
        found = (await shown(services))["install"]
        assert found["blocked"]["reason"] == "release-missing"
        return str(found["cause"]["name"])

    assert with_services(scenario) == "release-missing"


def test_a_host_that_boots_is_shown_with_what_it_waits_for_and_what_is_expected(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        await arm(services)
        assert (await shown(services))["wait"] is None
        services.boots(FIRMWARE)
        began = services.clock.now().isoformat()
        expected = {"median_s": 5, "p95_s": 20, "limit_s": 120, "boots": 0}
        wait = {"step": "loader", "since": began, "expected": expected, "overdue": False}
        assert (await shown(services))["wait"] == wait
        services.clock.pass_(121)
        assert (await shown(services))["wait"] == {**wait, "overdue": True}
        waits = {host["name"]: host["wait"] for host in json_view(await administration(services).hosts())}
        assert waits == {**dict.fromkeys(waits), "cp1": {**wait, "overdue": True}}
        services.clock.pass_(5 * 3600)
        assert (await shown(services))["wait"] is None

    with_services(scenario)
