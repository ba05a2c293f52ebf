"""Whole configurations are read: one Configuration or every fault is the result."""

import textwrap
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.errors import ConfigError
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.firmware import ReplyVariant, RomIpxe
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.host_network import HostNetwork
from netboot.model.host.mac import Mac
from netboot.registry.load import Configuration, load, load_settings

REPOSITORY = Path(__file__).parents[2]

EIGHT_FAULTS = """\
cluster:
  name: rackone
  init: cp9
defaults:
  timezone: Europe/Berln
hosts:
  cp1:
    role: control-plane
    mac: 52:54:00:aa:bb:01
    disk: sda
    kernel_arguments: ['console="ttyS0"']
  cp2:
    role: control-plain
    mac: 52:54:00:aa:bb:01
    network: {address: 192.0.2.101/24, gateway: 198.51.100.1}
"""


def test_eight_faults_in_two_files_are_all_reported_with_line_and_column(site):
    site.write("netboot.yaml", "network: {interfaces: [eno2]}\nhttp: {prot: 80}\n")
    site.write("hosts.yaml", EIGHT_FAULTS)

    assert site.faults() == [
        "hosts.yaml:3:9: cluster.init: no host is called 'cp9'; did you mean cp2?",
        "hosts.yaml:5:13: defaults.timezone: no such time zone 'Europe/Berln'; did you mean Europe/Berlin?",
        "hosts.yaml:10:11: hosts.cp1.disk: 'sda' is not below /dev; "
        "write the whole path, as /dev/disk/by-path/pci-0000:03:00.0-ata-1",
        "hosts.yaml:11:24: hosts.cp1.kernel_arguments[0]: 'console=\"ttyS0\"' is not safe on a kernel line; "
        "write one argument per item, of letters, digits and ._:,=/@+%~!-",
        "hosts.yaml:13:11: hosts.cp2.role: no such role 'control-plain'; did you mean control-plane?",
        "hosts.yaml:14:10: hosts.cp2.mac: 52:54:00:aa:bb:01 belongs to cp1 already (hosts.yaml:9:10); "
        "give each NIC to one host",
        "hosts.yaml:15:49: hosts.cp2.network.gateway: the gateway 198.51.100.1 is outside 192.0.2.0/24; "
        "correct the gateway or the prefix",
        "netboot.yaml:2:8: http.prot: no such setting; did you mean port?",
    ]


def test_defaults_then_role_then_host_make_a_host(site):
    site.write(
        "hosts.yaml",
        """
        cluster: {name: rackone, init: cp1}
        defaults:
          boot_media: ol8u10-x86_64
          release: 1.30
          timezone: Europe/Berlin
          ntp: [192.0.2.1, 192.0.2.2]
          kernel_arguments: [quiet]
          network: {gateway: 192.0.2.1, nameservers: [192.0.2.1, 192.0.2.2]}
        roles:
          control-plane: {release: ock-1.31-amd64, ignition: {init: init.ign, join: join.ign}}
          worker: {ignition: {join: join.ign}, loader: ipxe.efi, firmware: without-43}
        hosts:
          cp1:
            role: control-plane
            mac: 52:54:00:12:34:56
            disk: /dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0
            kernel_arguments: ["console=ttyS0,115200n8"]
            network: {address: 192.0.2.101/24, interface: enp1s0}
            ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKE operator]
          w1.example.com:
            role: worker
            mac: [52-54-00-12-34-57, 5254.0012.3458]
            timezone: UTC
            ntp: [ntp.example.com]
            loader: efi/shimx64.efi
            rom_ipxe: replace
        """,
    )

    assert site.load().hosts == HostSet(
        Cluster("rackone", "cp1"),
        {
            HostName("cp1"): Host(
                name=HostName("cp1"),
                role=Role.CONTROL_PLANE,
                macs=(Mac("52:54:00:12:34:56"),),
                boot_media="ol8u10-x86_64",
                release="ock-1.31-amd64",
                disk="/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0",
                timezone="Europe/Berlin",
                ntp=("192.0.2.1", "192.0.2.2"),
                kernel_arguments=("console=ttyS0,115200n8",),
                network=HostNetwork(
                    address=IPv4Interface("192.0.2.101/24"),
                    gateway=IPv4Address("192.0.2.1"),
                    nameservers=(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")),
                    interface="enp1s0",
                ),
                ssh_keys=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFAKE operator",),
                ignition=site.directory / "init.ign",
                declared_at="hosts.yaml:14:3",
            ),
            HostName("w1.example.com"): Host(
                name=HostName("w1.example.com"),
                role=Role.WORKER,
                macs=(Mac("52:54:00:12:34:57"), Mac("52:54:00:12:34:58")),
                boot_media="ol8u10-x86_64",
                release="1.30",
                ntp=("ntp.example.com",),
                kernel_arguments=("quiet",),
                network=HostNetwork(nameservers=(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))),
                ignition=site.directory / "join.ign",
                loader="efi/shimx64.efi",
                firmware=ReplyVariant.WITHOUT_43,
                rom_ipxe=RomIpxe.REPLACE,
                declared_at="hosts.yaml:21:3",
            ),
        },
    )


