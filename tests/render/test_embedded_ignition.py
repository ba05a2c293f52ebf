"""The Ignition in the initramfs: the archive, what the installer does with it, and what the first boot leaves of it.

The boot entries are those of the real libostree, which reads them again after each change and writes them anew.
"""

import gzip
import hashlib
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from fixtures.kickstart_machine import Machine, reports_answered_with
from fixtures.sysroot import Sysroot, initrds, ostree

from netboot.errors import RenderError
from netboot.ignition.check import read_ignition
from netboot.ignition.merging import rendered
from netboot.ignition.resource import content_of
from netboot.model.host.host import Host
from netboot.render.embedded_ignition import ARCHIVE_NAME, LARGEST_MIB, archive, wrapper
from netboot.render.ignition import overlay
from netboot.render.kernel_line import installed
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine

REPORT, IGNITION = "a" * 32, "b" * 32
READY = f"http://192.0.2.10:8080/report/{REPORT}/ready"
PACKED = gzip.compress(b"an archive with keys")


def document_of(engine: Engine, host: Host) -> bytes:
    assert host.ignition is not None
    over = overlay(engine, host, version="3.4.0", ready_url=READY, mac=host.mac, is_embedded=True)
    return wrapper(version="3.4.0", role=host.ignition.read_bytes(), overlay=over)


def test_cpio_unpacks_the_archive_to_the_file_that_ignition_reads(cp1: Host, engine: Engine, tmp_path: Path):
    document = document_of(engine, cp1)

    unpacked = subprocess.run(
        ["cpio", "--extract", "--make-directories", "--verbose", "--quiet"],
        check=True, cwd=tmp_path, input=gzip.decompress(archive(cp1, document)), capture_output=True, timeout=20,
    )  # fmt: skip

    assert unpacked.stderr.decode().splitlines() == [
        "usr",
        "usr/lib",
        "usr/lib/ignition",
        "usr/lib/ignition/user.ign",
    ]
    file = tmp_path / "usr/lib/ignition/user.ign"
    assert file.read_bytes() == document
    assert oct(file.stat().st_mode) == "0o100600"
    assert oct(file.parent.stat().st_mode) == "0o40755"


def test_the_same_document_makes_the_same_archive(cp1: Host, engine: Engine):
    assert archive(cp1, document_of(engine, cp1)) == archive(cp1, document_of(engine, cp1))


def test_the_document_holds_role_and_overlay_byte_for_byte(host: Host, engine: Engine):
    assert host.ignition is not None
    over = overlay(engine, host, version="3.4.0", ready_url=READY)
    document = read_ignition(wrapper(version="3.4.0", role=host.ignition.read_bytes(), overlay=over))

    assert document.problems == ()
    children = document.config["ignition"]["config"]["merge"]
    assert list(map(content_of, children)) == [host.ignition.read_bytes(), over]


def test_the_real_ignition_merges_the_document_as_it_merges_what_it_fetches(
    host: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]
):
    """Debian's Ignition reads up to 3.3.0."""
    assert host.ignition is not None
    lowered = host.ignition.read_bytes().replace(b'"version":"3.4.0"', b'"version":"3.3.0"')
    over = overlay(engine, host, version="3.3.0", ready_url=READY, is_embedded=True)
    file = tmp_path / "user.ign"
    file.write_bytes(wrapper(version="3.3.0", role=lowered, overlay=over))

    judged = subprocess.run(
        [tool("ignition-validate"), str(file)], check=False, capture_output=True, text=True, timeout=20
    )

    assert (judged.returncode, judged.stderr) == (0, "")
    merged = rendered(read_ignition(file.read_bytes()).config, fetch=lambda each: _read(content_of(each)))
    assert "/etc/netboot/forget-ignition" in [each["path"] for each in merged["storage"]["files"]]
    assert "netboot-forget-ignition.service" in [each["name"] for each in merged["systemd"]["units"]]


def _read(content: bytes | None) -> dict[str, object] | None:
    return None if content is None else read_ignition(content).config


def test_a_document_that_an_initramfs_does_not_hold_is_refused(cp1: Host):
    with pytest.raises(
        RenderError,
        match=r"^cannot embed the Ignition of cp1: it has 4\.0 MiB, and an initramfs takes 4 MiB at most; "
        r"set install\.ignition: url, or shorten .*/init\.ign$",
    ):
        archive(cp1, bytes((LARGEST_MIB << 20) + 1))


def test_the_kernel_line_names_no_configuration_and_is_otherwise_the_same(host: Host, base_url: str):
    fetched = installed(host, mac=host.mac, base_url=base_url, ignition_token=IGNITION)
    own = installed(host, mac=host.mac, base_url=base_url, ignition_token=None)

    assert [each for each in fetched if each not in own] == [f"ignition.config.url={base_url}/ign/{IGNITION}"]
    assert {"ignition.platform.id=metal", "ignition.firstboot=1", "rd.neednet=1"} <= set(own)


