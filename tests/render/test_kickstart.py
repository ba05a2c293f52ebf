"""The Kickstart of each host as a golden file; pykickstart validates it for EL8, EL9 and EL10."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from netboot.errors import RenderError
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine

REPORT, IGNITION = "a" * 32, "b" * 32


def rendered(engine: Engine, host: Host, base_url: str) -> str:
    return kickstart(engine, host, mac=host.macs[-1], base_url=base_url, report_token=REPORT, ignition_token=IGNITION)


def test_the_kickstart_of_each_host(host: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    golden(f"{host.name}.ks", rendered(engine, host, base_url))


def test_a_release_of_another_server_is_pulled_from_there(cp1: Host, engine: Engine, base_url: str):
    remote = RemoteRelease("https://os.example.com:8443/ostree", "ock/1.33")
    host = replace(cp1, release=remote)

    text = kickstart(
        engine, host, mac=host.mac, base_url=base_url, report_token=REPORT, ignition_token=IGNITION, ref=remote.ref
    )

    [command] = [line for line in text.splitlines() if line.startswith("ostreesetup")]
    assert command == (
        "ostreesetup --nogpg --osname=ock --remote=ock --url=https://os.example.com:8443/ostree --ref=ock/1.33"
    )
    validated = KickstartParser(makeVersion("RHEL8"), missingIncludeIsFatal=False)
    validated.readKickstartFromString(text)
    assert (validated.handler.ostreesetup.url, validated.handler.ostreesetup.ref) == (remote.url, remote.ref)


@pytest.mark.parametrize(("interface", "device"), [(None, "link"), ("ibp65s0", "ibp65s0")])
def test_over_infiniband_the_network_has_an_interface_and_no_hardware_address(
    cp1: Host, engine: Engine, base_url: str, interface: str | None, device: str
):
    assert cp1.network is not None
    guid = Mac.parse("b8:ce:f6:03:00:31:33:3e")
    host = replace(cp1, macs=(guid,), network=replace(cp1.network, interface=interface))

    text = rendered(engine, host, base_url)

    assert f"--device={device} " in text
    assert "BOOTIF" not in text
    assert [line for line in text.splitlines() if guid in line and not line.startswith("#")] == []


@pytest.mark.parametrize("with_options", [False, True], ids=["plain", "release-clock-and-virtual-ip"])
@pytest.mark.parametrize("version", ["RHEL8", "RHEL9", "RHEL10"])
def test_ksvalidator_accepts_the_kickstart(
    version: str,
    with_options: bool,
    host: Host,
    engine: Engine,
    base_url: str,
    tmp_path: Path,
    tool: Callable[[str], str],
):
    file = tmp_path / "node.ks"
    text = kickstart(
        engine, replace(host, release_members=True, disk=DiskRule(serial="S1")),
        mac=host.mac, base_url=base_url, report_token=REPORT, ignition_token=IGNITION,
        sets_clock=True, virtual_ip=IPv4Address("192.0.2.100"),
    )  # fmt: skip
    file.write_text(text if with_options else rendered(engine, host, base_url))

    judged = subprocess.run(
        [tool("ksvalidator"), "--version", version, "--firsterror", str(file)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.parametrize(
    ("release", "command"),
    [
        (8, "timezone UTC --utc --ntpservers=192.0.2.1,ntp.example.com\n"),
        (9, "timezone UTC --utc\ntimesource --ntp-server=192.0.2.1\ntimesource --ntp-server=ntp.example.com\n"),
        (10, "timezone UTC --utc\ntimesource --ntp-server=192.0.2.1\ntimesource --ntp-server=ntp.example.com\n"),
        (None, "timezone UTC --utc\ntimesource --ntp-server=192.0.2.1\ntimesource --ntp-server=ntp.example.com\n"),
    ],
)
def test_time_servers_are_named_in_the_syntax_of_the_installer(
    release: int | None, command: str, cp1: Host, engine: Engine, base_url: str
):
    host = replace(cp1, ntp=("192.0.2.1", "ntp.example.com"))

    text = kickstart(
        engine, host, mac=host.mac, base_url=base_url, report_token=REPORT, ignition_token=IGNITION,
        installer_major=release,
    )  # fmt: skip

    assert command in text
    parser = KickstartParser(makeVersion(f"RHEL{release or 9}"))
    parser.readKickstartFromString(text)
    if release == 8:
        assert parser.handler.timezone.ntpservers == ["192.0.2.1", "ntp.example.com"]
    else:
        named = [source.ntp_server for source in parser.handler.timesource.timesource_list]
        assert named == ["192.0.2.1", "ntp.example.com"]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_every_script_section_is_clean_for_bash_and_for_a_plain_shell(
    shell: str, host: Host, engine: Engine, base_url: str
):
    sections = re.findall(r"^%(pre|post|onerror).*\n((?:.*\n)*?)%end$", rendered(engine, host, base_url), re.MULTILINE)

    assert [name for name, _ in sections] == ["pre", "post", "onerror"]
    for _, body in sections:
        judged = subprocess.run([shell, "-n"], check=False, input=body, capture_output=True, text=True, timeout=10)
        assert (judged.returncode, judged.stderr) == (0, "")


def test_only_the_chosen_disk_is_named(host: Host, engine: Engine, base_url: str):
    disks = set(re.findall(r"/dev/(?!null\b)[\w/.:-]+", rendered(engine, host, base_url).replace(REPORT, "")))

    assert disks - {"/dev/disk/by-path", "/dev/disk/by-id"} == {host.disk}


@pytest.mark.parametrize("setting", ["disk", "release"])
def test_what_has_no_default_is_named_with_its_cure(setting: str, cp1: Host, engine: Engine, base_url: str):
    with pytest.raises(
        RenderError,
        match=rf"^cannot render kickstart for cp1: template kickstart/node\.ks\.j2:\d+ "
        rf"uses undefined '{setting}'; set hosts\.cp1\.{setting}$",
    ):
        rendered(engine, replace(cp1, **{setting: None}), base_url)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"disk": "/dev/sda\n%pre\nrm -rf /\n%end"}, id="disk"),
        pytest.param({"kernel_arguments": ('a"\nclearpart --all',)}, id="kernel-argument"),
        pytest.param({"timezone": "UTC\nrootpw --plaintext x"}, id="timezone"),
    ],
)
def test_a_value_cannot_smuggle_in_a_line(changes: dict[str, object], cp1: Host, engine: Engine, base_url: str):
    with pytest.raises(RenderError, match="has a control character"):
        rendered(engine, replace(cp1, **changes), base_url)


def test_a_kernel_argument_with_quotes_reaches_the_bootloader_whole(
    cp1: Host, engine: Engine, base_url: str, tmp_path: Path
):
    argument = 'dyndbg="file drivers/net/* +p"'
    parser = KickstartParser(makeVersion("RHEL9"))
    parser.readKickstartFromString(rendered(engine, replace(cp1, kernel_arguments=(argument,)), base_url))

    assert parser.handler.bootloader.appendLine.endswith(f" {argument}")