def test_the_settings_alone_are_read_or_refused_with_every_fault(site):
    site.write("hosts.yaml", "hsts: {}\n")

    assert load_settings(Path("netboot.yaml")).network.interfaces[0].name == "eno2"

    site.write("netboot.yaml", "http: {prot: 80}\nlog: {level: loud}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(Path("netboot.yaml"))
    assert [str(problem) for problem in caught.value.problems] == [
        "netboot.yaml:1:8: http.prot: no such setting; did you mean port?",
        "netboot.yaml:2:14: log.level: 'loud' is none of its values; use debug, info, warning or error",
    ]


def test_a_configuration_names_every_file_that_it_was_read_from(site):
    site.write("hosts.d/rack1.yaml", "hosts: {w1: {role: worker, mac: 52:54:00:12:34:57}}\n")

    assert site.load().files == (Path("netboot.yaml"), Path("hosts.yaml"), Path("hosts.d/rack1.yaml"))


def test_faults_of_the_hosts_are_reported_even_when_the_settings_cannot_be_read(site):
    site.write("netboot.yaml", "network: [\n")
    site.write("hosts.yaml", "hsts: {}\n")

    assert [fault.partition(";")[0] for fault in site.faults()] == [
        "hosts.yaml:1:1: hsts: no such section",
        "netboot.yaml:2:1: is not YAML (expected the node content, but found '<stream end>')",
    ]


def test_the_hosts_named_beside_a_faulty_setting_are_read_and_no_others(site):
    site.write("netboot.yaml", "http: {port: x}\nhosts: {files: [rack.yaml], unknown: hide}\n")
    site.write("rack.yaml", "hosts: {w1: {role: worker}}\n")
    site.write("hosts.yaml", "never: read\n")

    assert [fault.partition(";")[0] for fault in site.faults()] == [
        "netboot.yaml:1:14: http.port: 'x' is not a whole number",
        "netboot.yaml:2:38: hosts.unknown: 'hide' is none of its values",
        "rack.yaml:1:9: hosts.w1: has no mac",
    ]


def test_the_shipped_examples_are_a_whole_configuration():
    configuration = load(REPOSITORY / "assets" / "examples" / "netboot.yaml")

    assert sorted(configuration.hosts.hosts) == ["cp1", "worker1"]
    assert {host.name: host.ignition and host.ignition.name for host in configuration.hosts} == {
        "cp1": "init.ign",
        "worker1": "worker-join.ign",
    }


def yaml_blocks() -> list[str]:
    """Every YAML example of the documentation."""
    text = (REPOSITORY / "docs" / "settings.md").read_text()
    return [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]


@pytest.mark.parametrize("block", yaml_blocks(), ids=lambda block: block.partition(":")[0])
def test_every_example_of_the_documentation_is_valid(site, block):
    is_hosts = block.startswith("cluster: {name")
    site.write("hosts.yaml" if is_hosts else "netboot.yaml", block)
    site.write_ignition("ign/init.ign", action="init")
    for named in ("rack1.yaml", "rack2.yaml"):
        site.write(named, "")

    assert isinstance(site.load(), Configuration)


def loads_or_reports(directory: Path, name: str, content: bytes) -> None:
    (directory / "netboot.yaml").write_bytes(b"")
    (directory / "hosts.yaml").write_bytes(b"")
    (directory / name).write_bytes(content)
    problems = None
    try:
        load(directory / "netboot.yaml")
    except ConfigError as error:
        problems = error.problems
    assert problems is None or (problems and all(problem.what and problem.cure for problem in problems))


WORDS = (
    "cluster defaults roles hosts name init role mac disk network address gateway nameservers interface ssh_keys "
    "kernel_arguments ignition join release boot_media timezone control-plane worker cp1 http port listen admin store "
    "url files unknown dhcp mode interfaces tftp single_port log level content directory << ~"
)
KEYS = st.sampled_from(WORDS.split())
VALUES = st.one_of(
    KEYS,
    st.sampled_from(
        ["192.0.2.1/24", "192.0.2.1", "0x1f", "'", "[", "1e9", "&a x", "*a", "!x y", "true", "52:54:00:12:34:56", "/"]
    ),
    st.text(max_size=12),
)
TREES = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)
DOCUMENTS = st.lists(st.tuples(KEYS, TREES), max_size=5).map(
    lambda pairs: "".join(f"{key}: {value}\n" for key, value in pairs)
)
BOTH_FILES = pytest.mark.parametrize("name", ["netboot.yaml", "hosts.yaml"])
FRESH_EACH_TIME = [HealthCheck.function_scoped_fixture]


@BOTH_FILES
@given(content=st.binary(max_size=200))
@settings(suppress_health_check=FRESH_EACH_TIME, deadline=None)
def test_any_bytes_load_or_are_refused_with_what_and_cure(tmp_path, name, content):
    loads_or_reports(tmp_path, name, content)


@BOTH_FILES
@given(text=DOCUMENTS)
@settings(suppress_health_check=FRESH_EACH_TIME, deadline=None)
def test_any_text_with_our_words_loads_or_is_refused_with_what_and_cure(tmp_path, name, text):
    loads_or_reports(tmp_path, name, textwrap.dedent(text).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize(
    ("disk", "expected"),
    [
        ("/dev/vda", ("/dev/vda", False)),
        ("{path: /dev/vda, release_members: true}", ("/dev/vda", True)),
        ("{serial: S1, release_members: true}", (DiskRule(serial="S1"), True)),
        ("{serial: S1, release_members: false}", (DiskRule(serial="S1"), False)),
    ],
)
def test_a_disk_may_be_released_from_its_group(site, disk: str, expected: tuple[object, bool]):
    site.write("hosts.yaml", f"hosts: {{w1: {{role: worker, mac: 52:54:00:aa:bb:11, disk: {disk}}}}}\n")

    [host] = site.load().hosts

    assert (host.disk, host.release_members) == expected
