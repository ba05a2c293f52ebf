from pathlib import Path

import pytest
from fixtures.site import CLUSTER as ONE_OF_EACH_ROLE

SAMPLES = Path(__file__).parents[1] / "ignition" / "samples"
GIVE = "give what `ocne cluster start` or `ocne cluster join` printed on stdout"

CLUSTER = ONE_OF_EACH_ROLE.replace("  w1:", "  cp2: {role: control-plane, mac: 52:54:00:00:00:02}\n  w1:")


def test_the_first_node_gets_init_and_all_others_join(site):
    site.write("hosts.yaml", CLUSTER)

    assert {host.name: host.ignition for host in site.load().hosts} == {
        "cp1": site.directory / "init.ign",
        "cp2": site.directory / "join.ign",
        "w1": site.directory / "join.ign",
    }


def test_a_host_may_name_the_one_file_that_it_gets(site):
    site.write("hosts.yaml", CLUSTER + "  w2: {role: worker, mac: 52:54:00:00:00:12, ignition: own.ign}\n")
    site.write_ignition("own.ign", action="join", version="3.3.0")

    own = site.load().hosts.get("w2")

    assert own is not None
    assert own.ignition == site.directory / "own.ign"


def test_a_path_is_meant_from_the_file_that_names_it(site):
    site.write("hosts.d/a.yaml", "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, ignition: a.ign}}\n")
    site.write_ignition("hosts.d/a.ign", action="join")

    [host] = site.load().hosts

    assert host.ignition == site.directory / "hosts.d" / "a.ign"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", f"join.ign is empty; {GIVE}"),
        (b"[" * 100_000, f"join.ign is not JSON that can be read (nested too deeply); {GIVE}"),
        (b"9" * 10_000, f"join.ign is not JSON that can be read (a number is too long); {GIVE}"),
        (b"[]", f"join.ign holds a list instead of an object; {GIVE}"),
        (b"{}", "join.ign has no ignition.version; give an Ignition file, not Butane or another configuration"),
        (
            b'{"ignition": {"version": 3}}',
            "join.ign has no ignition.version; give an Ignition file, not Butane or another configuration",
        ),
        (
            b'{"ignition": {"version": "2.2.0"}}',
            "join.ign is Ignition '2.2.0'; give one of spec 3.0.0 to 3.6.0, as ocne writes",
        ),
        (
            (SAMPLES / "utf16.ign").read_bytes(),
            "join.ign is UTF-16, and Ignition takes UTF-8; "
            "iconv -f UTF-16 -t UTF-8 FILE converts it (PowerShell 5 redirects as UTF-16)",
        ),
        (
            (SAMPLES / "nan.ign").read_bytes(),
            "join.ign:1:77: NaN is not a JSON value; write a number or remove the key",
        ),
        (
            (SAMPLES / "hash.ign").read_bytes(),
            "join.ign: /storage/files/0/contents/verification/hash: is not the hash of the content; "
            "write the file again where it was made",
        ),
    ],
)
def test_a_file_that_is_no_ignition_is_reported_once_where_it_is_named_first(site, content, expected):
    site.write("hosts.yaml", CLUSTER)
    (site.directory / "join.ign").write_bytes(content)

    assert site.faults() == [f"hosts.yaml:3:52: roles.control-plane.ignition.join: {expected}"]


def test_a_file_that_cannot_be_read_keeps_no_host_from_being_loaded(site):
    site.write("hosts.yaml", CLUSTER)
    (site.directory / "init.ign").unlink()
    (site.directory / "join.ign").unlink()
    (site.directory / "join.ign").mkdir()

    assert list(site.load().hosts.hosts) == ["cp1", "cp2", "w1"]


def test_a_file_that_starts_a_cluster_goes_to_one_host_alone(site):
    site.write("hosts.yaml", CLUSTER)
    site.write_ignition("join.ign", action="init")

    assert site.faults() == [
        "hosts.yaml:3:52: roles.control-plane.ignition.join: join.ign starts a cluster (ACTION=init), "
        "and cp2 would start a second one; give it what `ocne cluster join` printed",
        "hosts.yaml:4:29: roles.worker.ignition.join: join.ign starts a cluster (ACTION=init), "
        "and w1 would start a second one; give it what `ocne cluster join` printed",
    ]


def test_the_first_node_is_not_given_a_file_that_joins(site):
    site.write("hosts.yaml", CLUSTER)
    site.write_ignition("init.ign", action="join")

    assert site.faults() == [
        "hosts.yaml:3:36: roles.control-plane.ignition.init: init.ign joins a cluster (ACTION=join), "
        "and cp1 is to start it; give it what `ocne cluster start` printed"
    ]


def test_a_file_with_many_problems_lists_ten_and_counts_the_others(site):
    site.write("hosts.yaml", CLUSTER)
    files = ", ".join(f'{{"path": "relative{number}"}}' for number in range(12))
    site.write("join.ign", f'{{"ignition": {{"version": "3.4.0"}}, "storage": {{"files": [{files}]}}}}')

    faults = site.faults()

    assert len(faults) == 11
    assert faults[0].endswith("join.ign has 2 more problems; correct the first ones and check again")


def test_no_fault_shows_what_a_file_holds(site):
    site.write("hosts.yaml", CLUSTER)
    site.write("join.ign", '{"token": "secret"')

    assert "secret" not in "".join(site.faults())


def test_a_file_of_no_action_is_given_to_any_host(site):
    site.write("hosts.yaml", CLUSTER)
    site.write_ignition("init.ign", action="none")
    site.write_ignition("join.ign", action="none")

    assert list(site.load().hosts.hosts) == ["cp1", "cp2", "w1"]
