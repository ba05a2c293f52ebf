"""Imported hosts become a new file: as a part of the configuration if it is read, verified with the other files."""

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from fixtures.inventories import MAC, host, read, sample
from fixtures.site import Site

from netboot.errors import ConfigError, HostFileError, HostsNotWritableError
from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.host import HostName
from netboot.registry.allocation import NONE_RECORDED, Recorded
from netboot.registry.importers.imported_text import imported_text
from netboot.registry.writing.imported_file import ImportedFile, write_imported

INSIDE = Path("hosts.d/new.yaml")
CP1 = "hosts:\n  cp1: {role: control-plane, mac: 52:54:00:00:00:01}\n"


@pytest.fixture
def rack(site: Site) -> Site:
    """A configuration that reads a file, a file that is not there yet, and a directory."""
    site.write("netboot.yaml", "hosts: {files: [hosts.yaml, pools.yaml, hosts.d]}\n")
    site.write("hosts.yaml", CP1)
    site.write("pools.yaml", "")
    (site.directory / "hosts.d").mkdir()
    return site


def write(path: Path, *texts: str, recorded: Recorded = NONE_RECORDED) -> ImportedFile:
    imported, faults = read(*texts)
    assert faults == []
    return write_imported(Path("netboot.yaml"), path, imported, sources=["a.yaml"], recorded=lambda: recorded)


def refusal(kind: type[Exception], path: Path, *texts: str, recorded: Recorded = NONE_RECORDED) -> str:
    with pytest.raises(kind) as refused:
        write(path, *texts, recorded=recorded)
    return str(refused.value)


@pytest.mark.parametrize("path", [INSIDE, Path("hosts.d/../hosts.d/new.yml"), Path("pools.yaml")])
def test_a_file_that_the_configuration_reads_adds_its_hosts(rack: Site, path: Path):
    (rack.directory / "pools.yaml").unlink()

    written = write(path, host(MAC))

    assert (written.path, written.is_read) == (path, True)
    assert path.read_text() == imported_text(written.imported, ["a.yaml"])
    (rack.directory / "pools.yaml").touch()
    assert list(rack.load().hosts.hosts) == ["cp1", "w1"]


@pytest.mark.parametrize("name", ["new.yaml", "hosts.d/.new.yaml", "hosts.d/new.txt"])
def test_a_file_that_it_does_not_read_is_not_verified(rack: Site, name: str):
    rack.write("hosts.yaml", "hosts:\n  cp1: {role: control-plane, mac: 52:54:00:aa:bb:07}\n")

    assert write(Path(name), host(MAC)) == ImportedFile(Path(name), read(host(MAC))[0], is_read=False)
    assert Path(name).read_text() == imported_text(read(host(MAC))[0], ["a.yaml"])


def test_without_a_configuration_no_file_is_read(rack: Site):
    (rack.directory / "netboot.yaml").unlink()

    assert not write(INSIDE, host(MAC)).is_read
    assert INSIDE.read_text() == imported_text(read(host(MAC))[0], ["a.yaml"])


def test_a_new_fault_of_any_file_refuses_the_file_and_one_that_was_there_does_not(rack: Site):
    rack.write("hosts.yaml", "hosts:\n  cp1: {rol: control-plane, mac: 52:54:00:aa:bb:07}\n")

    assert refusal(ConfigError, INSIDE, host(MAC)) == (
        "hosts.d/new.yaml:7:10: hosts.w1.mac: 52:54:00:aa:bb:07 belongs to cp1 already (hosts.yaml:2:34); "
        "give each NIC to one host"
    )
    assert not INSIDE.exists()
    assert write(INSIDE, host(MAC.replace(":07", ":08"))).is_read


def test_an_address_that_a_host_has_on_record_is_no_other_hosts_in_the_imported_pool(rack: Site):
    cp2 = "  cp2: {role: control-plane, mac: 52:54:00:00:00:02, network: {address: 192.0.2.45/24}}\n"
    rack.write("hosts.yaml", f"{CP1}{cp2}")
    address = ip_address("192.0.2.45")
    record = RecordedAddress(address, HostName("cp1"), datetime(2026, 11, 29, tzinfo=UTC))

    assert refusal(ConfigError, INSIDE, sample("olvm.yaml"), recorded={address: record}) == (
        "hosts.yaml:3:73: hosts.cp2.network.address: 192.0.2.45 was allocated to cp1 from the pool olvmone; "
        "give cp2 another address"
    )
    assert write(INSIDE, sample("olvm.yaml")).is_read


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_is_there_is_kept(rack: Site, is_link: bool):
    if is_link:
        INSIDE.symlink_to("/nonexistent")
    else:
        INSIDE.write_text("# mine\n")

    assert refusal(HostFileError, INSIDE, host(MAC)) == (
        "cannot write hosts.d/new.yaml: it is there already; name a new file, or remove it"
    )
    assert INSIDE.is_symlink() if is_link else INSIDE.read_text() == "# mine\n"


def test_a_directory_that_is_not_there_is_refused(rack: Site):
    assert "No such file or directory" in refusal(HostsNotWritableError, Path("none/new.yaml"), host(MAC))


@pytest.mark.parametrize(
    ("declared", "clusters", "notes"),
    [
        ("name: rackone", [], ["cluster.name is declared already: hosts.yaml:1:17"]),
        ("init: cp1", ["rackone"], []),
    ],
)
def test_the_name_of_the_cluster_is_left_out_if_another_file_has_it(
    rack: Site, declared: str, clusters: list[str], notes: list[str]
):
    rack.write("hosts.yaml", f"cluster: {{{declared}}}\n{CP1}")

    written = write(INSIDE, sample("icn-bpa.yaml")).imported

    assert [name.text for name in written.clusters] == clusters
    assert written.notes == ["not imported: 1 Software", *notes]
    assert [each.name.text for each in written.hosts] == ["rack1-node01", "rack1-node07"]


def test_another_name_of_the_cluster_is_refused(rack: Site):
    rack.write("hosts.yaml", "cluster: {name: racktwo}\n")

    assert refusal(ConfigError, INSIDE, sample("icn-bpa.yaml")) == (
        "hosts.d/new.yaml:5:3: cluster.name: is there already (hosts.yaml:1:11); keep one of the two"
    )


def test_a_byo_yaml_is_left_out_if_another_file_names_it(rack: Site):
    rack.write("hosts.yaml", "cluster: {name: rackone, byo: 1.yaml}\n")

    written = write(INSIDE, sample("byo.yaml")).imported

    assert (written.byo, written.clusters) == (None, ())
    assert written.notes == [
        "cluster.name is declared already: hosts.yaml:1:17",
        f"cluster.byo is declared already: {rack.directory}/1.yaml",
    ]


def test_another_byo_yaml_is_refused(rack: Site):
    rack.write("hosts.yaml", "cluster: {name: rackone, byo: 2.yaml}\n")

    assert "cluster.byo: is there already (hosts.yaml:1:26)" in refusal(ConfigError, INSIDE, sample("byo.yaml"))
