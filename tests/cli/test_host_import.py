"""`netboot host import` and `host export`: the samples import and plan; what is exported is read again as it was."""

import shutil
from pathlib import Path

import pytest
from fixtures.command_line import HOSTS, CommandLine
from fixtures.inventories import SAMPLES

from netboot.errors import ConfigError, HostFileError, HostsNotWritableError, UnknownHostError
from netboot.registry.load import load

SHARED = """\
cluster: {init: cp1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, disk: /dev/disk/by-id/ata-1}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
  cp1: {role: control-plane, mac: "02:00:00:00:00:01"}
"""
IGNITION = Path(__file__).parents[1] / "ignition" / "samples"
METAL3 = str(SAMPLES / "metal3-host.yaml")


@pytest.fixture
def rack(netboot: CommandLine) -> CommandLine:
    """An appliance with one host, and a directory in which commands write hosts."""
    (netboot.directory / "hosts.d").mkdir()
    netboot.hosts.write_text(SHARED)
    for file in ("init.ign", "controlplane-join.ign", "worker-join.ign"):
        shutil.copy(IGNITION / file, netboot.directory / "ign")  # of byo.yaml
    return netboot


def fault(rack: CommandLine, *arguments: str) -> str:
    done = rack("host", "import", *arguments)
    assert done.exit_code == 1
    assert isinstance(done.exception, ConfigError | HostFileError | HostsNotWritableError | UnknownHostError)
    return str(done.exception).replace(f"{rack.directory}/", "")


@pytest.mark.parametrize(
    ("sample", "options", "hosts"),
    [
        ("metal3-host.yaml", ["--role", "worker"], ["rack1-node07"]),
        ("mosk-host.yaml", [], ["rack1-node07"]),
        ("icn-bpa.yaml", [], ["rack1-node01", "rack1-node07"]),
        ("olvm.yaml", [], []),
        ("byo.yaml", [], []),
    ],
)
def test_a_sample_is_imported_and_each_of_its_hosts_is_planned(
    rack: CommandLine, sample: str, options: list[str], hosts: list[str]
):
    file = rack.directory / "hosts.d/rack1.yaml"

    printed = rack.printed("host", "import", str(SAMPLES / sample), *options)
    written = rack.printed("host", "import", str(SAMPLES / sample), *options, "--out", str(file))

    assert file.read_text().replace(str(rack.directory), ".") == printed
    assert written.startswith(f"./hosts.d/rack1.yaml written: {len(hosts)} host")
    assert written.endswith("; netboot check, then netboot reload\n")
    plans = rack.json("plan")
    assert list(plans) == ["cp1", *hosts]
    for name in hosts:
        assert "hosts.d/rack1.yaml" in load(rack.config).hosts.hosts[name].declared_at
        assert plans[name]["kickstart"] is not None
        assert rack.json("host", "show", name)["name"] == name


def test_the_addresses_of_olvm_are_given_to_the_hosts(rack: CommandLine):
    rack.printed("host", "import", str(SAMPLES / "olvm.yaml"), "--out", str(rack.directory / "hosts.d/pools.yaml"))

    assert "192.0.2.32" in rack.json("plan", "cp1")["cp1"]["kickstart"]


def test_json_has_the_document_the_notes_and_the_places(rack: CommandLine):
    out = str(rack.directory / "hosts.d/rack1.yaml")
    notes = [
        "user and password of its BMC are not taken over: verify its url, then netboot bmc credentials rack1-node07",
        "rootDeviceHints.minSizeGigabytes not taken over: deviceName names one disk",
    ]
    found = {
        "document": {
            "hosts": {
                "rack1-node07": {
                    "role": "worker",
                    "mac": "52:54:00:aa:bb:07",
                    "labels": {"rack": "rack1"},
                    "disk": "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0",
                    "bmc": {"url": "https://192.0.2.207", "system": "/redfish/v1/Systems/1", "certificate": "none"},
                }
            }
        },
        "notes": ["not imported: 1 Secret"],
        "hosts": {"rack1-node07": {"file": METAL3, "line": 10, "notes": notes}},
        "written": None,
        "is_hosts_file": None,
    }

    assert rack.json("host", "import", METAL3, "--role", "worker") == found
    assert rack.json("host", "import", METAL3, "--role", "worker", "--out", out) == {
        **found,
        "written": "./hosts.d/rack1.yaml",
        "is_hosts_file": True,
    }


def test_a_file_that_is_there_is_not_overwritten(rack: CommandLine):
    out = rack.directory / "hosts.d/rack1.yaml"
    out.write_text("# mine\n")
    link = rack.directory / "link.yaml"
    link.symlink_to("/nonexistent")

    for path in (out, link):
        assert fault(rack, METAL3, "--role", "worker", "--out", str(path)) == (
            f"cannot write {path.relative_to(rack.directory)}: it is there already; name a new file, or remove it"
        )
    assert out.read_text() == "# mine\n"


