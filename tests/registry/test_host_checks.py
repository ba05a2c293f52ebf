import pytest

from netboot.model.host.host_network import BY_DHCP

CP1 = "cp1: {role: control-plane, mac: 52:54:00:00:00:01}"
W1 = "w1: {role: worker, mac: 52:54:00:00:00:11}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "hosts:\n  a: {role: worker, mac: 52:54:00:00:00:01}\n  b: {role: worker, mac: 5254.0000.0001}\n",
            "3:26: hosts.b.mac: 52:54:00:00:00:01 belongs to a already (hosts.yaml:2:26); give each NIC to one host",
            id="one-card-in-two-hosts-however-it-is-spelt",
        ),
        pytest.param(
            "hosts:\n  a: {role: worker, mac: [52:54:00:00:00:01, 52-54-00-00-00-01]}\n",
            "2:46: hosts.a.mac[1]: 52:54:00:00:00:01 is listed already (hosts.yaml:2:27); list it once",
            id="one-card-twice-in-a-host",
        ),
        pytest.param(
            "hosts:\n"
            "  a: {role: worker, mac: 52:54:00:00:00:01, network: {address: 192.0.2.5/24}}\n"
            "  b: {role: worker, mac: 52:54:00:00:00:02, network: {address: 192.0.2.5/16}}\n",
            "3:64: hosts.b.network.address: 192.0.2.5 belongs to a already (hosts.yaml:2:64); give each host its own",
            id="one-address-in-two-hosts",
        ),
        pytest.param(
            "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, network: {gateway: 192.0.2.1}}}\n",
            "1:70: hosts.a.network.gateway: is not used without address; "
            "add address: 192.0.2.101/24, or remove gateway",
            id="a-network-without-an-address",
        ),
        pytest.param(
            "defaults: {network: {gateway: 192.0.2.1}}\n"
            "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, network: {address: 192.0.2.1/24}}}\n",
            "2:70: hosts.a.network.address: the gateway 192.0.2.1 (hosts.yaml:1:31) is the host itself; "
            "name the router of that network",
            id="a-host-that-is-its-own-gateway",
        ),
        pytest.param(
            "defaults: {network: {gateway: 192.0.2.1}}\n"
            "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, network: {address: 198.51.100.5/24}}}\n",
            "2:70: hosts.a.network.address: the gateway 192.0.2.1 (hosts.yaml:1:31) is outside 198.51.100.0/24; "
            "correct the gateway or the prefix",
            id="a-gateway-out-of-reach",
        ),
        pytest.param(
            "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, "
            "network: {address: 192.0.2.5/24, gateway: 192.0.2.255}}}\n",
            "1:93: hosts.a.network.gateway: the gateway 192.0.2.255 is not a machine's address in 192.0.2.0/24; "
            "name the router",
            id="a-broadcast-address-as-gateway",
        ),
        pytest.param(
            f"groups: {{rack1: {{}}}}\nhosts:\n  {W1[:-1]}, groups: [rack2]}}\n",
            "3:55: hosts.w1.groups[0]: no group is called 'rack2'; did you mean rack1?",
            id="a-group-that-no-file-declares",
        ),
        pytest.param(
            f"groups: {{rack1: {{}}}}\nhosts:\n  {W1[:-1]}, groups: [rack1, rack1]}}\n",
            "3:62: hosts.w1.groups[1]: rack1 is listed already; list it once",
            id="a-group-twice",
        ),
        pytest.param(
            "groups: {rack.1: {}}\n",
            "1:10: groups.rack.1: 'rack.1' is not a name of a group; use letters, digits, hyphens and underscores",
            id="a-dot-in-the-name-of-a-group",
        ),
        pytest.param(
            "defaults: {ntp: [192.0.2.1], +ntp: [192.0.2.2]}\n",
            "1:30: defaults.+ntp: ntp is there too (hosts.yaml:1:12); write one of the two",
            id="a-list-replaced-and-extended",
        ),
        pytest.param(
            f"hosts:\n  {CP1}\n  {W1[:-1]}, hostname: cp1}}\n",
            "3:56: hosts.w1.hostname: cp1 is the name of cp1 (hosts.yaml:2:8); give each machine a name of its own",
            id="two-hosts-of-one-name",
        ),
        pytest.param(
            "defaults: {labels: {rack: 'r=1'}}\n",
            "1:27: defaults.labels.rack: 'r=1' is not a value of a label; use letters, digits and ._:- , 63 at most",
            id="a-label-that-no-selector-can-name",
        ),
        pytest.param(
            "defaults: {variables: {rack-1: x}}\n",
            "1:24: defaults.variables.rack-1: 'rack-1' is not a name of a variable; "
            "use letters, digits and underscores",
            id="a-variable-that-no-template-can-name",
        ),
        pytest.param(
            'defaults: {variables: {rack: "a\\nb"}}\n',
            "1:30: defaults.variables.rack: 'a\\nb' holds a line end or control character (U+000A); "
            "write it on one line, without",
            id="a-variable-of-two-lines",
        ),
        pytest.param(
            "defaults: {network: {address: 192.0.2.5/24}}\n",
            "1:22: defaults.network.address: cannot be shared; write it at each host; gateway and nameservers can stay",
            id="one-address-for-all",
        ),
        pytest.param(
            "defaults: {mac: 52:54:00:00:00:01}\n",
            "1:12: defaults.mac: cannot be shared; write it at each host",
            id="one-card-for-all",
        ),
        pytest.param(
            f"cluster: {{init: cp2}}\nhosts: {{{CP1}}}\n",
            "1:17: cluster.init: no host is called 'cp2'; did you mean cp1?",
            id="an-unknown-first-node",
        ),
        pytest.param(
            "cluster: {init: cp2}\n",
            "1:17: cluster.init: no host is called 'cp2'; write it below hosts",
            id="a-first-node-and-no-hosts",
        ),
        pytest.param(
            f"cluster: {{init: w1}}\nhosts: {{{W1}}}\n",
            "1:17: cluster.init: w1 is a worker (hosts.yaml:2:20), and the first node cannot be one; "
            "name a control-plane host",
            id="a-worker-as-first-node",
        ),
        pytest.param(
            f"cluster: {{init: cp1}}\nroles: {{control-plane: {{ignition: {{join: join.ign}}}}}}\nhosts: {{{CP1}}}\n",
            "1:17: cluster.init: cp1 starts the cluster, but its role has no init Ignition; "
            "add roles.control-plane.ignition.init, or remove cluster.init",
            id="a-first-node-without-its-file",
        ),
        pytest.param(
            f"roles: {{control-plane: {{ignition: {{init: init.ign}}}}}}\nhosts: {{{CP1}}}\n",
            "1:42: roles.control-plane.ignition.init: is for the host that starts the cluster, and none does; "
            "add cluster: {init: cp1}",
            id="a-file-for-a-first-node-that-nobody-is",
        ),
    ],
)
def test_faults_of_several_values_are_reported_with_place_and_cure(site, text, expected):
    site.write("hosts.yaml", text)

    assert site.faults() == [f"hosts.yaml:{expected}"]


