"""When the secrets of a role's file end, and the host of its endpoint."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address

import pytest

from netboot.model.host.role_ignition import Deadline, RoleFile, RoleUse, SecretKind

SINCE = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("secret", "lasts"),
    [(SecretKind.BOOTSTRAP, timedelta(hours=24)), (SecretKind.CERTIFICATE_KEY, timedelta(hours=2))],
)
def test_a_secret_lasts_as_long_as_kubeadm_lets_it(secret: SecretKind, lasts: timedelta):
    assert Deadline.counted(secret, SINCE, is_estimate=False) == Deadline(secret, SINCE, SINCE + lasts, False)


@pytest.mark.parametrize(
    ("use", "is_estimate", "sentence"),
    [
        (
            RoleUse.WORKER,
            False,
            "the bootstrap token in w.ign ended at 2026-11-22 12:00 UTC, 24 h after the file was taken; "
            "run ocne cluster join -c byo.yaml -w 1 > FILE and the commands that it prints, "
            "then netboot cluster ignition set worker FILE (--renewed if only the commands were run again)",
        ),
        (
            None,
            True,
            "the bootstrap token in w.ign ended at 2026-11-22 12:00 UTC, 24 h after the file was written; "
            "run ocne cluster join -c byo.yaml -w 1 > FILE and the commands that it prints, "
            "then netboot cluster ignition set ROLE FILE (--renewed if only the commands were run again)",
        ),
    ],
)
def test_the_end_of_a_secret_is_explained_with_its_cure(use: RoleUse | None, is_estimate: bool, sentence: str):
    assert Deadline.counted(SecretKind.BOOTSTRAP, SINCE, is_estimate=is_estimate).sentence("w.ign", use) == sentence


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [(None, None), ("192.0.2.10:6443", "192.0.2.10"), ("api.example.com", "api.example.com"), ("[::1]:6443", "::1")],
)
def test_the_host_of_an_endpoint_has_no_port(endpoint: str | None, host: str | None):
    assert RoleFile(endpoint=endpoint).endpoint_host == host


@pytest.mark.parametrize(
    ("use", "virtual_ip", "expected"),
    [
        (RoleUse.INIT, "192.0.2.10", IPv4Address("192.0.2.10")),
        (RoleUse.INIT, "2001:db8::10", None),
        (RoleUse.INIT, None, None),
        (RoleUse.CONTROL_PLANE, "192.0.2.10", None),
    ],
)
def test_only_the_node_that_starts_the_cluster_brings_its_virtual_ip(
    use: RoleUse, virtual_ip: str | None, expected: IPv4Address | None
):
    assert RoleFile(use=use, virtual_ip=virtual_ip).virtual_ip_of_start == expected
