"""The Ignition files of a cluster are checked against each other, against `byo.yaml` and against the hosts."""

from collections.abc import Mapping

import pytest
from fixtures.role_files import IDENTITY, SAMPLES, altered
from fixtures.site import Site

HOSTS = """\
cluster: {name: rackone, init: cp1}
roles:
  control-plane: {ignition: {init: init.ign, join: cp.ign}}
  worker: {ignition: {join: w.ign}}
hosts:
  cp1: {role: control-plane, mac: 52:54:00:00:00:01}
  cp2: {role: control-plane, mac: 52:54:00:00:00:02}
  cp3: {role: control-plane, mac: 52:54:00:00:00:03}
  w1: {role: worker, mac: 52:54:00:00:00:11}
"""
FILES = {"init.ign": "init.ign", "cp.ign": "controlplane-join.ign", "w.ign": "worker-join.ign"}
OTHER_CA = "ab" * 32
ONE_CLUSTER = "give each role a file of one cluster, made with one byo.yaml and its kubeconfig"
AGAIN = "make the file again with ocne, or correct byo.yaml"


@pytest.fixture
def cluster(site: Site) -> Site:
    """A site with three control planes, a worker, and the files of one cluster."""
    site.write("hosts.yaml", HOSTS)
    for name, sample in FILES.items():
        put(site, name, {}, sample=sample)
    return site


def put(site: Site, name: str, changes: Mapping[str, str], *, sample: str | None = None) -> None:
    (site.directory / name).write_bytes(altered(sample or FILES[name], changes))


def test_the_files_of_one_cluster_have_no_fault_and_name_its_api(cluster: Site):
    configuration = cluster.load()

    assert configuration.warnings == ()
    assert [(each.noun, str(each.address)) for each in configuration.hosts.cluster.addresses] == [
        ("virtual IP", "192.0.2.10")
    ]
    assert {use: path.name for use, path in configuration.hosts.cluster.ignition.items()} == {
        "init": "init.ign",
        "control-plane": "cp.ign",
        "worker": "w.ign",
    }


def test_a_workers_file_is_not_given_to_a_control_plane_nor_the_reverse(cluster: Site):
    put(cluster, "cp.ign", {}, sample="worker-join.ign")
    put(cluster, "w.ign", {}, sample="controlplane-join.ign")

    assert cluster.faults() == [
        "hosts.yaml:3:52: roles.control-plane.ignition.join: cp.ign joins a worker, and cp2 is a control-plane; "
        "give it what `ocne cluster join … -n 1` printed",
        "hosts.yaml:4:29: roles.worker.ignition.join: w.ign joins a control-plane, and w1 is a worker; "
        "give it what `ocne cluster join … -w 1` printed",
    ]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({IDENTITY: OTHER_CA}, ("is of the cluster with CA abababababab", "of that with CA f72d16fe4b9b")),
        ({"192.0.2.10:6443": "192.0.2.11:6443"}, ("has the endpoint 192.0.2.11:6443", "has 192.0.2.10:6443")),
        ({"    192.0.2.10\n": "    192.0.2.11\n"}, ("has the virtual IP 192.0.2.11", "has 192.0.2.10")),
    ],
)
def test_files_of_two_clusters_are_refused(cluster: Site, changes: Mapping[str, str], difference: tuple[str, str]):
    put(cluster, "cp.ign", changes)

    assert cluster.faults() == [
        f"hosts.yaml:3:52: roles.control-plane.ignition.join: cp.ign {difference[0]}, "
        f"and init.ign (hosts.yaml:3:36) {difference[1]}; {ONE_CLUSTER}"
    ]


def test_without_the_first_nodes_file_the_others_are_compared_with_each_other(cluster: Site):
    (cluster.directory / "init.ign").unlink()
    put(cluster, "w.ign", {IDENTITY: OTHER_CA})

    assert cluster.faults() == [
        "hosts.yaml:4:29: roles.worker.ignition.join: w.ign is of the cluster with CA abababababab, "
        f"and cp.ign (hosts.yaml:3:52) of that with CA f72d16fe4b9b; {ONE_CLUSTER}"
    ]


