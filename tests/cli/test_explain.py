"""`netboot explain`: the origin of each value, and what the machine gets now."""

import re

from fixtures.command_line import CommandLine

from netboot.errors import UnknownHostError

HOSTS = """\
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64, timezone: UTC, ssh_keys: []}
groups:
  rack1: {timezone: Asia/Tokyo, labels: {rack: r1}, +ntp: [192.0.2.2]}
roles: {worker: {ignition: {join: ign/worker-join.ign}, ntp: [192.0.2.1]}}
hosts:
  w1: {role: worker, mac: "02:00:00:00:00:02", groups: [rack1], disk: /dev/disk/by-id/ata-1}
"""
EXPLAINED = """\
boot_media     ol8u10-x86_64
                 from ./hosts.yaml:1:24: defaults.boot_media
release        ock-1.31-amd64
                 from ./hosts.yaml:1:48: defaults.release
disk.path      /dev/disk/by-id/ata-1
                 from ./hosts.yaml:6:71: hosts.w1.disk
timezone       Asia/Tokyo
                 from ./hosts.yaml:3:21: groups.rack1.timezone
                 overrides ./hosts.yaml:1:74: defaults.timezone
ntp            192.0.2.1, 192.0.2.2
                 from ./hosts.yaml:3:59: groups.rack1.+ntp
                 from ./hosts.yaml:4:62: roles.worker.ntp
ssh_keys       –
                 from ./hosts.yaml:1:89: defaults.ssh_keys
labels.rack    r1
                 from ./hosts.yaml:3:48: groups.rack1.labels.rack
ignition.join  ./ign/worker-join.ign
                 from ./hosts.yaml:4:35: roles.worker.ignition.join
role           worker
                 from ./hosts.yaml:6:14: hosts.w1.role
mac            02:00:00:00:00:02
                 from ./hosts.yaml:6:27: hosts.w1.mac
groups         rack1
                 from ./hosts.yaml:6:56: hosts.w1.groups

state: registered
armed: no
reason: w1 is not armed, so it boots its own disk; netboot install arm w1
offer to BIOS, PXE: no answer: no-loader-for-arch
offer to UEFI x64, PXE: local-disk
offer to UEFI x64, HTTP boot: local-disk
offer to UEFI arm64, PXE: local-disk
offer to UEFI arm64, HTTP boot: local-disk
local boot of BIOS, PXE: sanboot: the first of sanboot, exit, no-file, no-offer
local boot of UEFI x64, PXE: no-file: the first of no-file, exit, sanboot, no-offer
local boot of UEFI x64, HTTP boot: http-404: the first of http-404, exit, sanboot, no-offer
local boot of UEFI arm64, PXE: no-file: the first of no-file, no-offer
local boot of UEFI arm64, HTTP boot: http-404: the first of http-404, no-offer
script: http://127.0.0.1:8080/boot/02-00-00-00-00-02.ipxe
boot media: http://127.0.0.1:8080/content/ol8u10-x86_64
release: http://127.0.0.1:8080/ostree/ock-1.31-amd64
"""


def test_each_value_has_its_origin_and_what_it_overrides_and_the_machine_its_offers(netboot: CommandLine):
    netboot.hosts.write_text(HOSTS)

    printed = netboot.printed("explain", "w1")

    lines = printed.splitlines(keepends=True)
    [deadline] = [line for line in lines if line.startswith("deadline: ")]
    assert re.fullmatch(
        r"deadline: bootstrap token until \S+ \S+ UTC \(in 23 h 59 min\), counted from the file's modification time\n",
        deadline,
    )
    assert "".join(line for line in lines if line != deadline) == EXPLAINED


def test_an_armed_host_is_led_to_its_loader(netboot: CommandLine):
    netboot.hosts.write_text(HOSTS)
    netboot.printed("install", "arm", "w1")

    found = netboot.json("explain", "w1")

    assert found["offers"]["UEFI x64, PXE"] == "loader snponly.efi"
    assert found["install"]["arming"]["left"] == 3
    assert found["values"][3] == {
        "key": "timezone",
        "value": "Asia/Tokyo",
        "from": [{"where": "groups.rack1.timezone", "file": "./hosts.yaml", "line": 3, "column": 21}],
        "overrides": [{"where": "defaults.timezone", "file": "./hosts.yaml", "line": 1, "column": 74}],
    }


def test_a_faulty_host_shows_its_values_and_its_faults(netboot: CommandLine):
    netboot.hosts.write_text(HOSTS.replace("disk: /dev", "disk: dev"))

    found = netboot.json("explain", "w1")

    assert [fault["where"] for fault in found["faults"]] == ["hosts.w1.disk"]
    assert (found["offers"], found["urls"]) == ({}, {})
    assert "disk" not in {value["key"] for value in found["values"]}


def test_an_unknown_host_is_refused_with_the_nearest_name(netboot: CommandLine):
    refused = netboot("explain", "cp10")

    assert isinstance(refused.exception, UnknownHostError)
    assert str(refused.exception) == "no host is called cp10; did you mean cp1?"


def test_tables_in_lists_are_shown_as_they_are_written(netboot: CommandLine):
    mirrors = "registries: {quay.io: [a.example, {location: b.example, insecure: true}]}"
    routes = "network: {routes: [{to: 198.51.100.0/24, via: 192.0.2.254}]}"
    netboot.hosts.write_text(HOSTS.replace("disk: ", f"{mirrors}, {routes}, disk: "))

    lines = [" ".join(line.split()) for line in netboot.printed("explain", "w1").splitlines()]
    found = {value["key"]: value["value"] for value in netboot.json("explain", "w1")["values"]}

    assert "network.routes {to: 198.51.100.0/24, via: 192.0.2.254}" in lines
    assert "registries.quay.io a.example, {location: b.example, insecure: True}" in lines
    assert found["network.routes"] == [{"to": "198.51.100.0/24", "via": "192.0.2.254"}]
    assert found["registries.quay.io"] == ["a.example", {"location": "b.example", "insecure": True}]


def test_an_embedded_ignition_is_named(netboot: CommandLine):
    netboot.hosts.write_text(HOSTS)
    assert netboot.json("explain", "w1")["ignition"] == "url"
    settings = netboot.config.read_text()
    netboot.config.write_text(f"{settings}install: {{ignition: embed}}\n")

    assert netboot.json("explain", "w1")["ignition"] == "embed"
    assert netboot.printed("explain", "w1").endswith(
        "\nignition: the installer puts it into /boot, and the first boot requests none (install.ignition: embed)\n"
    )
