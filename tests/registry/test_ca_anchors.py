"""The PEM files of CAs are read once, verified, and kept apart from what else is in them."""

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fixtures.certificates import make_certificate
from fixtures.site import Site

HOSTS = """\
defaults: {ca_anchors: [ca/site.pem]}
groups:
  rack1: {+ca_anchors: [%s]}
hosts:
  w1: {role: worker, mac: 52:54:00:00:00:11, groups: [rack1]}
  w2: {role: worker, mac: 52:54:00:00:00:12}
  w3: {role: worker, mac: 52:54:00:00:00:13, ca_anchors: []}
"""
IN_PEM = "name a file of PEM certificates; openssl x509 -inform DER -in FILE -out FILE.pem converts one of DER"


@pytest.fixture
def certificate(site: Site) -> str:
    """The certificate in ca/site.pem, which every host but w3 trusts."""
    site.write("hosts.yaml", HOSTS % "other.pem")
    return make_certificate(site.directory / "ca" / "site.pem")


def test_each_host_has_the_certificates_of_its_own_files(site: Site, certificate: str):
    other = make_certificate(site.directory / "other.pem", days=2)
    (site.directory / "other.pem").write_text(f"# Müller\n{other}\n{certificate}".replace("\n", "\r\n"))

    hosts = site.load().hosts

    w1, w2, w3 = ([(each.name, each.pem) for each in host.ca_anchors] for host in hosts)
    assert w1 == [("site.pem", certificate), ("other.pem", other + certificate)]
    assert w2 == [("site.pem", certificate)]
    assert w3 == []
    assert [host.faults for host in hosts] == [(), (), ()]
    site_ca, first_to_end = (each.ends_at for each in next(iter(hosts)).ca_anchors)
    decoded = ssl._ssl._test_decode_cert("ca/site.pem")  # type: ignore[attr-defined]
    assert site_ca == datetime.fromtimestamp(ssl.cert_time_to_seconds(decoded["notAfter"]), UTC)
    assert first_to_end is not None
    assert first_to_end - datetime.now(UTC) < timedelta(days=2)


def test_a_file_that_is_missing_makes_its_hosts_not_ready(site: Site, certificate: str):
    hosts = site.load().hosts

    reason = (
        f"hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: {site.directory}/other.pem cannot be read "
        "(No such file or directory); write the file, or correct the name; then netboot reload"
    )
    assert [host.faults for host in hosts] == [(reason,), (), ()]
    assert [len(host.ca_anchors) for host in hosts] == [1, 1, 0]


def converted_to_der(path: Path) -> bytes:
    return subprocess.run(["openssl", "x509", "-in", path, "-outform", "DER"], check=True, capture_output=True).stdout


def test_a_file_without_certificate_in_pem_is_refused(site: Site, certificate: str):
    (site.directory / "other.pem").write_bytes(converted_to_der(site.directory / "ca" / "site.pem"))

    assert site.faults() == [
        f"hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: other.pem has no PEM certificate; {IN_PEM}"
    ]


def test_a_certificate_that_openssl_cannot_read_is_refused(site: Site, certificate: str):
    lines = certificate.splitlines()
    (site.directory / "other.pem").write_text("\n".join([*lines, lines[0], "MIIB", lines[-1]]))

    [fault] = site.faults()

    assert fault.startswith(
        "hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: other.pem has a certificate that cannot be read ("
    )
    assert fault.endswith(f"); {IN_PEM}")


def test_a_private_key_is_given_to_no_node(site: Site, certificate: str):
    key = (site.directory / "ca" / "site.pem.key").read_text()
    (site.directory / "other.pem").write_text(certificate + key)

    assert site.faults() == [
        "hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: other.pem contains a private key, which no node needs; "
        "name a file that has the certificate alone"
    ]


def test_two_files_of_a_host_have_different_names_on_the_node(site: Site, certificate: str):
    site.write("hosts.yaml", HOSTS % "site.pem")
    make_certificate(site.directory / "site.pem")

    assert site.faults() == [
        "hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: site.pem and ca/site.pem (hosts.yaml:1:25) have one name on "
        "the node; rename one of the two"
    ]


def test_a_name_that_no_node_should_have_is_refused(site: Site, certificate: str):
    site.write("hosts.yaml", HOSTS % "'.a b.pem'")
    make_certificate(site.directory / ".a b.pem")

    assert site.faults() == [
        "hosts.yaml:3:25: groups.rack1.+ca_anchors[0]: .a b.pem has the name '.a b.pem', which it would have on the "
        "node; use letters, digits, dots, hyphens and underscores, as site-ca.pem"
    ]


def test_a_certificate_of_no_ca_is_read_without_an_end(site: Site, certificate: str):
    make_certificate(site.directory / "other.pem", is_ca=False)

    assert [each.ends_at is None for each in next(iter(site.load().hosts)).ca_anchors] == [False, True]
