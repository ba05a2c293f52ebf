"""Hosts are added, changed and removed by files; a change with a new fault, or of a person's host, changes nothing."""

from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from netboot.errors import ConfigError, HostFileError, UnknownHostError
from netboot.model.host.address_pool import RecordedAddress
from netboot.model.host.host import HostFileChange, HostName
from netboot.registry.writing.host_document import HEAD
from netboot.registry.writing.host_writer import HostWriter

WORKER = {"role": "worker", "mac": "52:54:00:aa:00:21"}
WRITTEN = f"{HEAD}hosts:\n  w2:\n    role: worker\n    mac: 52:54:00:aa:00:21\n"
BY_A_PERSON = "cp1 was declared here by a person, and commands change only hosts.d/cp1.yaml"


@pytest.fixture
def writer(site) -> HostWriter:
    site.write("hosts.yaml", "hosts:\n  cp1: {role: control-plane, mac: 52:54:00:aa:00:01}\n")
    (site.directory / "hosts.d").mkdir()
    return HostWriter(Path("netboot.yaml"))


def texts(site) -> dict[str, str]:
    """Every hosts file with its text."""
    return {str(path.relative_to(site.directory)): path.read_text() for path in sorted(site.directory.rglob("*.yaml"))}


def refusal(kind: type[Exception], site, call: Any, *arguments: Any, **options: Any) -> str:
    """The message of a refusal, which changed no file."""
    before = texts(site)
    with pytest.raises(kind) as refused:
        call(*arguments, **options)
    assert texts(site) == before
    return str(refused.value)


def test_a_host_is_added_in_a_file_of_its_own_and_read_with_the_others(site, writer: HostWriter):
    assert writer.add({"w2": WORKER}) == [HostFileChange(HostName("w2"), Path("hosts.d/w2.yaml"), WRITTEN)]

    assert (site.directory / "hosts.d/w2.yaml").read_text() == WRITTEN
    assert list(site.load().hosts.hosts) == ["cp1", "w2"]
    assert writer.names() == {"cp1", "w2"}


def test_a_rehearsal_returns_the_text_and_writes_nothing(site, writer: HostWriter):
    before = texts(site)

    assert writer.add({"w2": WORKER}, is_rehearsal=True)[0].text == WRITTEN
    assert texts(site) == before
    assert "cannot add" in refusal(HostFileError, site, writer.add, {"W2": WORKER}, is_rehearsal=True)


def test_keys_are_changed_and_removed_and_the_rest_stays(site, writer: HostWriter):
    writer.add({"w2": {**WORKER, "labels": {"rack": "r1"}}})

    changed = writer.edit("w2", {"mac": ["52:54:00:aa:00:22"], "labels": {"rack": None}, "network": {"mtu": 9000}})

    assert changed.text == (
        f"{HEAD}hosts:\n  w2:\n    role: worker\n    mac:\n      - 52:54:00:aa:00:22\n    network:\n      mtu: 9000\n"
    )
    assert site.load().hosts.get("w2").macs == ("52:54:00:aa:00:22",)


def test_a_removed_host_has_no_file(site, writer: HostWriter):
    writer.add({"w2": WORKER})

    assert writer.remove("w2", is_rehearsal=True).text is None
    assert "hosts.d/w2.yaml" in texts(site)
    assert writer.remove("w2") == HostFileChange(HostName("w2"), Path("hosts.d/w2.yaml"), None)
    assert "hosts.d/w2.yaml" not in texts(site)


def test_a_change_with_a_new_fault_is_refused_with_every_new_fault(site, writer: HostWriter):
    added = refusal(ConfigError, site, writer.add, {"w2": {"rol": "worker", "mac": "52:54:00:aa:00:01"}})
    writer.add({"w2": WORKER})
    edited = refusal(ConfigError, site, writer.edit, "w2", {"role": None, "network": {"pool": "rack"}})

    assert added.splitlines() == [
        "hosts.d/w2.yaml:4:5: hosts.w2.rol: no such key; did you mean role?",
        "hosts.d/w2.yaml:5:10: hosts.w2.mac: 52:54:00:aa:00:01 belongs to cp1 already (hosts.yaml:2:35); "
        "give each NIC to one host",
    ]
    assert edited.splitlines()[0] == "hosts.d/w2.yaml:3:3: hosts.w2: has no role; add role: control-plane or worker"
    assert len(edited.splitlines()) == 2


