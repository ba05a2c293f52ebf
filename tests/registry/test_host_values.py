"""One faulty value a row: the whole message, with its place and cure."""

import pytest

A_HOST = "hosts: {{cp1: {{role: worker, mac: '52:54:00:00:00:01', {}}}}}\n"


NO_REGISTRY = (
    "is not a container registry; "
    "write HOST[:PORT][/PATH] without scheme and tag, as container-registry.oracle.com/olcne"
)
NO_DISK = "is not a path of a disk; write one path of letters, digits and ._:+@=- below /dev"
EMPTY_DISK = "is empty; write the path of a disk, or what it must have, as {serial: S3Z8NB0K}"
NO_PLAIN_DISK = "is not a plain disk, and OCK starts from no other; name the disk itself"
NO_NAME = "is not a name; use letters, digits, dots, hyphens and underscores, 64 at most"
NO_TIME_SERVER = "is not a time server; write an IPv4 address or a name, as ntp.example.com"
NO_ZONE = "write one of /usr/share/zoneinfo, as Europe/Berlin, or UTC"
UNSAFE = "is not safe on a kernel line; write one argument per item, of letters, digits and ._:,=/@+%~!-"
OURS = "is written by netboot itself; remove it"
NO_KEY = "is not a public SSH key; copy the one line of a .pub file"
NO_LOADER = "is not a name of a boot file; write one below bootfiles.directories, as snponly.efi or grub/grubx64.efi"
NO_MAC = "is not a unicast MAC address; write the card's own, as 52:54:00:aa:bb:01"
NO_HOST_NAME = "is not a host name; use letters, digits and hyphens, as cp1 or cp1.example.com"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "disk: sda",
            "disk: 'sda' is not below /dev; write the whole path, as /dev/disk/by-path/pci-0000:03:00.0-ata-1",
        ),
        ("registries: [quay.io]", "registries: must be a table of keys; write `key: value` pairs below it"),
        ("registries: {quay.io: }", "registries.quay.io: is empty; write a list or remove the key"),
        (
            "registries: {quay.io: q.example}",
            "registries.quay.io: must be a list; write it in brackets: [first, second]",
        ),
        ("registries: {'https://quay.io': []}", f"registries.https://quay.io: 'https://quay.io' {NO_REGISTRY}"),
        ("registries: {quay.io: [q.example/a:1.33]}", f"registries.quay.io[0]: 'q.example/a:1.33' {NO_REGISTRY}"),
        (
            "registries: {quay.io: [{insecure: true}]}",
            "registries.quay.io[0].location: is missing; write it, as location: 192.0.2.2:5000",
        ),
        ("disk: /dev/", f"disk: '/dev/' {NO_DISK}"),
        ("disk: /dev/../etc", f"disk: '/dev/../etc' {NO_DISK}"),
        ("disk: '/dev/sda,/dev/sdb'", f"disk: '/dev/sda,/dev/sdb' {NO_DISK}"),
        ("disk: /dev/$(reboot)", f"disk: '/dev/$(reboot)' {NO_DISK}"),
        ("disk: '/dev/sda /dev/sdb'", f"disk: '/dev/sda /dev/sdb' {NO_DISK}"),
        ("disk: /dev/sda1", "disk: /dev/sda1 is a partition; name the whole disk"),
        ("disk: /dev/nvme0n1p2", "disk: /dev/nvme0n1p2 is a partition; name the whole disk"),
        ("disk: /dev/disk/by-id/ata-X-part1", "disk: /dev/disk/by-id/ata-X-part1 is a partition; name the whole disk"),
        ("disk: /dev/mapper/mpatha", f"disk: /dev/mapper/mpatha {NO_PLAIN_DISK}"),
        ("disk: /dev/md0", f"disk: /dev/md0 {NO_PLAIN_DISK}"),
        ("disk: ~", f"disk: {EMPTY_DISK}"),
        ("disk: {}", f"disk: {EMPTY_DISK}"),
        ("disk: [/dev/sda]", "disk: must be a table of keys; write `key: value` pairs below it"),
        (
            "disk: {path: /dev/sda, serial: S3}",
            "disk.serial: a path names one disk already; remove path or serial",
        ),
        (
            "disk: {min_size: 2TB, max_size: 1TB}",
            "disk.max_size: is less than min_size; write the smaller one as min_size",
        ),
        ("disk: {release_members: true}", "disk.release_members: names no disk; add path or serial"),
        (
            "disk: {path: /dev/sda, release_members: 1}",
            "disk.release_members: '1' is neither true nor false; write true or false",
        ),
        ("disk: {min_size: 400}", "disk.min_size: '400' is not a size; write it as 400GB, 2TB or 500GiB"),
        ("disk: {choose: any}", "disk.choose: no such choice 'any'; known here: largest, smallest"),
        ("disk: {rotational: 'no'}", "disk.rotational: 'no' is neither true nor false; write true or false"),
        (
            'disk: {serial: "S3\'$(reboot)"}',
            'disk.serial: "S3\'$(reboot)" is not a text that a disk can report; '
            "copy it from lsblk --output NAME,MODEL,SERIAL,WWN",
        ),
        ("boot_media: ../x", f"boot_media: '../x' {NO_NAME}"),
        ("release: 'a b'", f"release: 'a b' {NO_NAME}"),
        ("timezone: Europe/Berln", "timezone: no such time zone 'Europe/Berln'; did you mean Europe/Berlin?"),
        ("timezone: ../../etc/passwd", f"timezone: no such time zone '../../etc/passwd'; {NO_ZONE}"),
        ("timezone: 7", f"timezone: no such time zone '7'; {NO_ZONE}"),
        ("ntp: 192.0.2.1", "ntp: must be a list; write it in brackets: [first, second]"),
        (
            "ntp: [192.0.2.300]",
            "ntp[0]: '192.0.2.300' is not an IPv4 address; write one, as 192.0.2.1",
        ),
        (
            "ntp: [224.0.1.1]",
            "ntp[0]: 224.0.1.1 is not an address that machines can reach; write a unicast address, as 192.0.2.1",
        ),
        ("ntp: ['fd00::1']", f"ntp[0]: 'fd00::1' {NO_TIME_SERVER}"),
        ("ntp: ['ntp.example.com iburst']", f"ntp[0]: 'ntp.example.com iburst' {NO_TIME_SERVER}"),
        ("ntp: ['a,b']", f"ntp[0]: 'a,b' {NO_TIME_SERVER}"),
        ("ntp: ['$(reboot)']", f"ntp[0]: '$(reboot)' {NO_TIME_SERVER}"),
        ("ntp: [ntp.7]", f"ntp[0]: 'ntp.7' {NO_TIME_SERVER}"),
        ("ntp_servers: [192.0.2.1]", "ntp_servers: no such key; did you mean ntp?"),
        ("ntpservers: [192.0.2.1]", "ntpservers: no such key; did you mean ntp?"),
        ("kernel_arguments: quiet", "kernel_arguments: must be a list; write it in brackets: [first, second]"),
        ("kernel_arguments: ", "kernel_arguments: is empty; write a list or remove the key"),
        ("kernel_arguments: [a b]", f"kernel_arguments[0]: 'a b' {UNSAFE}"),
        ("kernel_arguments: [ok, 'a${net0/mac}']", f"kernel_arguments[1]: 'a${{net0/mac}}' {UNSAFE}"),
        ("kernel_arguments: ['a\"']", f"kernel_arguments[0]: 'a\"' {UNSAFE}"),
        ("kernel_arguments: ['a\\']", f"kernel_arguments[0]: 'a\\\\' {UNSAFE}"),
        ("kernel_arguments: ['--']", f"kernel_arguments[0]: '--' {UNSAFE}"),
        ("kernel_arguments: ['inst.ks=http://x/']", f"kernel_arguments[0]: 'inst.ks=http://x/' {OURS}"),
        ("kernel_arguments: [ignition.firstboot]", f"kernel_arguments[0]: 'ignition.firstboot' {OURS}"),
        ("ssh_keys: [ssh-ed25519]", f"ssh_keys[0]: 'ssh-ed25519' {NO_KEY}"),
        ("ssh_keys: ['ssh-rsa AAAAB3 a\"b']", f"ssh_keys[0]: 'ssh-rsa AAAAB3 a\"b' {NO_KEY}"),
        (
            "ssh_keys: [-----BEGIN OPENSSH PRIVATE KEY-----]",
            "ssh_keys[0]: is a private key; give the public one, the line in the .pub file",
        ),
        (
            "network: {address: 192.0.2.1}",
            "network.address: '192.0.2.1' has no prefix length; write it as 192.0.2.1/24",
        ),
        (
            "network: {address: 192.0.2.1/255.255.255.0}",
            "network.address: '192.0.2.1/255.255.255.0' has no prefix length; write it as 192.0.2.1/24",
        ),
        (
            "network: {address: 192.0.2.0/24}",
            "network.address: 192.0.2.0/24 is the network address of 192.0.2.0/24; give the machine one of its own",
        ),
        (
            "network: {address: 192.0.2.255/24}",
            "network.address: 192.0.2.255/24 is the broadcast address of 192.0.2.0/24; give the machine one of its own",
        ),
        (
            "network: {address: 224.0.0.5/24}",
            "network.address: 224.0.0.5/24 is not a unicast address; write it as 192.0.2.101/24",
        ),
        (
            "network: {address: '2001:db8::1/64'}",
            "network.address: '2001:db8::1/64' is not an IPv4 address; "
            "write it as 192.0.2.101/24; one of IPv6 is address6",
        ),
        (
            "network: {address: 192.0.2.5/24, gateway: x}",
            "network.gateway: 'x' is not an IPv4 address; write one, as 192.0.2.1",
        ),
        (
            "network: {address: 192.0.2.5/24, nameservers: [127.0.0.1]}",
            "network.nameservers[0]: 127.0.0.1 is not an address that machines can reach; "
            "write a unicast address, as 192.0.2.1",
        ),
        (
            "network: {address: 192.0.2.5/24, interface: en/0}",
            "network.interface: 'en/0' is not a name of an interface; write one of at most 15 characters, as enp1s0; "
            "`ip link` shows those of this computer",
        ),
        (
            "network: {adress: 192.0.2.5/24, address: 192.0.2.6/24}",
            "network.adress: no such key; did you mean address?",
        ),
        ("network: 192.0.2.5/24", "network: must be a table of keys; write `key: value` pairs below it"),
        ("ignition: {initt: x}", "ignition.initt: no such key; did you mean init?"),
        ("loader: ../shadow", f"loader: '../shadow' {NO_LOADER}"),
        ("loader: /etc/shadow", f"loader: '/etc/shadow' {NO_LOADER}"),
        ("loader: ''", "loader: is empty; write a value or remove the key"),
        ("firmware: without-42", "firmware: no such reply variant 'without-42'; did you mean without-43?"),
        ("dsk: /dev/sda", "dsk: no such key; did you mean disk?"),
    ],
)
def test_a_faulty_value_is_reported_with_place_and_cure(site, said, expected):
    site.write("hosts.yaml", A_HOST.format(said))

    [fault] = site.faults()

    place, _, message = fault.partition(": ")
    assert message == f"hosts.cp1.{expected}"
    assert place.startswith("hosts.yaml:1:")


