"""The files of an inventory are read as one; the faults of all are raised together, the first 100 at most."""

from pathlib import Path

import pytest
from fixtures.inventories import MAC, host, sample
from fixtures.site import Site

from netboot.errors import ConfigError
from netboot.model.host.host import Role
from netboot.registry.importers.format_names import ImportFormat
from netboot.registry.inventory_files import read_inventory


def faults(*names: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read_inventory([Path(name) for name in names], role=Role.WORKER)
    return [str(problem) for problem in refused.value.problems]


def test_all_files_are_one_inventory(site: Site):
    site.write("byo.yaml", sample("byo.yaml"))
    site.write("metal3.yaml", host(MAC))

    both = read_inventory([Path("metal3.yaml"), Path("byo.yaml")], role=Role.WORKER)
    metal3 = read_inventory([Path("metal3.yaml")], wanted=ImportFormat.METAL3, role=Role.CONTROL_PLANE)

    assert [(each.name.text, each.role, str(each.mac.place)) for each in both.hosts] == [
        ("w1", Role.WORKER, "metal3.yaml:4:24")
    ]
    assert [name.text for name in both.clusters] == ["rackone"]
    assert ([each.role for each in metal3.hosts], metal3.clusters) == ([Role.CONTROL_PLANE], [])


def test_the_faults_of_all_files_are_raised_and_what_they_describe_is_read_only_without_one(site: Site):
    site.write("a.yaml", "a: b: c\n")
    (site.directory / "b.yaml").write_bytes(b"\xff")
    site.write("c.yaml", host("bootMACAddress: x"))

    assert faults("c.yaml") == [
        "c.yaml:4:24: hosts.w1.mac: 'x' is not a unicast MAC address; write the card's own, as 52:54:00:aa:bb:01",
    ]
    assert faults("a.yaml", "b.yaml", "c.yaml", "none.yaml") == [
        "a.yaml:1:5: a second `: ` in one line; put the value in quotes, or begin a new line",
        "b.yaml:1:1: is not UTF-8 (byte 0xff); save the file as UTF-8",
        "none.yaml: cannot be read (No such file or directory); write the file, or correct the name",
    ]


@pytest.mark.parametrize("count", [100, 101])
def test_of_more_than_100_faults_the_first_are_raised_with_their_number(site: Site, count: int):
    site.write("huge.yaml", "a: 1\n" * (count + 1))

    found = faults("huge.yaml")

    if count > 100:
        assert found[0] == "huge.yaml: 101 problems, of which the first 100 follow; correct these first"
        found = found[1:]
    assert [line.split(": ")[0] for line in found] == [f"huge.yaml:{line}:1" for line in range(2, 102)]