def test_the_virtual_ip_and_the_subnets_of_the_cluster_are_no_addresses_of_a_host(cluster: Site):
    hosts = HOSTS.replace("00:00:02}", "00:00:02, network: {address: 192.0.2.10/24}}")
    hosts = hosts.replace("00:00:03}", "00:00:03, network: {address: 10.244.3.4/16}}")
    cluster.write("hosts.yaml", hosts.replace("00:00:11}", "00:00:11, network: {address: 10.100.0.1/16}}"))

    assert cluster.faults() == [
        "hosts.yaml:7:73: hosts.cp2.network.address: 192.0.2.10 is the virtual IP of the cluster (init.ign); "
        "give the host another",
        "hosts.yaml:8:73: hosts.cp3.network.address: 10.244.3.4 is in the pod subnet 10.244.0.0/16 of the cluster "
        "(init.ign); give the host another, or make the files again with another subnet",
        "hosts.yaml:9:65: hosts.w1.network.address: 10.100.0.1 is in the service subnet 10.96.0.0/12 of the cluster "
        "(init.ign); give the host another, or make the files again with another subnet",
    ]


def test_an_external_load_balancer_has_no_address_of_a_host(cluster: Site):
    for name in FILES:
        put(cluster, name, {"virtual_ipaddress": "nothing", "  interface": "  # interface"})
    cluster.write("hosts.yaml", HOSTS.replace("00:00:02}", "00:00:02, network: {address: 192.0.2.10/24}}"))

    assert cluster.faults() == [
        "hosts.yaml:7:73: hosts.cp2.network.address: 192.0.2.10 is the load balancer of the cluster (init.ign); "
        "give the host another"
    ]


def test_a_load_balancer_may_have_a_name(cluster: Site):
    for name in FILES:
        put(cluster, name, {"192.0.2.10:6443": "api.example.com:6443", "virtual_ipaddress": "nothing"})

    assert cluster.load().hosts.cluster.addresses == ()


def test_keepalived_needs_an_interface_that_the_control_plane_has(cluster: Site):
    hosts = HOSTS.replace("00:00:02}", "00:00:02, network: {interface: eno1}}")
    cluster.write("hosts.yaml", hosts.replace("00:00:11}", "00:00:11, network: {interface: eno1}}"))

    assert cluster.faults() == [
        "hosts.yaml:7:75: hosts.cp2.network.interface: cp2 has the interface eno1, and keepalived in cp.ign puts the "
        "virtual IP on enp1s0; make the file with networkInterface: eno1, or name the host's interface enp1s0"
    ]


def test_an_even_number_of_control_planes_is_a_warning(cluster: Site):
    cluster.write("hosts.yaml", HOSTS.replace("  cp3: {role: control-plane, mac: 52:54:00:00:00:03}\n", ""))

    assert list(map(str, cluster.load().warnings)) == [
        "hosts.yaml:7:15: hosts.cp2.role: 2 hosts are control planes: etcd tolerates as many failures with 1; "
        "declare an odd number"
    ]


BYO = "cluster: {name: rackone, init: cp1, byo: byo.yaml}"


def with_byo(site: Site, changes: Mapping[str, str]) -> None:
    text = (SAMPLES / "byo.yaml").read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (site.directory / "byo.yaml").write_text(text)
    site.write("hosts.yaml", HOSTS.replace("cluster: {name: rackone, init: cp1}", BYO))


def test_files_that_were_made_with_byo_yaml_agree_with_it(cluster: Site):
    with_byo(cluster, {})

    assert cluster.load().warnings == ()


@pytest.mark.parametrize(
    ("changes", "place", "difference"),
    [
        (
            {"virtualIp: 192.0.2.10": "virtualIp: 192.0.2.11"},
            "7:12",
            "has the endpoint 192.0.2.10:6443, and byo.yaml has '192.0.2.11'",
        ),
        (
            {"networkInterface: enp1s0": "networkInterface: eno1"},
            "17:23",
            "uses the interface enp1s0, and byo.yaml has 'eno1'",
        ),
    ],
)
def test_files_that_were_made_with_another_byo_yaml_are_refused(
    cluster: Site, changes: Mapping[str, str], place: str, difference: str
):
    with_byo(cluster, changes)

    assert cluster.faults() == [
        f"hosts.yaml:{where}: {name} {difference} (byo.yaml:{place}); {AGAIN}"
        for where, name in (
            ("3:36: roles.control-plane.ignition.init", "init.ign"),
            ("3:52: roles.control-plane.ignition.join", "cp.ign"),
            ("4:29: roles.worker.ignition.join", "w.ign"),
        )
    ]