def embedding(engine: Engine, host: Host, base_url: str) -> str:
    return kickstart(
        engine, host,
        mac=host.macs[-1], base_url=base_url, report_token=REPORT, ignition_token=IGNITION, embeds_ignition=True,
    )  # fmt: skip


def test_the_section_of_the_kickstart(cp1: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    text = embedding(engine, cp1, base_url)

    golden("embed.ks", text[text.index("%post") : text.index("%end", text.index("%post")) + 5])
    assert re.findall(r"^%post.*", text, re.MULTILINE) == [
        "%post --nochroot --erroronfail --interpreter=/bin/bash",
        "%post --nochroot --interpreter=/bin/bash",
    ]


@pytest.mark.parametrize("version", ["RHEL8", "RHEL9", "RHEL10"])
def test_ksvalidator_accepts_the_kickstart(
    version: str, host: Host, engine: Engine, base_url: str, tmp_path: Path, tool: Callable[[str], str]
):
    file = tmp_path / "node.ks"
    file.write_text(embedding(engine, host, base_url))

    judged = subprocess.run(
        [tool("ksvalidator"), "--version", version, "--firsterror", str(file)],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (judged.returncode, judged.stderr) == (0, "")


def test_a_sites_kickstart_that_embeds_nothing_is_refused(cp1: Host, engine: Engine, base_url: str, tmp_path: Path):
    own = tmp_path / "kickstart/node.ks.j2"
    own.parent.mkdir()
    own.write_text("reboot\n")

    with pytest.raises(
        RenderError,
        match=r"^cannot render the Kickstart of cp1: its template kickstart/node\.ks\.j2 does not include "
        r"kickstart/embed\.ks\.j2, so the node would have no Ignition; include it, or set install\.ignition: url$",
    ):
        embedding(Engine([tmp_path, Path("assets/templates").resolve()]), cp1, base_url)


@pytest.fixture(params=["bash", "dash"])
def machine(request: pytest.FixtureRequest, engine: Engine, cp1: Host, tmp_path: Path) -> Machine:
    return Machine(engine, cp1, request.param, tmp_path / "machine", embeds_ignition=True)


@pytest.fixture
def sysroot(machine: Machine, tmp_path: Path) -> Sysroot:
    """The disk of the machine."""
    return Sysroot.deployed(machine.home / "sysroot", tmp_path / "tree")


@pytest.mark.integration
def test_the_archive_lies_beside_the_initramfs_and_every_boot_entry_names_it(machine: Machine, sysroot: Sysroot):
    [entry], before = sysroot.entries, sysroot.loader_files
    with reports_answered_with(200) as server:
        server.archive = PACKED
        ended = machine.runs("post", server)

    assert (ended.returncode, ended.stderr, server.events) == (0, "", [])
    initramfs, added = initrds(entry)
    assert added == f"{initramfs.rpartition('/')[0]}/{ARCHIVE_NAME}"
    archive_file = sysroot.boot / added.removeprefix("/")
    assert (archive_file.read_bytes(), oct(archive_file.stat().st_mode)) == (PACKED, "0o100600")
    assert sysroot.loader_files == {
        name: re.sub(rf"(initrd\w* )(\(\$root\))?({initramfs})", rf"\1\2\3 \2{added}", text)
        for name, text in before.items()
    }
    assert (sysroot.boot / "grub2/grub.cfg").is_symlink()


@pytest.mark.integration
def test_a_second_run_changes_nothing(machine: Machine, sysroot: Sysroot):
    with reports_answered_with(200) as server:
        server.archive = PACKED
        machine.runs("post", server)
        once = sysroot.loader_files
        ended = machine.runs("post", server)

    assert (ended.returncode, sysroot.loader_files) == (0, once)


@pytest.mark.integration
def test_libostree_reads_the_entry_and_writes_the_next_ones_without_the_archive(machine: Machine, sysroot: Sysroot):
    """`rpm-ostree kargs` of OCK's first boot does the same: it writes all entries anew."""
    with reports_answered_with(200) as server:
        server.archive = PACKED
        machine.runs("post", server)

    assert "ock" in ostree("admin", "status", f"--sysroot={sysroot.directory}")
    sysroot.deploy("--retain", "--karg=quiet")

    assert [len(initrds(entry)) for entry in sysroot.entries] == [1, 1]
    assert len(sysroot.archives) == 1


@pytest.mark.integration
def test_a_part_that_is_not_ready_and_a_damaged_archive_are_requested_again(machine: Machine, sysroot: Sysroot):
    with reports_answered_with(200) as server:
        server.archive = PACKED
        server.archive_statuses = [503, 503, 500]
        ended = machine.runs("post", server)

    assert (ended.returncode, len(initrds(sysroot.entries[0]))) == (0, 2)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statuses", "sha256", "reason"),
    [
        ([404], None, "the server does not allow it (HTTP 404); netboot install show cp1"),
        ([403], None, "the server does not allow it (HTTP 403); netboot install show cp1"),
        ([503] * 120, None, "the server did not send it in 120 tries (the last one: HTTP 503)"),
        ([], "0" * 64, "the server did not send it in 120 tries (the last one: damaged)"),
    ],
)
def test_an_archive_that_cannot_be_had_ends_the_install_and_changes_no_boot_entry(
    statuses: list[int], sha256: str | None, reason: str, machine: Machine, sysroot: Sysroot
):
    before = sysroot.loader_files
    (machine.home / "anaconda.log").write_text("the end of the log\n")
    with reports_answered_with(200) as server:
        server.archive, server.archive_statuses, server.archive_sha256 = PACKED, list(statuses), sha256
        ended = machine.runs("post", server)
        machine.runs("onerror", server)

    assert (ended.returncode, server.events) == (1, ["failed"])
    first, *log = server.reports[0][1].decode().splitlines()
    assert first.startswith(f"the Ignition cannot be embedded: {reason}")
    assert log == ["the end of the log"]
    assert "the first boot would have no Ignition" in ended.stderr
    assert (sysroot.loader_files, sysroot.archives) == (before, [])


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("rm $boot/loader/entries/*", "/boot/loader/entries has no boot entry"),
        ("sed -i s/^initrd.*// $boot/loader/entries/*", "names no initramfs of OSTree, but nothing"),
        ("sed -i 's|^initrd.*|initrd /initramfs.img|' $boot/loader/entries/*", "of OSTree, but /initramfs.img"),
        ("rm $boot/ostree/*/initramfs*", "which is not in /boot"),
        ("mkdir -p $boot/efi/EFI/redhat/grub.cfg.new", "/efi/EFI/redhat/grub.cfg cannot be written"),
    ],
    ids=["no-entry", "no-initramfs", "another-initramfs", "missing-initramfs", "unwritable"],
)
def test_a_boot_that_cannot_be_changed_ends_the_install(change: str, reason: str, machine: Machine, sysroot: Sysroot):
    subprocess.run(["sh", "-c", f"boot={sysroot.boot}; {change}"], check=True)
    with reports_answered_with(200) as server:
        server.archive = PACKED
        ended = machine.runs("post", server)

    assert (ended.returncode, server.events) == (1, ["failed"])
    assert reason in server.reports[0][1].decode().splitlines()[0]


