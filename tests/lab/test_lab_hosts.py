"""The configuration that the lab writes is one that the appliance accepts."""

from dataclasses import replace
from pathlib import Path

from lab_lans import LeasingLan

from netboot.lab.lab_hosts import CP1, LAB_HOSTS, AppliancePaths, hosts_yaml, write_configuration
from netboot.lab.lan.namespaces import Lan
from netboot.model.host.firmware import ReplyVariant


def test_the_roles_files_are_copies_that_debians_ignition_can_read(tmp_path):
    paths = AppliancePaths(tmp_path / "appliance", tmp_path / "content", tmp_path / "control.sock")

    write_configuration(paths, LAB_HOSTS)

    written = {path.name: path.read_text() for path in (paths.directory / "ign").iterdir()}
    assert sorted(written) == ["controlplane-join.ign", "init.ign", "worker-join.ign"]
    assert all('"version":"3.3.0"' in text and '"version":"3.4.0"' not in text for text in written.values())


def test_a_host_with_an_address_has_its_network_and_one_without_is_leased():
    lines = hosts_yaml(LAB_HOSTS).splitlines()

    assert (
        '  cp1: {"role": "control-plane", "mac": "52:54:00:aa:bb:01", "disk": "/dev/disk/by-path/pci-0000:00:03.0", '
        '"network": {"address": "192.0.2.21/24", "gateway": "192.0.2.1", "nameservers": ["192.0.2.1"], '
        '"interface": "enp0s2"}}'
    ) in lines
    assert (
        '  w1: {"role": "worker", "mac": "52:54:00:aa:bb:02", "disk": "/dev/disk/by-path/pci-0000:00:03.0"}'
    ) in lines


def test_a_bond_has_every_card_and_no_interface():
    machine = replace(CP1.machine, more_macs=("52:54:00:aa:bb:11",))

    host = replace(CP1, machine=machine, bond="active-backup", disk={"serial": "root"})

    line = hosts_yaml([host]).splitlines()[-1]

    assert line == (
        '  cp1: {"role": "control-plane", "mac": ["52:54:00:aa:bb:01", "52:54:00:aa:bb:11"], '
        '"disk": {"serial": "root"}, "network": {"address": "192.0.2.21/24", "gateway": "192.0.2.1", '
        '"nameservers": ["192.0.2.1"], "bond": {"mode": "active-backup"}}}'
    )


def test_further_keys_of_a_host_and_of_its_network_are_added_or_replace_the_usual_ones():
    more = {"ntp": ["192.0.2.1"], "release": {"url": "http://192.0.2.1/ostree", "ref": "ock"}}

    line = hosts_yaml([replace(CP1, network={"gateway": "192.0.2.2"}, more=more)]).splitlines()[-1]

    assert line == (
        '  cp1: {"role": "control-plane", "mac": "52:54:00:aa:bb:01", "disk": "/dev/disk/by-path/pci-0000:00:03.0", '
        '"network": {"address": "192.0.2.21/24", "gateway": "192.0.2.2", "nameservers": ["192.0.2.1"], '
        '"interface": "enp0s2"}, "ntp": ["192.0.2.1"], '
        '"release": {"url": "http://192.0.2.1/ostree", "ref": "ock"}}'
    )


def test_a_machine_that_is_not_registered_is_inspected_and_can_get_an_address_of_the_pool(tmp_path):
    paths = AppliancePaths(tmp_path / "appliance", tmp_path / "content", tmp_path / "control.sock")

    write_configuration(paths, [replace(CP1, is_registered=False)])

    hosts = (paths.directory / "hosts.yaml").read_text()
    assert hosts.endswith(
        "address_pools:\n  lab: {subnet: 192.0.2.0/24, addresses: 192.0.2.48/29, gateway: 192.0.2.1}\nhosts: {}\n"
    )
    settings = paths.settings.read_text().splitlines()
    assert "hosts: {files: [hosts.yaml, hosts.d], unknown: inspect, inspect_media: lab-installer}" in settings


def test_the_settings_are_where_the_appliance_reads_them(tmp_path):
    paths = AppliancePaths(tmp_path, Path("/content"), Path("/run/netboot-lab/x/control.sock"))

    write_configuration(paths, (), attempts=2)

    assert paths.settings == tmp_path / "netboot.yaml"
    assert "attempts: 2" in paths.settings.read_text()


def test_what_is_pinned_at_a_machine_is_in_the_registry():
    host = replace(LAB_HOSTS[1], loader="undionly.kpxe", reply=ReplyVariant.WITHOUT_43, replaces_rom=True)

    assert '"loader": "undionly.kpxe", "firmware": "without-43", "rom_ipxe": "replace"' in hosts_yaml([host])


def test_the_appliance_leases_where_nobody_else_does(tmp_path):
    paths = AppliancePaths(tmp_path, Path("/content"), Path("/control.sock"))

    written = []
    for lan in (Lan, LeasingLan):
        write_configuration(paths, (), dhcp=lan.dhcp_settings)
        written += [line for line in paths.settings.read_text().splitlines() if line.startswith("dhcp:")]
    assert written == ["dhcp: {mode: proxy}", "dhcp: {mode: reservation, router: 192.0.2.1}"]
