"""The key `bmc` of hosts: which values are taken, how layers merge, and which machines two hosts cannot share."""

import re
from pathlib import Path

import pytest

from netboot.errors import ConfigError
from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust, NetworkBoot
from netboot.model.host.mac import Mac
from netboot.registry.writing.exported_document import exported_document

HEAD = "cluster: {name: rackone}\n"
W1 = "role: worker, mac: 52:54:00:00:00:11"
W2 = "role: worker, mac: 52:54:00:00:00:12"
DIGEST = "0123456789abcdef" * 4


def bmc_of(site, text: str) -> Bmc | None:
    """Return the BMC of a worker with this value of `bmc`."""
    site.write("netboot.yaml", "")
    site.write("hosts.yaml", f"{HEAD}hosts: {{w1: {{{W1}, bmc: {text}}}}}\n")
    return site.load().hosts.named("w1").bmc


def test_a_url_is_enough(site):
    assert bmc_of(site, "https://192.0.2.201") == Bmc("https://192.0.2.201")
    assert bmc_of(site, "https://BMC1.example.org:8443/") == Bmc("https://bmc1.example.org:8443")
    assert bmc_of(site, '"https://[fd00::7]"') == Bmc("https://[fd00::7]")


def test_all_keys(site, tmp_path: Path):
    found = bmc_of(
        site,
        "{url: https://192.0.2.201, system: /redfish/v1/Systems/1, credentials: bmc.d/rack1, "
        "certificate: tls/bmc.pem, network_boot: http-uri, cards: 52-54-00-00-00-21}",
    )

    directory = site.directory
    assert found == Bmc(
        "https://192.0.2.201",
        "/redfish/v1/Systems/1",
        directory / "bmc.d/rack1",
        BmcCertificate(BmcTrust.CA_FILE, directory / "tls/bmc.pem"),
        NetworkBoot.HTTP_URI,
        (Mac.parse("52:54:00:00:00:21"),),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("verify", BmcCertificate()),
        ("none", BmcCertificate(BmcTrust.NONE)),
        (f"sha256:{DIGEST}", BmcCertificate(BmcTrust.PIN, sha256=DIGEST)),
        (f'"sha256:{":".join(["AB"] * 32)}"', BmcCertificate(BmcTrust.PIN, sha256="ab" * 32)),
    ],
)
def test_how_a_certificate_is_verified(site, text: str, expected: BmcCertificate):
    found = bmc_of(site, f"{{url: https://192.0.2.201, certificate: {text}}}")

    assert found is not None
    assert found.certificate == expected