@pytest.mark.parametrize("zone", ["Europe", "America/Indiana"])
def test_a_directory_of_time_zones_is_none(site, zone):
    site.write("hosts.yaml", f"defaults: {{timezone: {zone}}}\n")

    [fault] = site.faults()

    assert fault.startswith(f"hosts.yaml:1:22: defaults.timezone: no such time zone '{zone}'; ")


@pytest.mark.parametrize(
    "mac", ["b8:ce:f6:03:00:31:33:3e", "80:00:00:48:fe:80:00:00:00:00:00:00:b8:ce:f6:03:00:31:33:3e"]
)
def test_an_infiniband_port_is_named_by_its_guid_or_by_its_whole_address(site, mac):
    site.write("hosts.yaml", f"hosts: {{cp1: {{role: worker, mac: '{mac}'}}}}\n")

    assert site.load().hosts.get("cp1").macs == ("b8:ce:f6:03:00:31:33:3e",)


@pytest.mark.parametrize(
    ("mac", "expected"),
    [
        ("zz", f"34: hosts.cp1.mac: 'zz' {NO_MAC}"),
        ("01:00:5e:00:00:01", f"34: hosts.cp1.mac: '01:00:5e:00:00:01' {NO_MAC}"),
        ("00:00:00:00:00:00", f"34: hosts.cp1.mac: '00:00:00:00:00:00' {NO_MAC}"),
        *(
            (
                text,
                f"34: hosts.cp1.mac: '{text}' {NO_MAC}, or of an InfiniBand port the GUID of 8 bytes, the last 8 of "
                "its 20, as b8:ce:f6:03:00:31:33:3e",
            )
            for text in ("b8:ce:f6:03:00:31:33:3e:00", "00:00:00:00:00:00:00:00", "00:00:48:fe:80:00:00:00:00:00:00:00")
        ),
        ("[]", "34: hosts.cp1.mac: is empty; write the address of the card that boots"),
        ("[52:54:00:00:00:01, x]", f"54: hosts.cp1.mac[1]: 'x' {NO_MAC}"),
    ],
)
def test_a_faulty_mac_is_reported_with_place_and_cure(site, mac, expected):
    site.write("hosts.yaml", f"hosts: {{cp1: {{role: worker, mac: {mac}}}}}\n")

    assert site.faults() == [f"hosts.yaml:1:{expected}"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Cp1", "'Cp1' has capital letters, which Kubernetes refuses; write cp1"),
        ("cp_1", f"'cp_1' {NO_HOST_NAME}"),
        ("-cp1", f"'-cp1' {NO_HOST_NAME}"),
        ("cp1.", f"'cp1.' {NO_HOST_NAME}"),
        ("../cp1", f"'../cp1' {NO_HOST_NAME}"),
        ("192.0.2.1", "'192.0.2.1' cannot name a machine; give it a name of its own, as cp1"),
        ("localhost", "'localhost' cannot name a machine; give it a name of its own, as cp1"),
        ("a" * 65, "is 65 characters long; Linux takes a host name of 64 at most"),
    ],
)
def test_a_faulty_host_name_is_reported_with_its_cure(site, name, expected):
    site.write("hosts.yaml", f"hosts: {{{name}: {{role: worker, mac: 52:54:00:00:00:01}}}}\n")

    assert site.faults() == [f"hosts.yaml:1:9: hosts.{name}: {expected}"]


@pytest.mark.parametrize(
    "said",
    [
        "disk: /dev/sda",
        "disk: /dev/nvme0n1",
        "disk: /dev/disk/by-id/nvme-eui.0025388b71b2a5f1",
        "disk: /dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0",
        "kernel_arguments: ['console=ttyS0,115200n8', 'crashkernel=512M-2G:64M,2G-:128M', nomodeset, isolcpus=1-3]",
        "timezone: America/Argentina/Buenos_Aires",
        "network: {address: 192.0.2.0/31, gateway: 192.0.2.1}",
        "ntp: [192.0.2.1, ntp.example.com, time-1]",
        "ntp: []",
        "network: {address: 192.0.2.7/32}",
        "network: {}",
        "ssh_keys: ['ecdsa-sha2-nistp256 AAAAE2Vj+/== operator (laptop) at home']",
        "ssh_keys: []",
        "release: 1.30",
        "boot_media: no",
    ],
)
def test_what_operators_write_is_taken(site, said):
    site.write("hosts.yaml", A_HOST.format(said))

    assert len(site.load().hosts) == 1
