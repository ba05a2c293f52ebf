"""iPXE scripts, ours and an operator's, run by the simulated iPXE."""

import asyncio
from pathlib import Path

import pytest
from fixtures.scripted_machine import Files, a_machine, console, loaded

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.scripts.ipxe_script import run_ipxe_script
from netboot.probe.scripts.script_end import BootsKernel, BootsLocally, Chains, Restarts, Waits

GOLDEN = Path(__file__).parents[2] / "render/golden"
URL = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01.ipxe"


def run(text, *, machine=None, files=None, url=URL, **settings):
    files = files or Files()
    return asyncio.run(run_ipxe_script(machine or a_machine(), text, url=url, fetch=files.fetch, settings=settings))


def test_the_install_script_boots_the_installer_with_its_arguments():
    machine, files = a_machine(), Files()

    end = run((GOLDEN / "cp1-install.ipxe").read_text(), machine=machine, files=files)

    (kernel, kernel_step), (initrd, initrd_step) = files.requested
    assert (kernel.rpartition("/")[2], kernel_step) == ("vmlinuz", Step.KERNEL)
    assert (initrd.rpartition("/")[2], initrd_step) == ("initrd.img", Step.INITRD)
    assert isinstance(end, BootsKernel)
    assert (end.kernel, end.initrds) == (loaded(kernel), (loaded(initrd),))
    assert end.arguments.startswith("initrd=initrd.img ")
    assert "inst.ks=" in end.arguments
    assert "netboot simulated machine serial 52-54-00-aa-bb-01" in console(machine)


def test_a_missing_initrd_is_tried_five_times_and_then_the_script_is_requested_again():
    text = (GOLDEN / "cp1-install.ipxe").read_text()
    complete = Files()
    run(text, files=complete)
    files, machine = Files({complete.requested[1][0]}), a_machine()

    end = run(text, files=files, machine=machine)

    assert len(files.requested) == 10
    assert isinstance(end, Waits)
    assert end.url == URL
    assert end.sentence.endswith(f"requesting {URL} again") or "again" in end.sentence


@pytest.mark.parametrize("reason", ["unknown-host", "not-ready", "store-unreachable", "checks-failed", "not-announced"])
def test_a_waiting_script_requests_itself_again_after_its_pause(reason):
    text = (GOLDEN / f"wait-{reason}.ipxe").read_text()
    own = next(word for word in text.split() if word.startswith("http") and word.endswith(".ipxe"))

    end = run(text, url=own)

    assert isinstance(end, Waits)
    assert end.url.partition("?")[0] == own
    assert end.after_s == (5 if reason == "not-announced" else 10)


@pytest.mark.parametrize(("firmware", "way"), [("edk2-pxe", "exit 1"), ("bios", "sanboot --drive 0x80")])
def test_the_own_disk_is_booted_as_each_firmware_needs_it(firmware, way):
    end = run((GOLDEN / "cp1-local.ipxe").read_text(), machine=a_machine(firmware))

    assert end == BootsLocally(way)


OPERATORS_MENU = """\
#!ipxe
set menu-timeout 5000
set base http://${next-server}/images
:start
menu Boot menu for ${manufacturer} ${net0/ip}
item --gap -- Installers
item --key o ol8 Oracle Linux 8
item shell A shell
choose --timeout ${menu-timeout} --default ol8 target || goto cancel
goto ${target}
:ol8
kernel ${base}/${buildarch}/vmlinuz ip=${ip}:::255.255.255.0 \\
  BOOTIF=01-${mac:hexhyp} uuid=${uuid}
initrd ${base}/${buildarch}/initrd.img ; boot
:cancel
exit
"""


def test_an_operators_menu_boots_its_default_entry():
    files = Files()

    end = run(OPERATORS_MENU, files=files, **{"next-server": "192.0.2.10"})

    assert files.requested == [
        ("http://192.0.2.10/images/x86_64/vmlinuz", Step.KERNEL),
        ("http://192.0.2.10/images/x86_64/initrd.img", Step.INITRD),
    ]
    assert isinstance(end, BootsKernel)
    assert end.arguments == (
        "ip=192.0.2.101:::255.255.255.0 BOOTIF=01-52-54-00-aa-bb-01 uuid=00112233-4455-6677-8899-aabbccddeeff"
    )