def forgets(machine: Machine) -> subprocess.CompletedProcess[str]:
    """Run the script of the installed system, whose /boot is the disk's."""
    document = json.loads(overlay(machine.engine, machine.host, version="3.4.0", ready_url=READY, is_embedded=True))
    (source,) = [
        each["contents"]["source"]
        for each in document["storage"]["files"]
        if each["path"] == "/etc/netboot/forget-ignition"
    ]
    text = unquote(source.removeprefix("data:,"))
    return machine.runs_text(text.replace(" /boot", f" {machine.home}/sysroot/boot"))


@pytest.mark.integration
def test_the_first_boot_leaves_nothing_of_the_archive(machine: Machine, sysroot: Sysroot):
    before = sysroot.loader_files
    with reports_answered_with(200) as server:
        server.archive = PACKED
        machine.runs("post", server)

    ended = forgets(machine)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert (sysroot.loader_files, sysroot.archives) == (before, [])
    assert machine.done == ["fsfreeze --freeze", "fsfreeze --unfreeze"] * 2  # entries first, then the archive
    assert forgets(machine).returncode == 0


@pytest.mark.integration
def test_what_a_power_cut_left_is_removed_by_the_next_boot(machine: Machine, sysroot: Sysroot):
    before = sysroot.loader_files
    with reports_answered_with(200) as server:
        server.archive = PACKED
        machine.runs("post", server)
    [entry] = sysroot.entries
    entry.write_text(before[f"loader/entries/{entry.name}"])  # replaced; grub.cfg and the archive are still there
    (entry.parent / f"{entry.name}.new").write_text("half a line")

    assert forgets(machine).returncode == 0

    left = {f"loader/entries/{entry.name}.new": "half a line"}  # no boot loader reads it
    assert (sysroot.loader_files, sysroot.archives) == (before | left, [])


@pytest.mark.integration
def test_an_archive_stays_while_an_entry_names_it(machine: Machine, sysroot: Sysroot):
    with reports_answered_with(200) as server:
        server.archive = PACKED
        machine.runs("post", server)
    (sysroot.boot / "efi/EFI/redhat/grub.cfg.new").mkdir()

    ended = forgets(machine)

    assert ended.returncode == 1
    assert ended.stderr.endswith("grub.cfg still names the archive; the next boot tries again\n")
    assert len(sysroot.archives) == 1


def test_without_embedding_the_overlay_has_no_script_for_it(cp1: Host, engine: Engine):
    document = json.loads(overlay(engine, cp1, version="3.4.0", ready_url=READY))

    assert "forget" not in json.dumps(document)


def test_the_sha256_of_a_golden_document_is_that_of_its_children(cp1: Host, engine: Engine):
    document = json.loads(document_of(engine, replace(cp1, ntp=("192.0.2.1",))))

    for child in document["ignition"]["config"]["merge"]:
        content = content_of(child)
        assert content is not None
        assert child["verification"]["hash"] == f"sha512-{hashlib.sha512(content).hexdigest()}"
