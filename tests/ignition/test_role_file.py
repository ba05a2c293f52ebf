"""What a file of `ocne` has of the cluster. No input raises, and no secret is in what is shown."""

import gzip
import hashlib
import json
import tracemalloc
from base64 import b64encode

import pytest
from fixtures.role_files import CERTIFICATE_KEY, IDENTITY, SAMPLES, TOKEN, altered
from hypothesis import given
from hypothesis import strategies as st

from netboot.ignition.check import read_ignition
from netboot.ignition.role_file import KUBEADM, role_file
from netboot.model.host.role_ignition import RoleFile, RoleUse, SecretKind


def read(content: bytes) -> RoleFile:
    return role_file(read_ignition(content))


def with_files(**files: str) -> bytes:
    """Write an Ignition file; `kubeadm="text"` writes kubeadm.conf, `ca` and `keepalived` theirs."""
    paths = {
        "kubeadm": KUBEADM,
        "ca": "/etc/kubernetes/pki/ca.crt",
        "key": "/etc/kubernetes/pki/ca.key",
        "keepalived": "/etc/keepalived/keepalived.conf",
    }
    held = [
        {"path": paths[name], "contents": {"source": f"data:;base64,{b64encode(text.encode()).decode()}"}}
        for name, text in files.items()
    ]
    return json.dumps({"ignition": {"version": "3.4.0"}, "storage": {"files": held}}).encode()


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


SHARED = {"authorities": (IDENTITY,), "endpoint": "192.0.2.10:6443", "interface": "enp1s0"}
WITH_VIRTUAL_IP = {**SHARED, "virtual_ip": "192.0.2.10", "virtual_ip_interface": "enp1s0"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "init.ign",
            RoleFile(
                use=RoleUse.INIT,
                pod_subnet="10.244.0.0/16",
                service_subnet="10.96.0.0/12",
                kubernetes_version="1.33.5",
                **WITH_VIRTUAL_IP,
            ),
        ),
        (
            "controlplane-join.ign",
            RoleFile(
                use=RoleUse.CONTROL_PLANE,
                secrets={SecretKind.BOOTSTRAP: sha256(TOKEN), SecretKind.CERTIFICATE_KEY: sha256(CERTIFICATE_KEY)},
                **WITH_VIRTUAL_IP,
            ),
        ),
        (
            "worker-join.ign",
            RoleFile(use=RoleUse.WORKER, secrets={SecretKind.BOOTSTRAP: sha256("w0rker.0123456789abcdef")}, **SHARED),
        ),
    ],
)
def test_a_file_of_ocne_is_read(name: str, expected: RoleFile):
    found = read((SAMPLES / name).read_bytes())

    assert found == expected
    assert found.endpoint_host == "192.0.2.10"
    assert all(secret not in repr(found) for secret in (TOKEN, CERTIFICATE_KEY, sha256(TOKEN).hex()))


@pytest.mark.parametrize(
    ("content", "use"),
    [
        (with_files(key="secret"), RoleUse.INIT),
        (with_files(kubeadm="kind: InitConfiguration\n"), RoleUse.INIT),
        (with_files(kubeadm="kind: JoinConfiguration\n"), RoleUse.WORKER),
        (
            with_files(kubeadm="kind: KubeProxyConfiguration\n---\nkind: JoinConfiguration\ncontrolPlane: {}\n"),
            "control-plane",
        ),
        (altered("init.ign", {"ACTION=init": "ACTION=join"}), RoleUse.JOIN),
        (with_files(), None),
        (b"{", None),
        (b"", None),
    ],
)
def test_the_use_is_found_without_the_drop_in_of_ocne(content: bytes, use: RoleUse | None):
    assert read(content).use == use


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("api.example.com:6443", "api.example.com"),
        ("api.example.com", "api.example.com"),
        ("[2001:db8::1]:6443", "2001:db8::1"),
    ],
)
def test_an_endpoint_is_a_name_or_an_address_with_or_without_a_port(endpoint: str, host: str):
    kubeadm = f'kind: ClusterConfiguration\ncontrolPlaneEndpoint: "{endpoint}"\n'

    assert read(with_files(kubeadm=kubeadm)).endpoint_host == host


def test_a_certificate_that_cannot_be_read_identifies_no_cluster():
    certificates = [
        f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----"
        for der in (b"", b"\x31\x00", b"\x30\x82\xff", b"\x30\x05\x30\x03\xa0\x01\x00", b"\x30\x02\x30\x00")
    ]

    assert read(with_files(ca="\n".join(certificates))).authorities == ()


def test_a_file_that_unpacks_to_much_is_not_read_and_takes_little_memory():
    bomb = b64encode(gzip.compress(bytes(64 << 20))).decode()
    plain = b64encode(b"kind: JoinConfiguration\n" + b"#" * (2 << 20)).decode()
    for source, compression in ((bomb, "gzip"), (plain, "")):
        contents = {"source": f"data:;base64,{source}", "compression": compression}
        config = {"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": KUBEADM, "contents": contents}]}}
        file = read_ignition(json.dumps(config).encode())
        assert file.problems == ()
        tracemalloc.start()
        try:
            assert role_file(file) == RoleFile()
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


@given(kubeadm=st.text(), ca=st.text(), keepalived=st.text())
def test_no_text_in_a_file_raises(kubeadm: str, ca: str, keepalived: str):
    texts = {"kubeadm": f"kind: JoinConfiguration\n{kubeadm}", "ca": ca, "keepalived": keepalived}
    content = with_files(**{name: text.encode("utf-8", "replace").decode() for name, text in texts.items()})

    found = read(content)

    assert found.endpoint is None or found.endpoint.isprintable()


@given(
    discovery=st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["token", "caCertHashes", "a"]), inner),
    )
)
def test_no_value_of_kubeadm_raises(discovery: object):
    kubeadm = json.dumps({"kind": "JoinConfiguration", "discovery": {"bootstrapToken": discovery}})

    assert read(with_files(kubeadm=kubeadm)).use is RoleUse.WORKER


@given(st.binary(max_size=400))
def test_no_der_raises(der: bytes):
    pem = f"-----BEGIN CERTIFICATE-----\n{b64encode(der).decode()}\n-----END CERTIFICATE-----"

    assert isinstance(read(with_files(ca=pem)).authorities, tuple)


def test_the_servers_of_resources_are_named_once_and_without_their_users():
    merged = [{"source": url} for url in ("https://kim:s3cret@[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/b")]
    held = [
        {"path": "/a", "contents": {"source": "http://192.0.2.1/a?token=s3cret"}, "append": [{"source": "data:,x"}]},
        {"path": "/b", "append": [{"source": "tftp://192.0.2.2/b"}]},
    ]
    head = {"version": "3.4.0", "config": {"merge": merged}}

    found = read(json.dumps({"ignition": head, "storage": {"files": held}}).encode())

    assert found.fetched_from == ("http://192.0.2.1", "https://[2001:db8::1]:8443", "tftp://192.0.2.2")


def test_a_document_without_a_kind_is_passed_over():
    cluster = "kind: ClusterConfiguration\ncontrolPlaneEndpoint: 192.0.2.10:6443\n"
    for other in ("networking: {}\n", "kind: [ClusterConfiguration]\ncontrolPlaneEndpoint: 192.0.2.9:1\n"):
        assert read(with_files(kubeadm=f"{other}---\n{cluster}")).endpoint == "192.0.2.10:6443"