def test_a_file_that_would_make_a_new_fault_is_not_written(rack: CommandLine):
    rack.hosts.write_text(SHARED.replace("02:00:00:00:00:01", "52:54:00:aa:bb:07"))
    out = rack.directory / "hosts.d/rack1.yaml"

    assert fault(rack, METAL3, "--role", "worker", "--out", str(out)) == (
        "hosts.d/rack1.yaml:10:10: hosts.rack1-node07.mac: 52:54:00:aa:bb:07 belongs to cp1 already "
        "(hosts.yaml:7:35); give each NIC to one host"
    )
    assert not out.exists()


def test_faults_that_were_there_before_do_not_refuse_the_file(rack: CommandLine):
    rack.hosts.write_text(f"{SHARED}  bad: {{}}\n")
    out = rack.directory / "hosts.d/rack1.yaml"

    assert "written: 1 host;" in rack.printed("host", "import", METAL3, "--role", "worker", "--out", str(out))


@pytest.mark.parametrize("name", ["notes.txt", "hosts.d/.rack1.yaml", "hosts.d/rack1.txt"])
def test_a_file_that_the_configuration_does_not_read_is_written_without_it(rack: CommandLine, name: str):
    rack.hosts.write_text(SHARED.replace("02:00:00:00:00:01", "52:54:00:aa:bb:07"))

    printed = rack.printed("host", "import", METAL3, "--role", "worker", "--out", str(rack.directory / name))

    assert printed == (f"./{name} written: 1 host; 3 notes are comments in it; it is not one of hosts.files\n")


def test_without_a_configuration_the_file_is_written(rack: CommandLine):
    rack.config.unlink()
    out = rack.directory / "hosts.d/rack1.yaml"

    assert "not one of hosts.files" in rack.printed("host", "import", METAL3, "--role", "worker", "--out", str(out))


def test_a_file_that_hosts_files_names_is_verified(rack: CommandLine):
    rack.config.write_text(f"{rack.config.read_text()}hosts: {{files: [hosts.yaml, rack1.yaml]}}\n")
    out = str(rack.directory / "rack1.yaml")

    assert rack.printed("host", "import", METAL3, "--role", "worker", "--out", out).endswith("netboot reload\n")


def test_the_name_of_the_cluster_is_left_out_if_it_is_declared_already(rack: CommandLine):
    rack.hosts.write_text(SHARED.replace("{init: cp1}", "{name: rackone, init: cp1}"))
    out = rack.directory / "hosts.d/rack1.yaml"

    rack.printed("host", "import", str(SAMPLES / "icn-bpa.yaml"), "--out", str(out))

    assert "cluster:" not in out.read_text()
    assert f"# cluster.name is declared already: {rack.hosts}:1:17\n" in out.read_text()


def test_another_name_of_the_cluster_is_refused(rack: CommandLine):
    rack.hosts.write_text(SHARED.replace("{init: cp1}", "{name: racktwo, init: cp1}"))

    assert fault(rack, str(SAMPLES / "icn-bpa.yaml"), "--out", str(rack.directory / "hosts.d/rack1.yaml")) == (
        "hosts.d/rack1.yaml:5:3: cluster.name: is there already (hosts.yaml:1:11); keep one of the two"
    )


def test_a_byo_yaml_that_is_declared_already_adds_nothing(rack: CommandLine):
    byo = SAMPLES / "byo.yaml"
    rack.hosts.write_text(SHARED.replace("{init: cp1}", f"{{name: rackone, init: cp1, byo: {byo}}}"))
    out = rack.directory / "hosts.d/rack1.yaml"

    rack.printed("host", "import", str(byo), "--out", str(out))

    assert out.read_text().replace(str(rack.directory), ".").splitlines() == [
        f"# Imported by netboot from {byo}.",
        "# cluster.name is declared already: ./hosts.yaml:1:17",
        f"# cluster.byo is declared already: {byo}",
    ]


def test_a_directory_that_is_not_there_is_refused(rack: CommandLine):
    assert "No such file or directory" in fault(rack, METAL3, "--role", "worker", "--out", "/nonexistent/a.yaml")


def test_files_that_cannot_be_read_are_refused_together(rack: CommandLine, tmp_path: Path):
    (tmp_path / "a.yaml").write_text("a: b: c\n")
    (tmp_path / "b.yaml").write_bytes(b"\xff")

    assert fault(rack, str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"), "/nonexistent").splitlines() == [
        "/nonexistent: cannot be read (No such file or directory); write the file, or correct the name",
        f"{tmp_path}/a.yaml:1:5: a second `: ` in one line; put the value in quotes, or begin a new line",
        f"{tmp_path}/b.yaml:1:1: is not UTF-8 (byte 0xff); save the file as UTF-8",
    ]


