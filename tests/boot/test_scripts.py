"""A template that fails: its machine waits, no attempt is spent, and `check` names template and line."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from shutil import copyfile

import pytest
from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    LOADERS,
    MAC,
    OTHER_ADDRESS,
    UNKNOWN_ADDRESS,
    UNKNOWN_MAC,
    BuiltServices,
    WithServices,
)

from netboot.boot.documents.documents import Documents
from netboot.boot.scripts import Script
from netboot.content.assets import assets_directory
from netboot.model.boot.offer import (
    DocumentKind,
    InstallPlan,
    MachineDocument,
    Policy,
    ScriptLanguage,
    UnknownHosts,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.host import HostName, HostSet
from netboot.model.host.mac import Mac
from netboot.model.install.install import InstallState
from netboot.render.template_engine import Engine

FAULTY = Path(__file__).parent / "templates"
CP1 = HostName("cp1")
SECOND_MAC = Mac.parse("52:54:00:aa:bb:81")


def use_templates(services: BuiltServices, directory: Path, *, unknown: UnknownHosts = UnknownHosts.IGNORE) -> None:
    """Let the script service render these templates first, as `render.templates` does."""
    documents = Documents(Engine([directory, assets_directory() / "templates"]), services.documents.content)
    services.use(policy=Policy(unknown, LOADERS), documents=documents)


def templates(directory: Path, **sources: str) -> Path:
    """Write templates by name, `ipxe__local` for `ipxe/local.ipxe.j2`."""
    for name, source in sources.items():
        kind, _, document = name.partition("__")
        path = directory / "templates" / kind / f"{document}.{'ipxe' if kind == 'ipxe' else 'cfg'}.j2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return directory / "templates"


async def script(
    services: BuiltServices,
    mac: Mac = MAC,
    address: IPv4Address = ADDRESS,
    language: ScriptLanguage = ScriptLanguage.IPXE,
) -> Script:
    return await services.script_service.serve_script(mac, address, language, base_url=BASE_URL)


async def reasons(services: BuiltServices) -> list[object]:
    return [event.data["reason"] for event in await services.events() if event.name == "boot.script_held_back"]


def test_a_faulty_template_of_the_local_boot_gives_a_script_that_waits(with_services: WithServices, tmp_path: Path):
    (tmp_path / "ipxe").mkdir()
    copyfile(FAULTY / "local.ipxe.j2", tmp_path / "ipxe" / "local.ipxe.j2")

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, tmp_path)
        services.boots(FIRMWARE, IPXE)

        written = [await script(services) for _ in range(3)]

        assert {found.plan for found in written} == {
            WaitPlan(MAC, WaitReason.TEMPLATE_FAULT, services.hosts.get("cp1"))
        }
        assert written[0].text.startswith("#!ipxe\n")
        assert "chain --replace --autofree http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe" in written[0].text
        assert "cp1 waits: a template on the server is faulty" in written[0].text
        assert await reasons(services) == [
            "cannot render ipxe for cp1: template ipxe/local.ipxe.j2:2 uses undefined 'hostname'; correct the template"
        ]
        served = [event.data["plan"] for event in await services.events() if event.name == "boot.script_served"]
        assert served == ["wait"]

    with_services(scenario)


def test_a_faulty_template_of_waiting_is_replaced_by_the_built_in_one(with_services: WithServices, tmp_path: Path):
    (tmp_path / "ipxe").mkdir()
    copyfile(FAULTY / "wait.ipxe.j2", tmp_path / "ipxe" / "wait.ipxe.j2")

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, tmp_path, unknown=UnknownHosts.WAIT)

        written = await script(services, UNKNOWN_MAC, UNKNOWN_ADDRESS)

        assert written.plan == WaitPlan(UNKNOWN_MAC, WaitReason.UNKNOWN_HOST)
        assert written.text.startswith("#!ipxe\n")
        assert "echo netboot: this machine is not registered. On the server:" in written.text
        assert "wait.ipxe.j2:2 uses undefined 'nosuch'" in str(written.fault)

    with_services(scenario)


@pytest.mark.parametrize("document", [DocumentKind.GRUB_CONFIG])
def test_a_faulty_template_of_the_installer_spends_no_attempt(
    with_services: WithServices, tmp_path: Path, document: DocumentKind
):
    (tmp_path / "grub").mkdir()
    copyfile(FAULTY / "install.cfg.j2", tmp_path / "grub" / "install.cfg.j2")

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, tmp_path)
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        for _ in range(4):
            services.boots(FIRMWARE)
            text = await services.file_service.render(MachineDocument(document, MAC), ADDRESS, base_url=BASE_URL)
            assert text is not None
            assert "configfile (http,192.0.2.10:8080)/boot/52-54-00-aa-bb-01/grub.cfg" in text.replace("'", "")
            services.clock.pass_(300)

        install = await services.install_moves.read(CP1)
        assert install.arming is not None
        assert (install.state, install.arming.spent) == (InstallState.REGISTERED, 0)
        assert set(await reasons(services)) == {
            "cannot render grub for cp1: template grub/install.cfg.j2:1 uses undefined 'medium_pth'; "
            "correct the template"
        }

        services.boots(FIRMWARE, IPXE)
        assert isinstance((await script(services)).plan, InstallPlan)  # iPXE needs no template of GRUB

    with_services(scenario)


def test_a_template_that_fails_for_the_card_that_boots_spends_no_attempt(with_services: WithServices, tmp_path: Path):
    source = '#!ipxe\n{% if mac == "52:54:00:aa:bb:81" %}{{ nosuch }}{% endif %}\n'
    directory = templates(tmp_path, ipxe__install=source)

    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.get("cp1")
        assert host is not None
        two_cards = replace(host, macs=(MAC, SECOND_MAC))
        services.use(hosts=HostSet.of(services.hosts.cluster, [two_cards]))
        use_templates(services, directory)
        await services.install_moves.arm_all([CP1], reason="test", attempts=1)
        services.boots(replace(FIRMWARE, mac=SECOND_MAC), replace(IPXE, mac=SECOND_MAC), address=OTHER_ADDRESS)

        waiting = await script(services, SECOND_MAC, OTHER_ADDRESS)

        assert waiting.plan == WaitPlan(SECOND_MAC, WaitReason.NOT_READY, two_cards)
        install = await services.install_moves.read(CP1)
        assert install.arming is not None
        assert (install.arming.spent, install.tokens.kickstart) == (0, "")

        (
            directory / "ipxe" / "install.ipxe.j2"
        ).unlink()  # the operator removes it; the same boot sends its request again
        use_templates(services, directory)

        assert isinstance((await script(services, SECOND_MAC, OTHER_ADDRESS)).plan, InstallPlan)
        assert (await services.install_moves.read(CP1)).arming.spent == 1  # type: ignore[union-attr]

    with_services(scenario)


@pytest.mark.parametrize("language", ScriptLanguage)
def test_a_kernel_line_that_is_too_long_gives_a_script_that_waits_to_any_address(
    with_services: WithServices, language: ScriptLanguage
):
    async def scenario(services: BuiltServices) -> None:
        host = services.hosts.get("cp1")
        assert host is not None
        long = replace(host, kernel_arguments=tuple(f"argument{number}=value" for number in range(200)))
        services.use(hosts=HostSet.of(services.hosts.cluster, [long]))
        use_templates(services, assets_directory() / "templates")
        await services.install_moves.arm_all([CP1], reason="test", attempts=1)

        unannounced = await script(services, address=UNKNOWN_ADDRESS, language=language)
        services.boots(FIRMWARE, IPXE)
        announced = await script(services, language=language)

        assert unannounced.plan == WaitPlan(MAC, WaitReason.NOT_ANNOUNCED, long)
        assert announced.plan == WaitPlan(MAC, WaitReason.NOT_READY, long)
        assert (await services.install_moves.read(CP1)).arming.spent == 0  # type: ignore[union-attr]
        [reason] = await reasons(services)
        assert "the kernel takes 2047; shorten hosts.cp1.kernel_arguments" in str(reason)

    with_services(scenario)


@pytest.mark.parametrize(
    "source",
    [
        "{{ nosuch }}",
        "{% if %}",
        "{% include 'ipxe/nothing.j2' %}",
        "#!ipxe\n{{ mac.__class__.mro() }}",
        "{% macro a() %}{{ a() }}{% endmacro %}#!ipxe\n{{ a() }}",
        "#!ipxe\n{{ 1 / 0 }}",
        "#!ipxe\n{{ 'two\nlines' }}",
        "echo no iPXE script\n",
        "",
    ],
)
def test_whatever_a_template_does_wrong_the_machine_waits(with_services: WithServices, tmp_path: Path, source: str):
    directory = templates(tmp_path, ipxe__local=source, ipxe__wait=source, ipxe__autoexec=source)

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, directory)

        written = await script(services)
        autoexec = await services.file_service.render(
            MachineDocument(DocumentKind.IPXE_AUTOEXEC, MAC), ADDRESS, base_url=BASE_URL
        )

        assert "goto ask_again" in written.text
        assert autoexec is not None
        assert "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe" in autoexec

    with_services(scenario)


def test_a_template_that_is_no_utf_8_gives_a_script_that_waits(with_services: WithServices, tmp_path: Path):
    directory = templates(tmp_path, ipxe__wait="", ipxe__local="")
    for name in ("wait", "local"):
        (directory / "ipxe" / f"{name}.ipxe.j2").write_bytes(b"#!ipxe\n\xff\n")

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, directory)

        assert "goto ask_again" in (await script(services)).text

    with_services(scenario)


def test_every_script_that_a_machine_may_be_sent_is_made_by_the_check(with_services: WithServices, tmp_path: Path):
    every = [f"{language}__{name}" for language in ("ipxe", "grub") for name in ("install", "local", "wait")]
    directory = templates(tmp_path, **dict.fromkeys([*every, "ipxe__autoexec"], "{{ nosuch }}\n"))

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, directory)
        documents, host = services.documents, services.hosts.get("cp1")
        assert host is not None

        before_and_after = [str(fault) for fault in documents.script_problems(MAC, host)]
        unregistered = [str(fault) for fault in documents.script_problems(UNKNOWN_MAC, None)]
        install = [str(fault) for fault in await documents.problems(host)]
        autoexec = [str(fault) for fault in documents.autoexec_problems(MAC)]

        def faults(subject: str, *names: str) -> list[str]:
            return [
                f"cannot render {name.partition('/')[0]} for {subject}: template {name}:1 uses undefined 'nosuch'; "
                "correct the template"
                for name in names
            ]

        scripts = ("ipxe/local.ipxe.j2", "grub/local.cfg.j2", "ipxe/wait.ipxe.j2", "grub/wait.cfg.j2")
        assert before_and_after == faults("cp1", *scripts)
        assert unregistered == faults(UNKNOWN_MAC, *scripts)
        assert install == faults("cp1", "ipxe/install.ipxe.j2", "grub/install.cfg.j2")
        assert autoexec == [*faults(MAC, "ipxe/autoexec.ipxe.j2"), *faults("any machine", "ipxe/autoexec.ipxe.j2")]

    with_services(scenario)


@pytest.mark.parametrize("reason", WaitReason)
def test_every_reason_to_wait_has_its_own_branch_of_the_check(
    with_services: WithServices, tmp_path: Path, reason: WaitReason
):
    source = f"#!ipxe\n{{% if reason == '{reason}' %}}{{{{ nosuch }}}}{{% endif %}}\n"
    directory = templates(tmp_path, ipxe__wait=source)

    async def scenario(services: BuiltServices) -> None:
        use_templates(services, directory)
        documents, host = services.documents, services.hosts.get("cp1")

        found = [*documents.script_problems(MAC, host), *documents.script_problems(UNKNOWN_MAC, None)]

        assert len(found) == 1

    with_services(scenario)
