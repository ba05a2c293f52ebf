"""The section `registry`: a port with TLS needs a certificate and its key."""

import pytest

from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.settings.registry_setting import RegistrySettings


def test_without_the_section_there_is_no_tls(site):
    site.write("netboot.yaml", "http: {port: 8080}\n")

    assert site.load().settings.registry == RegistrySettings()
    assert site.load().settings.registry.files is None


def test_files_are_relative_to_the_settings(site, tmp_path):
    site.write("netboot.yaml", "registry: {tls_port: 8443, certificate: tls/r.pem, key: /k/r.key}\n")

    registry = site.load().settings.registry
    directory = registry.certificate.parents[1]
    assert (directory / "netboot.yaml").exists()
    assert registry.files == CertificateFiles(directory / "tls/r.pem", registry.key, CertificateUse.REGISTRY)


def test_files_without_a_port_are_not_served(site):
    site.write("netboot.yaml", "registry: {certificate: r.pem, key: r.key}\n")

    assert site.load().settings.registry.files is None


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        (
            "{tls_port: 8443}",
            "netboot.yaml:1:11: registry.certificate: TLS on port 8443 needs a certificate and its key; "
            "netboot ca issue --registry makes both files; set registry.certificate",
        ),
        (
            "{tls_port: 8443, certificate: r.pem}",
            "netboot.yaml:1:11: registry.key: TLS on port 8443 needs a certificate and its key; "
            "netboot ca issue --registry makes both files; set registry.key",
        ),
    ],
)
def test_a_port_without_a_certificate_is_refused(site, section: str, fault: str):
    site.write("netboot.yaml", f"registry: {section}\n")

    assert site.faults() == [fault]


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_a_port_that_is_none_is_refused(site, port: str):
    site.write("netboot.yaml", f"registry: {{tls_port: {port}, certificate: r.pem, key: r.key}}\n")

    (fault,) = site.faults()
    assert fault.startswith("netboot.yaml:1:22: registry.tls_port: ")
