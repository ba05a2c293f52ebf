"""One record of a host makes the kernel arguments of every document."""

from dataclasses import replace

import pytest

from netboot.errors import RenderError
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.render import kernel_line


def test_the_installer_of_a_static_host_finds_its_card_by_bootif(cp1: Host, base_url: str):
    arguments = kernel_line.installer(cp1, mac=cp1.mac, base_url=base_url, kickstart_token="k" * 32)

    assert arguments == (
        "inst.stage2=http://192.0.2.10:8080/content/ol8u10-x86_64",
        "inst.ks=http://192.0.2.10:8080/ks/kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk",
        "inst.ks.sendmac",
        "inst.ks.sendsn",
        "inst.text",
        "ip=192.0.2.101::192.0.2.1:255.255.255.0:cp1::none",
        "nameserver=192.0.2.1",
        "nameserver=192.0.2.2",
        "BOOTIF=01-52-54-00-aa-bb-01",
        "rd.neednet=1",
        "rd.net.timeout.carrier=60",
        "console=tty0",
        "console=ttyS0,115200n8",
    )


def test_the_rescue_mode_has_the_installers_network_and_console_and_no_kickstart(cp1: Host, base_url: str):
    installer = kernel_line.installer(cp1, mac=cp1.mac, base_url=base_url, kickstart_token="k" * 32)
    rescue = kernel_line.rescue(cp1, mac=cp1.mac, medium="ol9", base_url=base_url)

    assert rescue[:2] == ("inst.stage2=http://192.0.2.10:8080/content/ol9", "inst.rescue")
    assert rescue[2:] == installer[4:]


def test_the_installer_uses_the_card_that_booted_and_not_the_first(cp2: Host, base_url: str):
    second = Mac.parse("52:54:00:aa:bb:12")

    arguments = kernel_line.installer(cp2, mac=second, base_url=base_url, kickstart_token="k" * 32)

    assert [word for word in arguments if word.startswith(("ip=", "BOOTIF="))] == [
        "ip=198.51.100.7:::255.255.255.128:cp2::none",
        "BOOTIF=01-52-54-00-aa-bb-12",
    ]


def test_the_installed_system_names_its_interface_and_its_ignition(cp1: Host, base_url: str):
    assert kernel_line.installed(cp1, mac=cp1.mac, base_url=base_url, ignition_token="i" * 32) == (
        "rw",
        "ip=192.0.2.101::192.0.2.1:255.255.255.0:cp1:enp1s0:none",
        "nameserver=192.0.2.1",
        "nameserver=192.0.2.2",
        "rd.neednet=1",
        "rd.net.timeout.carrier=60",
        "ignition.platform.id=metal",
        "ignition.firstboot=1",
        "ignition.config.url=http://192.0.2.10:8080/ign/iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii",
        "console=tty0",
        "console=ttyS0,115200n8",
    )


def test_a_host_by_dhcp_waits_for_a_slow_link_and_repeats_its_request(w1: Host, base_url: str):
    installer = kernel_line.installer(w1, mac=w1.mac, base_url=base_url, kickstart_token="k" * 32)
    installed = kernel_line.installed(w1, mac=w1.mac, base_url=base_url, ignition_token="i" * 32)

    waits = ["rd.net.timeout.carrier=60", "rd.net.dhcp.retry=5", "rd.net.timeout.dhcp=30"]
    assert [word for word in installer if word.startswith("rd.net.")] == waits
    assert [word for word in installed if word.startswith("rd.net.")] == waits


def test_what_the_host_sets_itself_is_not_set_twice(w1: Host, base_url: str):
    host = replace(w1, kernel_arguments=("rd.net.timeout.carrier=120", "rd.net.dhcp.retry=1"))

    arguments = kernel_line.installer(host, mac=w1.mac, base_url=base_url, kickstart_token="k" * 32)

    assert [word for word in arguments if word.startswith("rd.net.")] == [
        "rd.net.timeout.dhcp=30",
        "rd.net.timeout.carrier=120",
        "rd.net.dhcp.retry=1",
    ]


def test_an_installed_system_without_a_named_interface_uses_the_card_that_booted(cp2: Host, base_url: str):
    arguments = kernel_line.installed(cp2, mac=cp2.macs[1], base_url=base_url, ignition_token="i" * 32)

    assert arguments[:4] == (
        "rw",
        "ip=198.51.100.7:::255.255.255.128:cp2::none",
        "BOOTIF=01-52-54-00-aa-bb-12",
        "rd.neednet=1",
    )


def test_a_host_without_an_address_uses_dhcp(w1: Host, base_url: str):
    assert "ip=dhcp" in kernel_line.installer(w1, mac=w1.mac, base_url=base_url, kickstart_token="k")
    assert "ip=dhcp" in kernel_line.installed(w1, mac=w1.mac, base_url=base_url, ignition_token="i")


def test_a_line_that_the_kernel_would_cut_is_refused(w1: Host, base_url: str):
    chatty = replace(w1, kernel_arguments=tuple(f"dyndbg_{number}=+p" for number in range(200)))

    with pytest.raises(
        RenderError, match=r"for w1: \d+ characters, the kernel takes 2047; shorten hosts\.w1\.kernel_arg"
    ):
        kernel_line.installed(chatty, mac=w1.mac, base_url=base_url, ignition_token="i")


def test_a_host_without_a_boot_medium_gets_the_setting_to_set(w1: Host, base_url: str):
    with pytest.raises(RenderError, match=r"for w1: it has no boot medium; set hosts\.w1\.boot_media"):
        kernel_line.installer(replace(w1, boot_media=None), mac=w1.mac, base_url=base_url, kickstart_token="k")


def test_no_card_is_named_by_a_guid(cp2: Host, base_url: str):
    guid = Mac.parse("b8:ce:f6:03:00:31:33:3e")

    lines = (
        *kernel_line.installer(cp2, mac=guid, base_url=base_url, kickstart_token="k" * 32),
        *kernel_line.installed(cp2, mac=guid, base_url=base_url, ignition_token="i" * 32),
    )

    assert [word for word in lines if "BOOTIF" in word or "b8" in word] == []
    assert "rd.neednet=1" in lines