def test_a_chained_url_is_relative_to_the_script_and_its_failure_goes_on_behind_the_bars():
    files = Files({"http://192.0.2.10:8080/boot/first.ipxe"})

    end = run("#!ipxe\nchain first.ipxe || chain --autofree /second.ipxe\n", files=files)

    second = "http://192.0.2.10:8080/second.ipxe"
    assert end == Chains(second, loaded(second))


def test_a_kernel_that_cannot_be_read_ends_a_script_without_bars():
    files = Files({"http://192.0.2.10:8080/boot/vmlinuz"})

    with pytest.raises(BootFailedError, match=r"line 3 of the script ends it") as failed:
        run("#!ipxe\n\nkernel vmlinuz\nboot\n", files=files)

    assert failed.value.step is Step.KERNEL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "Exec format error"),
        ("", "Exec format error"),
        ("#!ipxe\nkernl http://x/vmlinuz ||\n", "line 2 of the script: iPXE has no command 'kernl'"),
        ("#!ipxe\ngoto nowhere ||\n", "line 2 of the script: there is no label 'nowhere'"),
        ("#!ipxe\n\nkernel --nme x http://x/y\n", "line 3 of the script: iPXE's `kernel` has no option --nme"),
        ("#!ipxe\n:loop\ngoto loop\n", "does not end after 20000 lines"),
        ("#!ipxe\nset a ${a}${a}x\nset a:string $${a}{b}\n:l\nset a ${a}${a}xx\ngoto l\n", "does not end"),
        ("#!ipxe\nshell\n", "waits for a person"),
        ("#!ipxe\nprompt Press a key\n", "waits for a key"),
        ("#!ipxe\nboot\n", "No bootable image"),
        ("#!ipxe\nkernel\n", "too few words"),
        ("#!ipxe\nsleep never\n", "wrong number"),
        ("#!ipxe\niseq a b\n", "Operation failed"),
    ],
)
def test_a_faulty_script_fails_with_its_line(text, message):
    with pytest.raises(BootFailedError) as failed:
        run(text)

    assert message in failed.value.sentence
    assert failed.value.step is Step.SCRIPT


def test_control_characters_of_a_banner_reach_no_terminal():
    machine = a_machine()

    run("#!ipxe\necho \x1b[31mred " + "x" * 500 + "\nexit\n", machine=machine)

    (line,) = console(machine)
    assert line.startswith("\\x1b[31mred xxx")
    assert len(line) == 200


def test_no_token_is_in_what_a_script_prints():
    machine = a_machine()

    run("#!ipxe\necho http://192.0.2.10/ks/0123456789abcdef0123456789abcdef\nexit\n", machine=machine)

    assert console(machine) == ["http://192.0.2.10/ks/hidden"]


def test_conditions_settings_and_images():
    machine = a_machine()
    text = """\
#!ipxe
set empty
isset ${empty} && echo wrong || echo not set
isset ${net0/mac} && echo card || echo wrong
isset ${net1/mac} && echo wrong ||
set count:int32 3
inc count
inc count 10
echo ${count} ${count:hexint} ${mac:hexraw} ${product:uristring} # a comment
clear count
echo [${count}]
initrd --name one http://192.0.2.10/one
kernel http://192.0.2.10/vmlinuz first
imgargs vmlinuz second third
imgfree one
boot
"""

    end = run(text, machine=machine)

    assert console(machine) == ["not set", "card", "14 0xe 525400aabb01 simulated%20machine", "[]"]
    assert end == BootsKernel(loaded("http://192.0.2.10/vmlinuz"), (), "second third")


def test_a_key_that_no_person_presses():
    assert run("#!ipxe\nprompt --key 0x02 --timeout 2000 Press Ctrl-B && shell || reboot\n") == Restarts("reboot")
