from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

import pytest

from netboot.app.from_settings import lease_policy_for
from netboot.model.admin_listen import AddressEndpoint, InterfaceEndpoint
from netboot.model.boot.boot_client import BootProtocol, Cpu
from netboot.model.boot.offer import LoaderRule
from netboot.model.lease import AddressRange
from netboot.settings.settings import BootInterface, DhcpMode


def test_interfaces_are_names_or_names_with_an_address(site):
    site.write("netboot.yaml", "network: {interfaces: [eno2, {name: eno3.100, address: 192.0.2.10}]}\n")

    assert site.load().settings.network.interfaces == (
        BootInterface.model_construct(name="eno2"),
        BootInterface.model_construct(name="eno3.100", address=IPv4Address("192.0.2.10")),
    )


def test_a_pool_behind_a_relay_states_its_network_and_router(site):
    site.write(
        "netboot.yaml",
        """\
        dhcp:
          pool:
            - 192.0.2.200-192.0.2.220
            - {range: 198.51.100.100-198.51.100.120, network: 198.51.100.0/24, router: 198.51.100.1}
            - {range: 203.0.113.7, network: 203.0.113.0/25}
        """,
    )

    given = [IPv4Address(f"198.51.100.{number}") for number in (100, 120, 1)]
    assert lease_policy_for(site.load().settings).pool == (
        AddressRange(IPv4Address("192.0.2.200"), IPv4Address("192.0.2.220")),
        AddressRange(*given[:2], IPv4Network("198.51.100.0/24"), given[2]),
        AddressRange(*[IPv4Address("203.0.113.7")] * 2, IPv4Network("203.0.113.0/25")),
    )


def test_both_ends_of_a_network_of_two_addresses_are_machines(site):
    site.write("netboot.yaml", "dhcp: {pool: [{range: 192.0.2.4-192.0.2.5, network: 192.0.2.4/31}]}\n")

    assert [str(pool.range) for pool in site.load().settings.dhcp.pool] == ["192.0.2.4-192.0.2.5"]


def test_content_elsewhere_is_named_without_a_slash_at_the_end(site):
    site.write("netboot.yaml", "content: {url: 'https://mirror.example.org:8443/netboot/'}\n")

    assert site.load().settings.content.url == "https://mirror.example.org:8443/netboot"


UNREACHABLE = "is not an address that machines can reach; write a unicast address, as 192.0.2.1"
NO_WEB_SERVER = (
    "is not a URL of a web server; "
    "write it as http://mirror.example.org/netboot, what lies before /content/ and /ostree/"
)
NO_ADDRESS = "is not an IPv4 address; write one, as 192.0.2.1"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("22", 22),
        ("0x16", 22),
        ('"22"', 22),
        ("uboot-arm64", 22),
        ("x64-uefi-9", 9),
        ("arch-99", 99),
        ("7", 7),
        ("41", 41),
        ("65535", 65535),
    ],
)
def test_a_loader_is_chosen_for_any_number_of_option_93(site, written, number):
    site.write("netboot.yaml", f"bootfiles: {{loaders: [{{arch: {written}, loader: x.efi, oui: 3c:fd:fe}}]}}")

    assert [choice.rule() for choice in site.load().settings.bootfiles.loaders] == [
        LoaderRule(None, None, "x.efi", oui="3c:fd:fe", arch=number)
    ]


def test_number_0_is_the_x86_bios(site):
    site.write("netboot.yaml", "bootfiles: {loaders: [{arch: 0, loader: undionly.kpxe}]}")

    assert [choice.rule() for choice in site.load().settings.bootfiles.loaders] == [
        LoaderRule(BootProtocol.PXE, Cpu.X86_BIOS, "undionly.kpxe")
    ]


