"""GRUB configurations, ours and operators', run by the simulated GRUB."""

import asyncio
from pathlib import Path

import pytest
from fixtures.scripted_machine import Files, a_machine, console, loaded

from netboot.model.install.event import Step
from netboot.probe.boot_failed import BootFailedError
from netboot.probe.scripts.grub_script import run_grub_script
from netboot.probe.scripts.script_end import BootsKernel, BootsLocally, Chains, Restarts, Waits

GOLDEN = Path(__file__).parents[2] / "render/golden"
URL = "http://192.0.2.10:8080/boot/52-54-00-aa-bb-01/grub.cfg"


def run(text, *, machine=None, files=None, url=URL):
    files = files or Files()
    return asyncio.run(run_grub_script(machine or a_machine(), text, url=url, fetch=files.fetch))


def test_the_install_configuration_boots_the_installer_with_its_arguments():
    machine, files = a_machine(), Files()

    end = run((GOLDEN / "cp1-install-grub.cfg").read_text(), machine=machine, files=files)

    (kernel, kernel_step), (initrd, initrd_step) = files.requested
    assert kernel.startswith("http://192.0.2.10:8080/")
    assert (kernel.rpartition("/")[2], kernel_step) == ("vmlinuz", Step.KERNEL)
    assert (initrd.rpartition("/")[2], initrd_step) == ("initrd.img", Step.INITRD)
    assert isinstance(end, BootsKernel)
    assert (end.kernel, end.initrds) == (loaded(kernel), (loaded(initrd),))
    assert "inst.ks=http" in end.arguments
    assert all(line.startswith("netboot: ") for line in console(machine))


def test_a_missing_kernel_is_tried_five_times_and_then_the_configuration_is_requested_again():
    text = (GOLDEN / "cp1-install-grub.cfg").read_text()
    complete = Files()
    run(text, files=complete)
    files = Files({complete.requested[0][0]})

    end = run(text, files=files)

    assert len(files.requested) == 5
    assert isinstance(end, Waits)
    assert end.url.endswith("/grub.cfg")
    assert end.after_s == 5 * 5 + 15


@pytest.mark.parametrize("reason", ["unknown-host", "not-ready", "store-unreachable", "checks-failed"])
def test_a_waiting_configuration_requests_itself_again(reason):
    text = (GOLDEN / f"wait-{reason}-grub.cfg").read_text()
    own = next(line.split()[1].strip("'\"") for line in text.splitlines() if line.startswith("configfile "))

    end = run(text, url=f"http://192.0.2.10:8080{own}")

    assert isinstance(end, Waits)
    assert end.after_s == 15


def test_a_machine_that_was_not_announced_restarts():
    assert run((GOLDEN / "wait-not-announced-grub.cfg").read_text()) == Restarts("reboot")


def test_the_loader_on_the_own_disk_comes_before_the_next_boot_entry():
    text = (GOLDEN / "cp1-local-grub.cfg").read_text()

    assert run(text) == BootsLocally("chainloader /EFI/redhat/shimx64.efi")
    assert run(text.replace("if search ", "if false ")) == BootsLocally("exit 1")


OPERATORS_MENU = """\
# an operator's menu
set timeout=5
default=rescue   # by its id
insmod efinet
function load_video { insmod all_video; }
load_video
if [ "$grub_platform" = "efi" -a -n "${net_default_mac}" ]; then
  set suffix=efi
else
  set suffix=
fi
menuentry 'Install "Oracle Linux" 8' --class os --id install {
  linux$suffix (http,192.0.2.20)/ol8/vmlinuz quiet
  initrd$suffix /ol8/initrd.img
}
submenu 'Others' --id others {
  menuentry 'A disk' { chainloader (hd0,gpt1)/EFI/BOOT/BOOTX64.EFI; }
}
menuentry 'Rescue' --id rescue {
  linuxefi (http,192.0.2.20:8081)//ol8/vmlinuz inst.rescue \\
    ip="$net_default_ip" 'a  b' mac=$net_default_mac
  initrdefi /one.img ($root)/two.img
}
"""


def test_an_operators_menu_boots_its_default_entry():
    files = Files()

    end = run(OPERATORS_MENU, files=files)

    assert [url for url, _ in files.requested] == [
        "http://192.0.2.20:8081//ol8/vmlinuz",
        "http://192.0.2.10:8080/one.img",
        "http://192.0.2.10:8080/two.img",
    ]
    assert isinstance(end, BootsKernel)
    assert end.arguments == "inst.rescue ip=192.0.2.101 a  b mac=52:54:00:aa:bb:01"