def test_a_value_that_no_file_may_have_is_refused(site, writer: HostWriter):
    message = refusal(ConfigError, site, writer.add, {"w2": {**WORKER, "variables": {"x": "a\nb"}}})

    assert message == (
        "hosts.d/w2.yaml:7:10: hosts.w2.variables.x: 'a\\nb' holds a line end or control character (U+000A); "
        "write it on one line, without"
    )


def test_faults_that_were_there_before_do_not_prevent_a_change(site, writer: HostWriter):
    site.write("hosts.yaml", "hosts:\n  cp1: {rol: control-plane, mac: 52:54:00:aa:00:01}\n")
    site.write("hosts.d/a.yaml", "{")

    writer.add({"w2": {**WORKER, "disk": "/dev/sda"}})
    writer.edit("w2", {"disk": None})

    assert (site.directory / "hosts.d/w2.yaml").read_text() == WRITTEN


def test_a_fault_of_a_file_that_moves_to_another_line_is_not_new(site, writer: HostWriter):
    site.write(
        "hosts.d/w2.yaml", f"{HEAD}hosts:\n  w2:\n    role: worker\n    hostname: a\n    mac: 52:54:00:aa:00:01\n"
    )

    writer.edit("w2", {"hostname": None})

    assert "hostname" not in (site.directory / "hosts.d/w2.yaml").read_text()


def test_a_host_of_a_person_is_refused_with_its_place(site, writer: HostWriter):
    cure = "edit hosts.yaml, then netboot reload"

    assert refusal(HostFileError, site, writer.edit, "cp1", {"disk": "/dev/sda"}) == (
        f"hosts.yaml:2:3: {BY_A_PERSON}; {cure}"
    )
    assert refusal(HostFileError, site, writer.remove, "cp1") == f"hosts.yaml:2:3: {BY_A_PERSON}; {cure}"
    assert refusal(HostFileError, site, writer.add, {"cp1": WORKER}) == (
        "hosts.yaml:2:3: cp1 is declared already; netboot host set cp1"
    )


def test_a_file_that_a_person_edited_is_refused_with_the_line(site, writer: HostWriter):
    writer.add({"w2": WORKER})
    site.write("hosts.d/w2.yaml", WRITTEN.replace("role", "# the new one\n    role"))
    message = (
        "hosts.d/w2.yaml:4: w2: this line was written by a person, and a command would not keep it; "
        "edit hosts.d/w2.yaml, then netboot reload"
    )

    assert refusal(HostFileError, site, writer.edit, "w2", {"disk": "/dev/sda"}) == message
    assert refusal(HostFileError, site, writer.remove, "w2") == message


def test_a_file_that_cannot_be_read_is_refused_with_its_fault(site, writer: HostWriter):
    site.write("hosts.d/w2.yaml", "hosts: {w2: [}")

    assert refusal(ConfigError, site, writer.edit, "w2", {}).startswith("hosts.d/w2.yaml:1:")
    assert refusal(HostFileError, site, writer.add, {"w2": WORKER}) == (
        "cannot add w2: hosts.d/w2.yaml is there already, without this host; remove that file"
    )


def test_a_host_that_no_file_declares_is_unknown(site, writer: HostWriter):
    assert refusal(UnknownHostError, site, writer.edit, "cp2", {}) == "no host is called cp2; did you mean cp1?"
    assert refusal(UnknownHostError, site, writer.remove, "../netboot") == (
        "no host is called ../netboot; known here: cp1"
    )