def test_loaders_are_chosen_by_architecture_card_and_class(site):
    site.write(
        "netboot.yaml",
        """
        bootfiles:
          loaders:
            - {arch: x64, loader: ipxe.efi, oui: 3C-FD-FE}
            - {arch: arm64-http, loader: grub/grubaa64.efi, vendor_class: "HTTPClient:Arch:00019"}
        """,
    )

    assert [choice.rule() for choice in site.load().settings.bootfiles.loaders] == [
        LoaderRule(BootProtocol.PXE, Cpu.X64, "ipxe.efi", oui="3c:fd:fe"),
        LoaderRule(BootProtocol.HTTP, Cpu.ARM64, "grub/grubaa64.efi", vendor_class="HTTPClient:Arch:00019"),
    ]


def test_relative_paths_are_meant_from_the_settings_file(site):
    site.write(
        "netboot.yaml",
        """
        content: {directory: data}
        admin: {socket: run/control.sock}
        bootfiles: {directories: [loaders, /usr/lib/ipxe]}
        store: {url: sqlite+aiosqlite:///netboot.db}
        """,
    )

    settings = site.load().settings

    assert settings.content.directory == site.directory / "data"
    assert settings.admin.socket == site.directory / "run/control.sock"
    assert settings.bootfiles.directories == (site.directory / "loaders", Path("/usr/lib/ipxe"))
    assert settings.store.url == f"sqlite+aiosqlite:///{site.directory}/netboot.db"


def test_an_absolute_store_path_is_not_changed(site):
    site.write("netboot.yaml", "store: {url: 'sqlite+aiosqlite:////var/lib/n.db'}\n")

    assert site.load().settings.store.url == "sqlite+aiosqlite:////var/lib/n.db"


@pytest.mark.parametrize("text", ["", "# nothing\n", "http:\n", "---\n...\n"])
def test_an_empty_file_and_an_empty_section_have_the_defaults(site, text):
    site.write("netboot.yaml", text)

    assert site.load().settings.http.port == 8080


def test_a_pool_is_read_as_ranges_and_single_addresses(site):
    site.write("netboot.yaml", "dhcp: {mode: reservation, pool: [192.0.2.200-192.0.2.220, 192.0.2.7], domain: lan}\n")

    settings = site.load().settings

    lone = IPv4Address("192.0.2.7")
    wide = AddressRange(IPv4Address("192.0.2.200"), IPv4Address("192.0.2.220"))
    assert (settings.dhcp.mode, settings.dhcp.domain) == (DhcpMode.RESERVATION, "lan")
    assert lease_policy_for(settings).pool == (wide, AddressRange(lone, lone))


def test_values_are_read_as_yaml_1_2_has_them(site):
    site.write(
        "netboot.yaml", "tftp: {single_port: true, port: 0o105}\ndhcp: {mode: off}\nhttp: {listen: [192.0.2.1]}\n"
    )

    settings = site.load().settings

    assert (settings.tftp.single_port, settings.tftp.port) == (True, 69)
    assert settings.dhcp.mode is DhcpMode.OFF
    assert settings.http.listen == (IPv4Address("192.0.2.1"),)


def test_a_machine_in_the_wrong_file_is_sent_to_the_right_one(site):
    site.write("netboot.yaml", "hosts:\n  cp1: {role: worker}\n")

    assert site.faults() == [
        "netboot.yaml:2:3: hosts.cp1: no such setting; machines are written in a file of hosts.files: hosts.yaml"
    ]


def test_the_dashboard_may_listen_on_ipv6_loopback(site):
    site.write("netboot.yaml", "admin: {listen: '[::1]:9000'}\n")

    (listen,) = site.load().settings.admin.listen

    assert (listen, str(listen)) == (AddressEndpoint(IPv6Address("::1"), 9000), "[::1]:9000")


def test_the_administration_may_listen_on_several_addresses_and_interfaces(site):
    site.write("netboot.yaml", "admin: {listen: [127.0.0.1:8470, 10.1.0.2:443, eno1.20:8470]}\n")

    listen = site.load().settings.admin.listen

    assert listen == (
        AddressEndpoint(IPv4Address("127.0.0.1"), 8470),
        AddressEndpoint(IPv4Address("10.1.0.2"), 443),
        InterfaceEndpoint("eno1.20", 8470),
    )
    assert [each.needs_tls for each in listen[:2] if isinstance(each, AddressEndpoint)] == [False, True]