def test_a_submenu_opens_its_default_entry():
    text = OPERATORS_MENU.replace("default=rescue", "default=others")

    assert run(text) == BootsLocally("chainloader (hd0,gpt1)/EFI/BOOT/BOOTX64.EFI")


def test_a_sourced_file_runs_in_the_same_configuration():
    files = Files(texts={"http://192.0.2.10:8080/common.cfg": "set arguments='a b'\nfalse\n"})

    end = run("source /common.cfg\nlinux /vmlinuz $arguments\nboot\n", files=files)

    assert isinstance(end, BootsKernel)
    assert end.arguments == "a b"


def test_another_configuration_file_replaces_this_one():
    url = "http://192.0.2.10:8080/other.cfg"

    assert run("configfile /missing.cfg\nconfigfile /other.cfg", files=Files({url.replace("other", "missing")})) == (
        Chains(url, loaded(url))
    )


def test_a_loader_is_chained_from_the_network():
    url = "tftp://192.0.2.10/ipxe.efi"

    assert run("chainloader (tftp,192.0.2.10)/ipxe.efi\nboot") == Chains(url, loaded(url))


def test_loops_and_conditions():
    machine = a_machine()
    text = """\
for n in 1 2 3 4; do
  if test $n -eq 2; then continue; fi
  if [ $n = 4 ]; then break; elif ! false; then echo -n "n is" $n; fi
done
set rounds=
while [ "$rounds" != xxx ]; do set rounds=${rounds}x; done
echo $rounds
until true; do echo never; done
if [ -z "$none" ]; then echo none is empty; fi
if [ a = b -o 3 -gt 2 ]; then echo or; else echo wrong; fi
list="one two"
for word in $list "$list"; do echo "<$word>"; done
exit
"""

    assert run(text, machine=machine) == BootsLocally("exit")
    assert console(machine) == ["n is 1", "n is 3", "xxx", "none is empty", "or", "<one>", "<two>", "<one two>"]


def test_the_platform_and_the_cpu_of_the_machine():
    machine = a_machine("bios")

    run("echo $grub_platform $grub_cpu\nexit", machine=machine)
    assert console(machine) == ["pc i386"]

    machine = a_machine("arm64-edk2-pxe")
    run("echo $grub_platform $grub_cpu\nexit", machine=machine)
    assert console(machine) == ["efi arm64"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo a\nlinx /vmlinuz\n", "line 2 of the script: GRUB prints \"error: can't find command `linx'.\""),
        ("echo 'a\n", "line 1 of the script: GRUB prints 'error: syntax error.'"),
        ('echo "a\n', "a double quote is not closed"),
        ("if true; then\necho a\n", "`elif or else or fi` is missing"),
        ("fi\n", "line 1 of the script: GRUB prints 'error: syntax error.': unexpected `fi`"),
        ("for a b; do true; done", "`for` without `in`"),
        ("for a in b; true; done", "`do` is missing"),
        ("menuentry 'a'\n", "`{` is missing"),
        ("while true; do true; done", "does not end after 20000 commands"),
        ("function f { f; }\nf\n", "nested too deep"),
        ("if true; then " * 40, "nested too deep"),
        ("break\n", "outside a loop"),
        ("[ a = b\n", "`]` is missing"),
        ("linux\n", "filename expected"),
        ("set a\n", "assigns nothing"),
        ("eval a\n", "is not simulated"),
        ("boot\n", "GRUB shows its prompt"),
        ("", "GRUB shows its prompt"),
        ("set a=x\n" + "set a=$a$a\n" * 30 + "echo $a\n", "too long"),
    ],
)
def test_a_faulty_configuration_fails_with_its_line(text, message):
    with pytest.raises(BootFailedError) as failed:
        run(text)

    assert message in failed.value.sentence
    assert failed.value.step is Step.SCRIPT


def test_a_kernel_that_cannot_be_read_is_the_reason_at_the_prompt():
    with pytest.raises(BootFailedError, match=r"the server has no .*GRUB shows its prompt") as failed:
        run("linux /vmlinuz\nboot\n", files=Files({"http://192.0.2.10:8080/vmlinuz"}))

    assert failed.value.step is Step.KERNEL