def test_each_host_whose_file_is_not_deleted_has_the_reason(site, writer: HostWriter):
    for number in range(2, 6):
        writer.add({f"w{number}": {**WORKER, "mac": f"52:54:00:aa:00:2{number}"}})
    hosts = list(site.load().hosts)
    site.write("hosts.d/w3.yaml", f"# mine\n{(site.directory / 'hosts.d/w3.yaml').read_text()}")
    (site.directory / "hosts.d/w4.yaml").unlink()
    (site.directory / "hosts.d/w5.yaml").write_bytes(b"\xff")

    assert writer.removal_refusals(hosts) == {
        "cp1": f"hosts.yaml:2:3: {BY_A_PERSON}; edit hosts.yaml, then netboot reload",
        "w3": "hosts.d/w3.yaml:1: w3: this line was written by a person, and a command would not keep it; "
        "edit hosts.d/w3.yaml, then netboot reload",
        "w4": "hosts.d/w4.yaml, which declared w4, is no longer there; netboot reload",
        "w5": "hosts.d/w5.yaml:1:1: is not UTF-8 (byte 0xff); save the file as UTF-8",
    }


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        (
            "hosts: {files: [hosts.yaml]}",
            "netboot.yaml: hosts.files names no directory, in which commands write hosts; add hosts.d to it",
        ),
        ("hots: {}", "netboot.yaml:1:1: hots: no such setting; did you mean hosts?"),
    ],
)
def test_without_a_directory_for_commands_no_file_is_deleted(site, writer: HostWriter, settings: str, refusal: str):
    hosts = list(site.load().hosts)
    site.write("netboot.yaml", settings)

    assert writer.removal_refusals(hosts) == {"cp1": refusal}


@pytest.mark.parametrize("name", ["../w2", "W2", "", ".w2", "w2/", "a\0b", "127.0.0.1"])
def test_a_name_that_no_host_may_have_never_becomes_a_path(site, writer: HostWriter, name: str):
    assert refusal(HostFileError, site, writer.add, {name: WORKER}).startswith(f"cannot add {name!r}: ")


def test_hosts_are_added_all_or_none(site, writer: HostWriter):
    assert "belongs to w2 already" in refusal(ConfigError, site, writer.add, {"w2": WORKER, "w3": WORKER})


def test_a_fault_of_the_settings_is_reported_and_nothing_is_written(site, writer: HostWriter):
    site.write("netboot.yaml", "hots: {}\n")

    message = "netboot.yaml:1:1: hots: no such setting; did you mean hosts?"
    assert refusal(ConfigError, site, writer.add, {"w2": WORKER}) == message
    with pytest.raises(ConfigError):
        writer.names()


def test_the_first_directory_of_the_setting_is_used_and_one_is_needed(site, writer: HostWriter):
    (site.directory / "rack").mkdir()
    site.write("netboot.yaml", "hosts: {files: [hosts.yaml, rack, hosts.d]}\n")
    writer.add({"w2": WORKER})
    site.write("netboot.yaml", "hosts: {files: [hosts.yaml]}\n")

    assert "rack/w2.yaml" in texts(site)
    assert refusal(HostFileError, site, writer.add, {"w3": WORKER}) == (
        "netboot.yaml: hosts.files names no directory, in which commands write hosts; add hosts.d to it"
    )


def test_the_last_host_of_the_last_default_file_is_kept(site, writer: HostWriter):
    writer.add({"w2": WORKER})
    (site.directory / "hosts.yaml").unlink()

    assert refusal(ConfigError, site, writer.remove, "w2") == (
        "hosts.yaml: is not there; write it; docs/settings.md has the smallest one"
    )


def test_an_address_that_another_host_has_on_record_from_its_pool_is_refused(site, writer: HostWriter):
    pool = "address_pools: {rack1: {subnet: 192.0.2.0/24, addresses: 192.0.2.40-192.0.2.50}}\n"
    site.write(
        "hosts.yaml", f"{pool}hosts:\n  w1: {{role: worker, mac: 52:54:00:aa:00:01, network: {{pool: rack1}}}}\n"
    )
    address = ip_address("192.0.2.45")
    recorded = {address: RecordedAddress(address, HostName("w1"), datetime(2026, 11, 29, tzinfo=UTC))}
    on_record = HostWriter(Path("netboot.yaml"), recorded=lambda: recorded)
    values = {**WORKER, "network": {"address": "192.0.2.45/24"}}

    message = refusal(ConfigError, site, on_record.add, {"w2": values})

    assert message == (
        "hosts.d/w2.yaml:7:16: hosts.w2.network.address: 192.0.2.45 was allocated to w1 from the pool rack1; "
        "give w2 another address"
    )