def test_of_thousands_of_faults_the_first_are_printed(rack: CommandLine, tmp_path: Path):
    file = tmp_path / "huge.yaml"
    file.write_text("a: &a [x]\n" + "b: [*a]\n" * 5_000)

    lines = fault(rack, str(file)).splitlines()

    assert len(lines) == 101
    assert lines[0] == f"{file}: 4999 problems, of which the first 100 follow; correct these first"


DECLARED = """\
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64}  # of all
hosts:
  cp1: {role: control-plane, mac: "02:00:00:00:00:01", disk: /dev/disk/by-id/ata-1}
  w1: {role: worker, mac: "02:00:00:00:00:02"}
cluster: {name: rackone, init: cp1}
roles:
  control-plane: {ignition: {init: ign/init.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
"""
EXPORTED = """\
# Exported by netboot. Paths are absolute; comments are not exported.
cluster:
  name: rackone
  init: cp1
defaults:
  boot_media: ol8u10-x86_64
  release: ock-1.31-amd64
roles:
  control-plane:
    ignition:
      init: ./ign/init.ign
  worker:
    ignition:
      join: ./ign/worker-join.ign
hosts:
  cp1:
    role: control-plane
    mac: 02:00:00:00:00:01
    disk: /dev/disk/by-id/ata-1
  w1:
    role: worker
    mac: 02:00:00:00:00:02
"""


def test_all_files_are_exported_as_one_document(netboot: CommandLine):
    netboot.hosts.write_text(DECLARED)

    assert netboot.printed("host", "export") == EXPORTED


def test_what_is_exported_is_read_again_as_it_was(netboot: CommandLine, tmp_path: Path):
    netboot.hosts.write_text(
        HOSTS
        + """\
  w2:
    role: worker
    mac: [525400000003, "52:54:00:00:00:04"]
    ignition: ign/worker-join.ign
    labels: {number: 0x1f, plain: 017, flag: true}
    variables: {text: "a: #b"}
    disk: {serial: 1e5, rotational: False, min_size: 400GB}
    network: {address: 192.0.2.5/24, mtu: 0x5DC, vlan: 0o17, routes: [{to: 198.51.100.0/24, via: 192.0.2.9}]}
    +ntp: [192.0.2.1]
"""
    )
    (netboot.directory / "hosts.d").mkdir()
    (netboot.directory / "hosts.d/g.yaml").write_text("groups: {a: {timezone: UTC}}\n")
    before = load(netboot.config)

    exported = netboot("host", "export").stdout
    netboot.hosts.unlink()
    (netboot.directory / "hosts.d/g.yaml").unlink()
    (netboot.directory / "hosts.d/all.yaml").write_text(exported)

    after = load(netboot.config)
    assert [(each.name, each.network, each.labels, each.variables, each.disk, each.ignition, each.macs, each.ntp)
            for each in after.hosts] == [
        (each.name, each.network, each.labels, each.variables, each.disk, each.ignition, each.macs, each.ntp)
        for each in before.hosts
    ]  # fmt: skip
    assert after.hosts.cluster == before.hosts.cluster


def test_some_hosts_are_exported_with_what_they_share(netboot: CommandLine):
    found = netboot.json("host", "export", "w1")

    assert found["cluster"] == {"name": "rackone"}
    assert list(found["hosts"]) == ["w1"]
    assert list(found["roles"]) == ["control-plane", "worker"]
    assert netboot.json("host", "export", "w1", "cp1")["cluster"] == {"name": "rackone", "init": "cp1"}


def test_json_is_also_a_format(netboot: CommandLine):
    assert netboot.printed("host", "export", "--format", "json") == netboot.printed("host", "export", "--json")


def test_nothing_is_exported_if_a_file_has_a_fault_or_a_host_is_not_there(netboot: CommandLine):
    unknown = netboot("host", "export", "w9")
    assert isinstance(unknown.exception, UnknownHostError)
    assert str(unknown.exception) == "no host is called w9; known here: cp1, w1"

    netboot.hosts.write_text("hosts: {w1: {mac: x}}\n")
    faulty = netboot("host", "export")
    assert isinstance(faulty.exception, ConfigError)
    assert faulty.stdout == ""


def test_a_configuration_without_hosts_is_exported_as_a_comment(netboot: CommandLine):
    netboot.hosts.write_text("")

    assert netboot.printed("host", "export").splitlines() == EXPORTED.splitlines()[:1]
