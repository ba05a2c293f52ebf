from pathlib import Path

import pytest

from netboot.registry import host_files
from netboot.yamlfile.faults import Faults, Place

A_WORKER = "hosts: {{{name}: {{role: worker, mac: 52:54:00:00:00:{mac}}}}}\n"


def test_a_directory_gives_its_files_in_order_and_no_hidden_ones(site):
    site.write("hosts.d/b.yaml", A_WORKER.format(name="b", mac="0b"))
    site.write("hosts.d/a.yml", A_WORKER.format(name="a", mac="0a"))
    site.write("hosts.d/.c.yaml", "half: written")
    site.write("hosts.d/README", "not: yaml")

    configuration = site.load()

    assert list(configuration.hosts.hosts) == ["a", "b"]
    assert configuration.files[1:] == (Path("hosts.yaml"), Path("hosts.d/a.yml"), Path("hosts.d/b.yaml"))


def test_either_of_the_default_files_is_enough(site):
    (site.directory / "hosts.yaml").unlink()
    site.write("hosts.d/a.yaml", A_WORKER.format(name="a", mac="0a"))

    assert list(site.load().hosts.hosts) == ["a"]


def test_no_hosts_file_at_all_is_a_fault(site):
    (site.directory / "hosts.yaml").unlink()

    assert site.faults() == ["hosts.yaml: is not there; write it; docs/settings.md has the smallest one"]


def test_a_directory_that_is_there_is_not_reported_where_there_are_no_settings(site):
    (site.directory / "netboot.yaml").unlink()
    (site.directory / "hosts.yaml").unlink()
    (site.directory / "hosts.d").mkdir()

    assert site.faults() == [
        "netboot.yaml: cannot be read (No such file or directory); write the file, or correct the name"
    ]


def test_a_file_that_an_operator_names_must_be_there_and_a_directory_need_not(site):
    site.write("netboot.yaml", "hosts: {files: [hosts.yaml, rack1.yaml, rack.d]}\n")

    assert site.faults() == [
        "netboot.yaml:1:29: hosts.files[1]: rack1.yaml is not there; write the file, or correct the name"
    ]


def test_a_pattern_is_no_file_and_its_directory_is_named_instead(site):
    site.write("netboot.yaml", "hosts: {files: [hosts.yaml, 'hosts.d/*.yaml']}\n")

    assert site.faults() == [
        "netboot.yaml:1:29: hosts.files[1]: hosts.d/*.yaml is not there; "
        "name its directory: each .yaml file in it is read"
    ]


@pytest.mark.parametrize("renamed", ["hosts.d/b.yaml", None])
def test_a_file_that_an_operator_renames_or_removes_while_the_directory_is_read_is_no_fault(
    site, monkeypatch: pytest.MonkeyPatch, renamed: str | None
):
    site.write("hosts.d/a.yaml", A_WORKER.format(name="a", mac="0a"))
    read_text, left = host_files.read_text, [site.directory / "hosts.d/a.yaml"]

    def read_late(path: Path, faults: Faults, *, place: Place) -> str | None:
        if path.name == "a.yaml" and left:
            left.pop().rename(site.directory / (renamed or "hosts.d/removed"))
        return read_text(path, faults, place=place)

    monkeypatch.setattr(host_files, "read_text", read_late)

    assert ("a" in site.load().hosts.hosts, left) == (renamed is not None, [])


def test_a_file_named_twice_is_read_once(site):
    site.write("netboot.yaml", "hosts: {files: [hosts.d, hosts.d/a.yaml]}\n")
    site.write("hosts.d/a.yaml", A_WORKER.format(name="a", mac="0a"))

    assert site.load().files == (Path("netboot.yaml"), Path("hosts.d/a.yaml"))


def test_a_dangling_link_is_reported(site):
    (site.directory / "hosts.d").mkdir()
    (site.directory / "hosts.d" / "a.yaml").symlink_to("nowhere")

    assert site.faults() == [
        "hosts.d/a.yaml: cannot be read (No such file or directory); write the file, or correct the name"
    ]


def test_sections_may_be_spread_over_files(site):
    site.write("hosts.yaml", "cluster: {name: rackone}\ndefaults: {timezone: UTC}\nroles: {worker: {release: a}}\n")
    site.write("hosts.d/a.yaml", "cluster: {init: a}\ndefaults: {boot_media: m}\nroles: {worker: {disk: /dev/sda}}\n")
    site.write("hosts.d/b.yaml", "hosts: {a: {role: control-plane, mac: 52:54:00:00:00:0a}}\n")
    site.write("hosts.d/c.yaml", A_WORKER.format(name="b", mac="0b"))

    hosts = site.load().hosts

    worker = hosts.get("b")
    assert (hosts.cluster.name, hosts.cluster.init) == ("rackone", "a")
    assert worker is not None
    assert (worker.release, worker.boot_media, worker.disk) == ("a", "m", "/dev/sda")


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        ("cluster: {name: a}", "cluster: {name: a}", "cluster.name"),
        ("defaults: {timezone: UTC}", "defaults: {timezone: UTC}", "defaults.timezone"),
        ("hosts: {a: {role: worker, mac: 52:54:00:00:00:0a}}", "hosts: {a: {}}", "hosts.a"),
    ],
)
def test_what_two_files_say_names_both_places(site, first, second, where):
    site.write("hosts.yaml", f"{first}\n")
    site.write("hosts.d/b.yaml", f"{second}\n")

    column = first.index("{") + 2
    assert site.faults() == [
        f"hosts.d/b.yaml:1:{column}: {where}: is there already (hosts.yaml:1:{column}); keep one of the two"
    ]


def test_a_role_said_in_two_files_may_not_say_one_key_twice(site):
    site.write("hosts.yaml", "roles: {worker: {release: a}}\n")
    site.write("hosts.d/b.yaml", "roles: {worker: {release: b}}\n")

    assert site.faults() == [
        "hosts.d/b.yaml:1:18: roles.worker.release: is there already (hosts.yaml:1:18); keep one of the two"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host: {}\n", "1:1: host: no such section; did you mean hosts?"),
        (
            "[]\n",
            "1:1: is not a table of hosts; write sections: cluster, defaults, roles, groups, address_pools, hosts",
        ),
        ("hosts: [a]\n", "1:8: hosts: must be a table of keys; write `key: value` pairs below it"),
        ("hosts: {a: b}\n", "1:12: hosts.a: must be a table of keys; write `key: value` pairs below it"),
        ("roles: {manager: {}}\n", "1:9: roles.manager: no such role; known here: control-plane, worker"),
        ("cluster: {init: }\n", "1:16: cluster.init: is empty; write a value or remove the key"),
        ("cluster: {nam: x}\n", "1:11: cluster.nam: no such key; did you mean name?"),
    ],
)
def test_a_faulty_section_is_reported_with_place_and_cure(site, text, expected):
    site.write("hosts.yaml", text)

    assert site.faults() == [f"hosts.yaml:{expected}"]


def test_a_name_that_no_file_can_have_is_a_fault_at_its_place(site):
    site.write("netboot.yaml", f"hosts: {{files: [hosts.yaml, {'a' * 300}.yaml]}}\n")

    assert site.faults() == [
        f"netboot.yaml:1:29: hosts.files[1]: {'a' * 300}.yaml cannot be read (File name too long); "
        "let the user that runs netboot read it"
    ]
