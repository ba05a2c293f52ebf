"""`netboot check` finds what prevents the use of BMCs: sushy, credentials, quirks; and where a password can be read."""

import importlib.util
from pathlib import Path

import pytest

from netboot.bmc.credentials import BmcCredentials, write_credentials
from netboot.doctor.configuration.bmc_checks import check_bmcs
from netboot.doctor.configuration.check_report import CheckReport
from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust
from netboot.model.host.host import Cluster, Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac

W1 = Bmc("https://192.0.2.1")


def hosts(*bmcs: Bmc | None) -> HostSet:
    """Return hosts w1, w2 and so on with these BMCs."""
    return HostSet.of(
        Cluster("rackone"),
        [
            Host(HostName(f"w{number}"), Role.WORKER, (Mac.parse(f"52:54:00:00:00:{number:02}"),), bmc=bmc)
            for number, bmc in enumerate(bmcs, 1)
        ],
    )


def test_hosts_without_bmcs_need_nothing(tmp_path: Path):
    assert check_bmcs(hosts(None, None), tmp_path, quirks=None) == CheckReport()


def test_what_is_sound_has_no_finding(tmp_path: Path):
    write_credentials(tmp_path / "w1", BmcCredentials("a", "b"), W1)

    assert check_bmcs(hosts(W1), tmp_path, quirks=None) == CheckReport()


def test_credentials_of_another_bmc(tmp_path: Path):
    write_credentials(tmp_path / "w1", BmcCredentials("a", "b"), W1)
    other = Bmc("https://192.0.2.9", credentials=tmp_path / "w1")

    assert check_bmcs(hosts(W1, other), tmp_path, quirks=None).problems == [
        f"hosts.w2.bmc: {tmp_path}/w1 is for https://192.0.2.1 (verify), and not for https://192.0.2.9 (verify); "
        "if the hosts files are right, netboot bmc credentials w2; "
        "or write url: https://192.0.2.9 and certificate: verify into it"
    ]


def test_a_missing_file_is_reported_once_for_all_its_hosts(tmp_path: Path):
    shared = tmp_path / "rack"
    found = check_bmcs(
        hosts(Bmc("https://192.0.2.1", credentials=shared), Bmc("https://192.0.2.2", credentials=shared)),
        tmp_path,
        quirks=None,
    )

    assert found.problems == [
        f"hosts.w1.bmc: cannot read {shared}: No such file or directory (also w2); netboot bmc credentials w1 writes it"
    ]


def test_sushy_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_credentials(tmp_path / "w1", BmcCredentials("a", "b"), W1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)

    assert check_bmcs(hosts(Bmc("https://192.0.2.1")), tmp_path, quirks=None).problems == [
        "hosts.w1.bmc: sushy is missing, by which BMCs are used; "
        "pip install 'netboot-ocne[bmc]', then systemctl restart netboot"
    ]


def test_where_a_password_can_be_read(tmp_path: Path):
    users = hosts(Bmc("https://192.0.2.1", certificate=BmcCertificate(BmcTrust.NONE)), Bmc("http://192.0.2.2"))
    for host in users:
        assert host.bmc is not None
        write_credentials(tmp_path / host.name, BmcCredentials("a", "b"), host.bmc)
    found = check_bmcs(users, tmp_path, quirks=None)

    assert (found.problems, found.warnings) == (
        [],
        [
            "hosts.w1.bmc.certificate: the certificate of the BMC is not verified: "
            "whatever answers at its address gets the password; "
            "write certificate: sha256:DIGEST, which netboot bmc probe prints",
            "hosts.w2.bmc.url: the password is sent in clear; write https:",
        ],
    )


def test_a_faulty_file_of_quirks_names_the_place(tmp_path: Path):
    (tmp_path / "quirks.yaml").write_text("quirks: [{name: a, boot_uri: magic}]\n")

    assert check_bmcs(hosts(), tmp_path, quirks=tmp_path / "quirks.yaml").problems == [
        f"{tmp_path}/quirks.yaml:1:30: quirks[0].boot_uri: 'magic' is none of its values; "
        "use http-boot-uri, bios or none"
    ]