def test_subnets_are_compared_with_the_defaults_of_ocne(cluster: Site):
    with_byo(cluster, {"podSubnet: 10.244.0.0/16": "", "serviceSubnet: 10.96.0.0/12": "serviceSubnet: 10.32.0.0/12"})

    assert cluster.faults() == [
        "hosts.yaml:3:36: roles.control-plane.ignition.init: init.ign has the service subnet 10.96.0.0/12, "
        f"and byo.yaml has '10.32.0.0/12' (byo.yaml:10:16); {AGAIN}"
    ]


def test_a_virtual_ip_is_not_a_load_balancer(cluster: Site):
    with_byo(cluster, {"virtualIp: 192.0.2.10": "loadBalancer: 192.0.2.10"})

    assert cluster.faults() == [
        f"hosts.yaml:3:{column}: {where}: {name} has the virtual IP 192.0.2.10, and byo.yaml has a load balancer "
        f"(byo.yaml:7:15); {AGAIN}"
        for column, where, name in (
            (36, "roles.control-plane.ignition.init", "init.ign"),
            (52, "roles.control-plane.ignition.join", "cp.ign"),
        )
    ]


def test_another_version_in_byo_yaml_is_a_warning_because_a_running_cluster_may_be_newer(cluster: Site):
    with_byo(cluster, {'kubernetesVersion: "1.33"': "kubernetesVersion: 1.30"})

    assert list(map(str, cluster.load().warnings)) == [
        f"hosts.yaml:3:36: roles.control-plane.ignition.init: {cluster.directory}/init.ign installs Kubernetes 1.33.5, "
        f"and byo.yaml has '1.30' ({cluster.directory}/byo.yaml:4:20); {AGAIN}"
    ]


def test_what_byo_yaml_itself_has_wrong_is_named_in_it(cluster: Site):
    with_byo(
        cluster,
        {
            "provider: byo": "provider: olvm",
            "name: rackone": "name: rack2",
            "# loadBalancer": "loadBalancer",
            "networkInterface": "interface",
        },
    )

    assert cluster.faults() == [
        "byo.yaml:2:1: cluster.byo: has no providers.byo.networkInterface; write it, as ocne requires",
        "byo.yaml:2:11: cluster.byo: provider is 'olvm'; name the file of the provider byo",
        "byo.yaml:3:7: cluster.byo: name is 'rack2', and cluster.name is 'rackone' (hosts.yaml:1:17); "
        "correct one of the two",
        "byo.yaml:8:15: cluster.byo: has both virtualIp and loadBalancer; keep one of the two, as ocne requires",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            None,
            "hosts.yaml:1:42: cluster.byo: byo.yaml cannot be read (No such file or directory); "
            "write the file, or correct the name",
        ),
        ("- a", "hosts.yaml:1:42: cluster.byo: byo.yaml is not one table; name the byo.yaml of ocne"),
        (
            "a: [",
            "byo.yaml:1:5: cluster.byo: is not YAML (expected the node content, but found '<stream end>'); "
            "correct the indentation, quotes or brackets here or just above",
        ),
        (
            "a: b",
            "byo.yaml:1:1: cluster.byo: has neither virtualIp nor loadBalancer; write one of the two, as ocne requires",
        ),
    ],
)
def test_a_byo_yaml_that_cannot_be_read_is_a_fault(cluster: Site, text: str | None, fault: str):
    with_byo(cluster, {})
    if text is None:
        (cluster.directory / "byo.yaml").unlink()
    else:
        (cluster.directory / "byo.yaml").write_text(text)

    assert cluster.faults()[0] == fault