def test_keys_are_inherited_one_by_one(site):
    site.write("netboot.yaml", "")
    site.write(
        "hosts.yaml",
        f"{HEAD}defaults: {{bmc: {{certificate: none, network_boot: http}}}}\n"
        "groups: {g: {bmc: {credentials: 'credential:bmc-rack1'}}}\n"
        f"hosts:\n  w1: {{{W1}, groups: [g], bmc: https://192.0.2.1}}\n"
        f"  w2: {{{W2}, bmc: {{url: https://192.0.2.2, network_boot: pxe, certificate: verify}}}}\n"
        "  w3: {role: worker, mac: 52:54:00:00:00:13}\n",
    )
    hosts = site.load().hosts

    assert hosts.named("w1").bmc == Bmc(
        "https://192.0.2.1",
        credentials=Path("/run/credentials/netboot.service/bmc-rack1"),
        certificate=BmcCertificate(BmcTrust.NONE),
        network_boot=NetworkBoot.HTTP,
    )
    assert hosts.named("w2").bmc == Bmc("https://192.0.2.2", network_boot=NetworkBoot.PXE)
    assert hosts.named("w3").bmc is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "https://root:calvin@192.0.2.201",
            "bmc.url: is not the URL of a BMC; write it as https://192.0.2.201; user and password are in a file",
        ),
        (
            "redfish://192.0.2.201",
            "bmc.url: is not the URL of a BMC; write it as https://192.0.2.201; user and password are in a file",
        ),
        (
            "https://192.0.2.201:70000",
            "bmc.url: is not the URL of a BMC; write it as https://192.0.2.201; user and password are in a file",
        ),
        (
            "https://192.0.2.201/redfish/v1",
            "bmc.url: has a path; write https://192.0.2.201, and the path of the machine as system",
        ),
        (
            "{url: https://192.0.2.201, certificate: 'sha256:12'}",
            "bmc.certificate: 'sha256:12' is not a SHA-256 digest; "
            "write sha256: and the 64 digits that netboot bmc probe prints",
        ),
        (
            "{url: https://192.0.2.201, system: a/b}",
            "bmc.system: 'a/b' is not a machine of a BMC; "
            "write its Redfish id, as 1, or its path, as /redfish/v1/Systems/1",
        ),
        (
            "{url: https://192.0.2.201, network_boot: tftp}",
            "bmc.network_boot: no such value of network_boot 'tftp'; did you mean http?",
        ),
        ("{system: 1}", "bmc.system: is not used without bmc.url; add bmc.url, or remove bmc.system"),
    ],
)
def test_a_wrong_value_names_its_cure_and_no_password(site, text: str, expected: str):
    with pytest.raises(ConfigError) as caught:
        bmc_of(site, text)

    [problem] = caught.value.problems
    where = "bmc.url" if problem.where == "hosts.w1.bmc" else problem.where.removeprefix("hosts.w1.")
    assert f"{where}: {problem.what}; {problem.cure}" == expected
    assert "calvin" not in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [
        ("https://192.0.2.1", "https://192.0.2.1", True),
        ("https://192.0.2.1", "{url: https://192.0.2.1, system: 2}", True),
        ("{url: https://192.0.2.1, system: 2}", "https://192.0.2.1", True),
        ("{url: https://192.0.2.1, system: 1}", "{url: https://192.0.2.1, system: 1}", True),
        ("{url: https://192.0.2.1, system: 1}", "{url: https://192.0.2.1, system: 2}", False),
        ("https://192.0.2.1", "https://192.0.2.1:443/", True),
        ("http://192.0.2.1:80", "http://192.0.2.1", True),
        ("https://192.0.2.1", "https://192.0.2.1:80", False),
        ("'https://[2001:db8::1]'", "'https://[2001:DB8:0::0:1]:0443'", True),
        ("{url: https://192.0.2.1, system: 1}", "{url: https://192.0.2.1, system: /redfish/v1/Systems/1/}", True),
        ("https://192.0.2.1", "https://192.0.2.1:8443", False),
    ],
)
def test_two_hosts_are_not_one_machine_of_a_bmc(site, first: str, second: str, is_refused: bool):
    site.write("netboot.yaml", "")
    site.write("hosts.yaml", f"{HEAD}hosts:\n  w1: {{{W1}, bmc: {first}}}\n  w2: {{{W2}, bmc: {second}}}\n")

    if not is_refused:
        assert len(site.load().hosts) == 2
        return
    with pytest.raises(ConfigError) as caught:
        site.load()
    [problem] = caught.value.problems
    url = re.search(r"https?://(\[[^]]*\]|[^:,}'/]*)", first)
    assert url is not None
    assert problem.what in {f"{url[0]} is the BMC of {name} already" for name in ("w1", "w2")}
    assert problem.cure == "give each host its own BMC, or hosts of one BMC each their own bmc.system"


def test_an_export_has_absolute_paths_and_keeps_credentials_of_systemd(site, tmp_path: Path):
    site.write("netboot.yaml", "")
    site.write(
        "hosts.yaml",
        f"{HEAD}hosts:\n"
        f"  w1: {{{W1}, bmc: {{url: https://192.0.2.1, credentials: 'credential:b', certificate: none}}}}\n"
        f"  w2: {{{W2}, bmc: {{url: https://192.0.2.2, credentials: bmc.d/x, certificate: ca.pem}}}}\n",
    )
    config = site.directory / "netboot.yaml"

    exported = exported_document(config)["hosts"]

    assert exported["w1"]["bmc"] == {"url": "https://192.0.2.1", "credentials": "credential:b", "certificate": "none"}
    assert exported["w2"]["bmc"] == {
        "url": "https://192.0.2.2",
        "credentials": str(config.parent / "bmc.d/x"),
        "certificate": str(config.parent / "ca.pem"),
    }
