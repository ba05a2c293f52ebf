"""What is judged of one host without a daemon: entry, readiness, loader, documents, deadlines."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from doctor.content.conftest import NOW, SIGNED_GRUB, SIGNED_SHIM, Appliance
from fixtures import signed_loaders as made

from netboot.app import from_settings
from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.doctor.doctor_finding import AreaReport, Level
from netboot.doctor.host import document_checks
from netboot.doctor.host.document_checks import check_ignition, check_kickstart
from netboot.doctor.host.examine_host import CHECKS, examine_host
from netboot.doctor.host.host_facts import HostFacts
from netboot.doctor.host.host_state_checks import check_registered
from netboot.model.boot.boot_client import Arch
from netboot.registry.load import read

W1 = "52:54:00:12:34:56"
BASE = "http://192.0.2.10:8080"


def facts(appliance: Appliance, name: str = "w1", **more: Any) -> HostFacts:
    configuration, content = read(appliance.directory / "netboot.yaml"), appliance.facts()
    host = configuration.hosts.get(name)
    readiness = from_settings.readiness_for(configuration.settings, content.registry)
    found = HostFacts(
        name,
        host,
        content,
        BASE,
        faults=[each for each in configuration.faults if f"{each.where}.".startswith(f"hosts.{name}.")],
        reasons=asyncio.run(readiness.reasons(host)) if host is not None else (),
        known_hosts=[each.name for each in configuration.hosts],
        daemon_runs=False,
    )
    return replace(found, **more)


def report(appliance: Appliance, name: str = "w1", **more: Any) -> AreaReport:
    return asyncio.run(examine_host(facts(appliance, name, **more)))


def test_a_healthy_host_has_no_finding_and_what_needs_a_daemon_is_named(appliance: Appliance):
    found = report(appliance)

    assert found.findings == ()
    assert {check for check, why in found.not_checked.items() if why.startswith("no daemon runs")} == {
        "host.loader_sent",
        "host.loader_tftp",
        "host.medium_sent",
        "host.release_sent",
    }
    assert {*found.checked, *found.not_checked} == set(CHECKS)


def test_a_name_that_no_file_declares(appliance: Appliance):
    found = report(appliance, "w9")

    [finding] = found.findings
    assert (finding.check, finding.level, finding.evidence) == ("host.registered", Level.PROBLEM, ("hosts: cp1, w1",))
    assert set(found.not_checked) == set(CHECKS[2:])


def test_a_host_with_a_fault_in_its_file(appliance: Appliance):
    hosts = appliance.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("w1: {role: worker", "w1: {rol: worker"))

    found = report(appliance)

    assert {each.check for each in found.findings} == {"host.files"}
    assert "hosts.w1.rol" in found.findings[0].sentence


def test_a_daemon_that_does_not_have_the_host_yet(appliance: Appliance):
    [finding] = check_registered(facts(appliance, daemon_runs=True))

    assert (finding.level, finding.cure) == (Level.PROBLEM, "netboot reload")


def test_reasons_against_an_install_are_problems_with_their_cure(appliance: Appliance):
    (appliance.medium / "initrd.img").unlink()

    [finding] = [each for each in report(appliance).findings if each.check == "host.ready"]

    assert (finding.level, "has no initrd.img" in finding.sentence) == (Level.PROBLEM, True)
    assert (finding.cure or "").startswith("copy it from the ISO")


def test_the_loader_of_the_firmware_that_was_seen_is_judged(appliance: Appliance):
    (appliance.boot / "snponly-arm64.efi").write_bytes(made.ipxe("arm64")[:-600])
    assert [each for each in report(appliance).findings if each.check == "host.loader"] != []

    appliance.add_machine(W1, arch=Arch.X64_UEFI)

    assert report(appliance).findings == ()  # it is not offered the loader for arm64


def test_a_firmware_that_gets_no_loader(appliance: Appliance):
    appliance.add_machine(W1, arch=Arch.IA32_UEFI)

    [finding] = [each for each in report(appliance).findings if each.check == "host.loader"]

    assert finding.sentence == "w1 boots as pxe/ia32 and gets no loader: no-loader-for-arch"
    assert finding.evidence[0] == "Oracle Linux 9 and 10: ipxe-bootimgs-x86"


def test_secure_boot_needs_a_signed_loader(appliance: Appliance):
    appliance.add_machine(W1, secure_boot=True)
    assert [each.check for each in report(appliance).findings] == ["host.loader"]

    appliance.with_shim(SIGNED_SHIM, SIGNED_GRUB)

    assert report(appliance).findings == ()


def test_an_ended_token_of_the_role(appliance: Appliance):
    file = appliance.directory / "ign/worker-join.ign"
    os.utime(file, ((NOW - timedelta(hours=25)).timestamp(),) * 2)

    found = {each.check: each.level for each in report(appliance).findings}

    assert found["host.deadlines"] is Level.PROBLEM


@pytest.mark.parametrize("name", ["cp1", "w1"])
def test_ksvalidator_and_ignition_validate_accept_the_documents(appliance: Appliance, name: str):
    given = facts(appliance, name)
    assert given.host is not None

    assert asyncio.run(check_kickstart(given, given.host)) == ([], None)
    assert asyncio.run(check_ignition(given, given.host)) == ([], None)


def test_a_template_that_ksvalidator_refuses_is_named_by_its_line_alone(appliance: Appliance):
    templates = appliance.directory / "templates/kickstart"
    templates.mkdir(parents=True)
    (templates / "node.ks.j2").write_text("lang en_US.UTF-8\nrootpw-secret hunter2\n")
    settings = appliance.directory / "netboot.yaml"
    settings.write_text(settings.read_text() + "render: {templates: [templates]}\n")
    given = facts(appliance)
    assert given.host is not None

    [finding], reason = asyncio.run(check_kickstart(given, given.host))

    assert (reason, finding.evidence) == (None, ("line 2 of it",))
    assert "hunter2" not in str(finding)


def test_documents_that_cannot_be_rendered_or_have_no_program_are_not_judged(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
):
    given = facts(appliance)
    assert given.host is not None
    unrendered = replace(given.host, disk=None, ignition=appliance.directory / "none.ign")
    reasons = [asyncio.run(check(given, unrendered)) for check in (check_kickstart, check_ignition)]
    monkeypatch.setattr(document_checks, "which", lambda *_, **__: None)
    without = [asyncio.run(check(given, given.host)) for check in (check_kickstart, check_ignition)]

    assert reasons == [([], "it cannot be rendered, as host.ready states")] * 2
    assert without == [([], "ksvalidator is not installed"), ([], "ignition-validate is not installed")]


def test_what_ignition_validate_refuses_is_named_by_its_places_alone(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "bin" / "ignition-validate"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\ngrep -q netboot-ready $1 || exit 0\n"
        "echo 'error at $.storage.files.0.path, line 3 col 9: hunter2'; echo 'warning at line 12: hunter2'; exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    given = facts(appliance)
    assert given.host is not None

    [finding], reason = asyncio.run(check_ignition(given, given.host))

    assert (reason, finding.level) == (None, Level.WARNING)
    assert finding.sentence == "ignition-validate refuses the overlay of w1"
    assert finding.evidence == ("$.storage.files.0.path", "line 12", "line 3")


def test_a_program_that_does_not_end_is_killed_and_refuses(
    appliance: Appliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "bin" / "ksvalidator"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(document_checks, "_TIMEOUT_S", 0.2)
    given = facts(appliance)
    assert given.host is not None

    [finding], reason = asyncio.run(check_kickstart(given, given.host))

    assert (reason, finding.level, finding.evidence) == (None, Level.PROBLEM, ("it",))


def test_a_part_with_another_hash_than_its_wrapper_states_is_a_problem(
    appliance: Appliance, monkeypatch: pytest.MonkeyPatch
):
    given = facts(appliance)
    assert given.host is not None
    ignition = given.content.registry.documents.ignition
    render = ignition.render

    async def damaged(*arguments: Any, **options: Any) -> Any:
        made_parts = await render(*arguments, **options)
        return {**made_parts, IgnitionPart.ROLE: made_parts[IgnitionPart.ROLE] + b"\n"}

    monkeypatch.setattr(type(ignition), "render", lambda _, *given, **more: damaged(*given, **more))

    [finding], reason = asyncio.run(check_ignition(given, given.host))

    assert (reason, finding.check, finding.level) == (None, "host.ignition", Level.PROBLEM)
    assert finding.sentence == "the Ignition wrapper states another hash than its part has, so Ignition stops"
