"""Kernel lines with which dracut starts an installer, and those with which it does not."""

import pytest

from netboot.model.host.mac import Mac
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.installer.installer_arguments import read_installer_line
from netboot.probe.installer.kickstart_request import anaconda_headers

MAC = Mac.parse("52:54:00:aa:bb:01")
LINE = (
    "initrd=initrd.img inst.stage2=http://192.0.2.10:8080/content/ol8 inst.ks=http://192.0.2.10:8080/ks/0a "
    "inst.ks.sendmac inst.ks.sendsn inst.text ip=dhcp BOOTIF=01-52-54-00-AA-BB-01 rd.neednet=1"
)


def test_what_netboot_writes_is_read():
    line = read_installer_line(LINE, MAC)

    assert line.stage2_url == "http://192.0.2.10:8080/content/ol8"
    assert line.kickstart_url == "http://192.0.2.10:8080/ks/0a"
    assert anaconda_headers(line, MAC, 7) == (
        ("X-Anaconda-Architecture", "x86_64"),
        ("X-Anaconda-System-Release", "Oracle Linux Server"),
        ("X-RHN-Provisioning-MAC-0", f"eth0 {MAC}"),
        ("X-System-Serial-Number", "netboot-simulate"),
    )


def test_the_last_of_several_arguments_counts():
    line = read_installer_line(f"{LINE} inst.ks=http://192.0.2.9/other inst.ks.sendsn=0", MAC)

    assert line.kickstart_url == "http://192.0.2.9/other"
    assert not line.has("inst.ks.sendsn")
    assert anaconda_headers(line, MAC, 11)[0] == ("X-Anaconda-Architecture", "aarch64")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"{LINE} {'x' * 2048}", "the kernel reads 2047"),
        (LINE.replace("inst.ks=", "ks="), "ignore ks= without inst."),
        ("ip=dhcp", "neither inst.stage2 nor inst.repo"),
        (LINE.replace("BB-01", "BB-02"), "dracut waits for a card"),
    ],
)
def test_a_line_with_which_no_installer_starts(line: str, shown: str):
    with pytest.raises(BootFailedError, match=shown):
        read_installer_line(line, MAC)
