"""The counters of a daemon: what is counted is exposed, and what is not declared is refused."""

import pytest

from netboot.model.release import ContentKind
from netboot.telemetry.metrics import COUNTERS, Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    """The counters that were counted, as Prometheus reads them."""
    lines = [line for line in metrics.exposition().decode().splitlines() if "_total" in line and line[0] != "#"]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if float(value)}


def test_what_is_counted_is_exposed_with_its_labels():
    metrics = Metrics()

    metrics.count("dhcp_offered", arch="x64-uefi", kind="loader")
    metrics.count("dhcp_offered", arch="x64-uefi", kind="loader")
    metrics.count("lease_probes_lost")
    metrics.content_sent(ContentKind.OSTREE_OBJECT, 200, 1_000)
    metrics.content_sent(ContentKind.OSTREE_OBJECT, 206, 24)
    metrics.count("http_malformed")
    metrics.count("http_refused", reason="too-large")

    assert samples(metrics) == {
        'netboot_dhcp_offered_total{arch="x64-uefi",kind="loader"}': 2,
        "netboot_lease_probes_lost_total": 1,
        f'netboot_content_requests_total{{kind="{ContentKind.OSTREE_OBJECT}",status="200"}}': 1,
        f'netboot_content_requests_total{{kind="{ContentKind.OSTREE_OBJECT}",status="206"}}': 1,
        f'netboot_content_bytes_total{{kind="{ContentKind.OSTREE_OBJECT}"}}': 1_024,
        "netboot_http_malformed_total": 1,
        'netboot_http_refused_total{reason="too-large"}': 1,
    }


def test_two_daemons_in_one_process_do_not_share_their_counters():
    first, second = Metrics(), Metrics()

    first.count("http_malformed")

    assert samples(second) == {}


def test_every_declared_counter_is_exposed_with_its_help():
    text = Metrics().exposition().decode()

    helps = {f"# HELP netboot_{name}_total {what}" for name, (what, _labels) in COUNTERS.items()}
    assert helps <= set(text.splitlines())


@pytest.mark.parametrize(
    ("name", "labels", "error"),
    [
        pytest.param("dhcp_ofered", {}, KeyError, id="a-misspelt-counter"),
        pytest.param("dhcp_offered", {"arch": "x64-uefi"}, ValueError, id="a-missing-label"),
        pytest.param("dhcp_ignored", {"cause": "unknown-host"}, ValueError, id="another-label"),
    ],
)
def test_a_counter_that_is_not_declared_is_refused(name: str, labels: dict[str, str], error: type[Exception]):
    with pytest.raises(error):
        Metrics().count(name, **labels)