def test_a_host_says_its_role_and_its_card(site):
    site.write("hosts.yaml", "hosts:\n  a:\n")

    assert site.faults() == [
        "hosts.yaml:2:3: hosts.a: has no mac; add mac: 52:54:00:aa:bb:01, the address of the card that boots",
        "hosts.yaml:2:3: hosts.a: has no role; add role: control-plane or worker",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "hosts: {a: {rol: worker, mac: 52:54:00:00:00:01}}\n",
            "1:13: hosts.a.rol: no such key; did you mean role?",
        ),
        (
            "hosts: {a: {role: worker, macs: 52:54:00:00:00:01}}\n",
            "1:27: hosts.a.macs: no such key; did you mean mac?",
        ),
        (
            "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, network: {adress: 192.0.2.5/24}}}\n",
            "1:61: hosts.a.network.adress: no such key; did you mean address?",
        ),
    ],
)
def test_a_key_with_a_spelling_mistake_is_not_missing_as_well(site, text, expected):
    site.write("hosts.yaml", text)

    assert site.faults() == [f"hosts.yaml:{expected}"]


def test_the_good_card_beside_a_faulty_one_is_compared_with_other_hosts(site):
    site.write("hosts.yaml", f"hosts:\n  {W1}\n  w2: {{role: worker, mac: [x, 52:54:00:00:00:11]}}\n")

    assert [fault.partition("; ")[0] for fault in site.faults()] == [
        "hosts.yaml:3:28: hosts.w2.mac[0]: 'x' is not a unicast MAC address",
        "hosts.yaml:3:31: hosts.w2.mac[1]: 52:54:00:00:00:11 belongs to w1 already (hosts.yaml:2:27)",
    ]


def test_an_inherited_gateway_is_compared_where_the_hosts_own_is_refused(site):
    site.write(
        "hosts.yaml",
        "defaults: {network: {gateway: 192.0.2.1}}\n"
        "hosts: {a: {role: worker, mac: 52:54:00:00:00:01, network: {address: 198.51.100.5/24, gateway: x}}}\n",
    )

    assert [fault.partition("; ")[0] for fault in site.faults()] == [
        "hosts.yaml:2:70: hosts.a.network.address: the gateway 192.0.2.1 (hosts.yaml:1:31) is outside 198.51.100.0/24",
        "hosts.yaml:2:96: hosts.a.network.gateway: 'x' is not an IPv4 address",
    ]


def test_a_first_node_with_a_fault_of_its_own_is_not_called_unknown(site):
    site.write("hosts.yaml", "cluster: {init: cp1}\nhosts: {cp1: x}\n")

    assert site.faults() == ["hosts.yaml:2:14: hosts.cp1: must be a table of keys; write `key: value` pairs below it"]


def test_a_value_that_cannot_be_read_is_not_called_missing_as_well(site):
    site.write("hosts.yaml", "hosts: {a: {role: x, mac: y, network: {address: z, gateway: 192.0.2.1}}}\n")

    assert [fault.partition(": ")[2].partition(":")[0] for fault in site.faults()] == [
        "hosts.a.role",
        "hosts.a.mac",
        "hosts.a.network.address",
    ]


def test_a_host_without_address_uses_dhcp_whatever_the_defaults_are(site):
    site.write("hosts.yaml", f"defaults: {{network: {{gateway: 192.0.2.1}}}}\nhosts: {{{W1}}}\n")

    [host] = site.load().hosts

    assert host.network == BY_DHCP