def test_the_files_of_the_certificate_are_beside_the_settings_and_the_url_has_no_slash_at_its_end(site):
    site.write(
        "netboot.yaml",
        "admin: {tls: {certificate: tls/server.pem, key: /k.pem}, public_url: 'https://netboot.example.org:8470/'}\n",
    )

    admin = site.load().settings.admin

    assert admin.tls is not None
    assert (admin.tls.certificate, admin.tls.key) == (site.directory / "tls/server.pem", Path("/k.pem"))
    assert admin.public_url == "https://netboot.example.org:8470"


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("", 0),
        ("logs: {listen: }", 0),
        ("logs: {listen: ''}", 0),
        ("logs: {listen: '0.0.0.0:514'}", 514),
        ("logs: {listen: 1514}", 1514),
    ],
)
def test_logs_are_received_on_every_address_or_not_at_all(site, text, port):
    site.write("netboot.yaml", f"{text}\n")

    assert site.load().settings.logs.port == port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("htpp: {port: 1}", "1:1: htpp: no such setting; did you mean http?"),
        ("http: {prot: 1}", "1:8: http.prot: no such setting; did you mean port?"),
        ("log: {xyzzy: 1}", "1:7: log.xyzzy: no such setting; known here: format, level"),
        ("http: 8080", "1:7: http: must be a table of keys; write `key: value` pairs below it"),
        ("[http]", "1:1: is not a table of settings; write sections, as `http: {port: 8080}`"),
        ("http: {port: 0}", "1:14: http.port: 0 is out of range; write a whole number from 1 to 65535"),
        ("http: {port: 65536}", "1:14: http.port: 65536 is out of range; write a whole number from 1 to 65535"),
        ("http: {port: '80'}", "1:14: http.port: '80' is not a whole number; write one from 1 to 65535"),
        ("http: {port: 80.0}", "1:14: http.port: '80.0' is not a whole number; write one from 1 to 65535"),
        ("http: {port: [80]}", "1:14: http.port: must be one value; write a single word, number or path"),
        ("http: {port: }", "1:13: http.port: is empty; write a value or remove the key"),
        ("http: {listen: 192.0.2.1}", "1:16: http.listen: must be a list; write it in brackets: [first, second]"),
        ("http: {listen: }", "1:15: http.listen: is empty; write a list or remove the key"),
        ("http: {listen: [eno2]}", f"1:17: http.listen[0]: 'eno2' {NO_ADDRESS}"),
        ("http: {listen: [224.0.0.1]}", f"1:17: http.listen[0]: 224.0.0.1 {UNREACHABLE}"),
        ("dhcp: {mode: prox}", "1:14: dhcp.mode: 'prox' is none of its values; use proxy, off, listen or reservation"),
        ("dhcp: {mode: {}}", "1:14: dhcp.mode: must be one value; write a single word, number or path"),
        (
            "dhcp: {pool: [192.0.2.9-192.0.2.1]}",
            "1:15: dhcp.pool[0]: 192.0.2.9-192.0.2.1 ends before it begins; write the lower address first",
        ),
        (
            "dhcp: {pool: [192.0.2.0/24]}",
            "1:15: dhcp.pool[0]: '192.0.2.0/24' is not a range of addresses; write it as 192.0.2.200-192.0.2.220",
        ),
        (
            "dhcp: {pool: [10.0.0.0-10.0.4.0]}",
            "1:15: dhcp.pool[0]: 10.0.0.0-10.0.4.0 holds 1025 addresses; a pool holds 1024 at most",
        ),
        (
            "dhcp: {pool: [192.0.2.5-192.0.2.9, 192.0.2.9]}",
            "1:14: dhcp.pool: 192.0.2.5-192.0.2.9 and 192.0.2.9 share addresses; write each address once",
        ),
        *(
            (f"dhcp: {{pool: [{{{written}}}]}}", f"1:{refused}")
            for written, refused in (
                ("range: 192.0.2.5", "15: dhcp.pool[0].network: is missing; write it, as network: 198.51.100.0/24"),
                (
                    "network: 192.0.2.0/24",
                    "15: dhcp.pool[0].range: is missing; write it, as range: 198.51.100.100-198.51.100.120",
                ),
                (
                    "ranges: 192.0.2.5, network: 192.0.2.0/24",
                    "16: dhcp.pool[0].ranges: no such setting; did you mean range?",
                ),
                (
                    "range: 192.0.2.5, network: 192.0.2.1/24",
                    "43: dhcp.pool[0].network: '192.0.2.1/24' is not an IPv4 network; "
                    "write its first address and prefix: 192.0.2.0/24",
                ),
                (
                    "range: 192.0.2.5, network: 192.0.2.0",
                    "43: dhcp.pool[0].network: '192.0.2.0' is not an IPv4 network; "
                    "write its first address and prefix: 192.0.2.0/24",
                ),
                (
                    "range: 192.0.2.250-192.0.3.5, network: 192.0.2.0/24",
                    "15: dhcp.pool[0]: 192.0.3.5 is not an address of a machine in 192.0.2.0/24; "
                    "correct the network or the address",
                ),
                (
                    "range: 192.0.2.250-192.0.2.255, network: 192.0.2.0/24",
                    "15: dhcp.pool[0]: 192.0.2.255 is not an address of a machine in 192.0.2.0/24; "
                    "correct the network or the address",
                ),
                (
                    "range: 192.0.2.5, network: 192.0.2.0/24, router: 198.51.100.1",
                    "15: dhcp.pool[0]: 198.51.100.1 is not an address of a machine in 192.0.2.0/24; "
                    "correct the network or the address",
                ),
                (
                    "range: [192.0.2.5], network: 192.0.2.0/24",
                    "23: dhcp.pool[0].range: must be one value; write a single word, number or path",
                ),
            )
        ),
        (
            "dhcp: {pool: [{range: 192.0.2.5, network: 192.0.2.0/24}, {range: 192.0.2.9, network: 192.0.2.0/25}]}",
            "1:14: dhcp.pool: the networks 192.0.2.0/24 and 192.0.2.0/25 overlap; state one network for both",
        ),
        ("dhcp: {lease_s: 59}", "1:17: dhcp.lease_s: 59 is out of range; write a whole number from 60 to 31536000"),
        ("dhcp: {router: gw}", f"1:16: dhcp.router: 'gw' {NO_ADDRESS}"),
        (
            "network: {interfaces: [{name: s0, advertise: 0.0.0.0}]}",
            f"1:46: network.interfaces[0].advertise: 0.0.0.0 {UNREACHABLE}",
        ),
        (
            "dhcp: {router: 224.0.0.1}",
            f"1:16: dhcp.router: 224.0.0.1 {UNREACHABLE}",
        ),
        (
            "dhcp: {nameservers: [127.0.0.1]}",
            f"1:22: dhcp.nameservers[0]: 127.0.0.1 {UNREACHABLE}",
        ),
        (
            "dhcp: {ntp_servers: [255.255.255.255]}",
            f"1:22: dhcp.ntp_servers[0]: 255.255.255.255 {UNREACHABLE}",
        ),
        (
            "dhcp: {domain: a..b}",
            "1:16: dhcp.domain: 'a..b' is not a name of a domain; write it as rack.example.org",
        ),
        (
            "dhcp: {port: 4011}",
            "1:7: dhcp.pxe_port: 4011 is dhcp.port as well; give each its own; firmware uses only 4011",
        ),
        ("tftp: {single_port: no}", "1:21: tftp.single_port: 'no' is neither true nor false; write true or false"),
        (
            "network: {interfaces: [a b]}",
            "1:24: network.interfaces[0]: 'a b' is not a name of an interface; "
            "write one of at most 15 characters, as enp1s0; `ip link` shows those of this computer",
        ),
        (
            "network: {interfaces: [eno2, eno2]}",
            "1:23: network.interfaces: eno2 is named 2 times; name each interface once",
        ),
        (
            "bootfiles: {loaders: [{arch: x64}]}",
            "1:23: bootfiles.loaders[0].loader: is missing; write it, as loader: snponly.efi",
        ),
        (
            "bootfiles: {loaders: [{arch: x86-bios-http, loader: x}]}",
            "1:30: bootfiles.loaders[0].arch: no such architecture 'x86-bios-http'; did you mean x86-bios?",
        ),
        *(
            (
                f"bootfiles: {{loaders: [{{arch: {number}, loader: x}}]}}",
                f"1:30: bootfiles.loaders[0].arch: {number} is not an architecture of option 93; "
                "write a number from 0 to 65535",
            )
            for number in ("65536", "0x10000", "4294967295")
        ),
        *(
            (
                f"bootfiles: {{loaders: [{{arch: {text}, loader: x}}]}}",
                f"1:30: bootfiles.loaders[0].arch: no such architecture '{text}'; did you mean {meant}?",
            )
            for text, meant in (("uboot-arm46", "uboot-arm64"), ("x46", "x64"))
        ),
        (
            "bootfiles: {loaders: [{arch: x64, loader: ../x}]}",
            "1:43: bootfiles.loaders[0].loader: '../x' is not a name of a boot file; "
            "write one below bootfiles.directories, as snponly.efi or grub/grubx64.efi",
        ),
        (
            "bootfiles: {loaders: [{arch: x64, loader: x, oui: 3c:fd}]}",
            "1:51: bootfiles.loaders[0].oui: '3c:fd' is not a first half of a MAC; "
            'write three bytes, as "3c:fd:fe"',
        ),
        (
            "bootfiles: {loaders: [{arch: x64, loader: x, vendor_class: MSFT}]}",
            "1:60: bootfiles.loaders[0].vendor_class: 'MSFT' is not a class of a firmware; "
            "write how it begins, as PXEClient:Arch:00007",
        ),
        (
            "bootfiles: {loaders: [{arch: x64, loader: x, vendor: y}]}",
            "1:46: bootfiles.loaders[0].vendor: no such setting; did you mean vendor_class?",
        ),
        ("network: {interfaces: [{}]}", "1:24: network.interfaces[0].name: is missing; write it, as name: eno2"),
        (
            "network: {interfaces: [{nam: a}]}",
            "1:25: network.interfaces[0].nam: no such setting; did you mean name?",
        ),
        (
            "network: {interfaces: [{name: a, adress: b}]}",
            "1:34: network.interfaces[0].adress: no such setting; did you mean address?",
        ),
        (
            "admin: {listen: '0.0.0.0:80'}",
            "1:17: admin.listen: 0.0.0.0:80 is every address, also those of interfaces on which machines boot; "
            "name an address or an interface, as [127.0.0.1:8470, eno1:80]",
        ),
        (
            "admin: {listen: ['[::]:80']}",
            "1:18: admin.listen[0]: [::]:80 is every address, also those of interfaces on which machines boot; "
            "name an address or an interface, as [127.0.0.1:8470, eno1:80]",
        ),
        (
            "admin: {listen: '[::ffff:0.0.0.0]:80'}",
            "1:17: admin.listen: [::ffff:0:0]:80 is an IPv4 address in IPv6 notation; write 0.0.0.0:80",
        ),
        *(
            (
                f"admin: {{listen: '{text}'}}",
                f"1:17: admin.listen: {text} is not an address that identifies this appliance; "
                "name another one, or its interface, as eno1:80",
            )
            for text in ("224.0.0.1:80", "[fe80::1]:80", "169.254.1.1:80")
        ),
        (
            "admin: {listen: 'localhost:80'}",
            "1:17: admin.listen: localhost is a name; write its address: 127.0.0.1:80",
        ),
        *(
            (
                f"admin: {{listen: '{text}'}}",
                f"1:17: admin.listen: '{text}' is not an address with a port; write it as 127.0.0.1:8470",
            )
            for text in ("appliance.example.org:80", "192.0.2.256:80", "eno1:0", "eno1:port", ":80")
        ),
        (
            "admin: {listen: [127.0.0.1:80, 127.0.0.1:80]}",
            "1:17: admin.listen: 127.0.0.1:80 is named 2 times; name each endpoint once",
        ),
        (
            "admin: {listen: []}",
            "1:17: admin.listen: is empty; write an address with a port, as 127.0.0.1:8470, or remove the key",
        ),
        ("admin: {listen: }", "1:16: admin.listen: is empty; write a list or remove the key"),
        ("admin: {tls: {certificate: a.pem}}", "1:14: admin.tls.key: is missing; write it, as key: tls/server.key"),
        *(
            (
                f"admin: {{public_url: '{url}'}}",
                f"1:21: admin.public_url: '{url}' is not the URL of an appliance; "
                "write it as https://netboot.example.org:8470, without path, user and password",
            )
            for url in ("http://a", "https://a/b", "https://u@a", "https://a:0", "https://a:99999", "https://[::1", "a")
        ),
        (
            "admin: {listen: '8470'}",
            "1:17: admin.listen: '8470' is not an address with a port; write it as 127.0.0.1:8470",
        ),
        (
            "admin: {listen: '127.0.0.1:99999'}",
            "1:17: admin.listen: '127.0.0.1:99999' is not an address with a port; write it as 127.0.0.1:8470",
        ),
        (
            "logs: {listen: '192.0.2.1:514'}",
            "1:16: logs.listen: '192.0.2.1' is one address, and logs are received on each of network.interfaces; "
            "write it as 0.0.0.0:514",
        ),
        ("logs: {listen: 0.0.0.0}", "1:16: logs.listen: '0.0.0.0' has no port; write it as 0.0.0.0:514"),
        (
            "store: {url: 'mysql://x'}",
            "1:14: store.url: the scheme 'mysql' is not a supported database; "
            "use sqlite+aiosqlite:////path/netboot.db or postgresql+asyncpg://user@server/netboot",
        ),
        (
            "store: {url: 'sqlite+aiosqlite:///:memory:'}",
            "1:14: store.url: names no file; "
            "an install must outlive the daemon; use sqlite+aiosqlite:////path/netboot.db",
        ),
        (
            "dhcp: {pool: [10.0.0.0-10.0.2.255, 10.0.3.0-10.0.3.255, 10.0.4.1]}",
            "1:14: dhcp.pool: holds 1025 addresses; a pool holds 1024 at most",
        ),
        *(
            (f"content: {{url: '{url}'}}", f"1:16: content.url: '{url}' {NO_WEB_SERVER}")
            for url in ("mirror.example.org", "ftp://mirror", "http://", "http://a:0/", "http://[::1", "http://a/?x=1")
        ),
        ("store: {url: 'http://[x'}", "1:14: store.url: the scheme '' is not a supported database; "
         "use sqlite+aiosqlite:////path/netboot.db or postgresql+asyncpg://user@server/netboot"),
        ("content: {directory: ''}", "1:22: content.directory: is empty; write a value or remove the key"),
        ("hosts: {unknown: inspect}", "1:18: hosts.unknown: no boot medium inspects machines; "
         "set hosts.inspect_media to an imported boot medium: netboot content list"),
        ("hosts: {unknown: hide}", "1:18: hosts.unknown: 'hide' is none of its values; use ignore, wait or inspect"),
        ("install: {attempts: 101}", "1:21: install.attempts: 101 is out of range; write a whole number from 1 to 100"),
    ],
)  # fmt: skip
def test_a_faulty_setting_is_reported_with_place_and_cure(site, text, expected):
    site.write("netboot.yaml", text + "\n")

    assert site.faults() == [f"netboot.yaml:{expected}"]


def test_a_missing_file_is_one_clear_fault(site):
    (site.directory / "netboot.yaml").unlink()

    assert site.faults() == [
        "netboot.yaml: cannot be read (No such file or directory); write the file, or correct the name"
    ]
