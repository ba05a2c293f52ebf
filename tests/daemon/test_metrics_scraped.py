"""A real Prometheus scrapes a running daemon and evaluates the example alert rules on what it got."""

import json
import re
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.daemon import wait_until
from fixtures.rack import Rack, token_in

pytestmark = pytest.mark.integration

RULES = Path(__file__).resolve().parents[2] / "assets/examples/alerts.yaml"
CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
CONFIGURATION = f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{RULES}]
scrape_configs:
  - job_name: netboot
    static_configs: [{{targets: ["127.0.0.1:8470"]}}]
"""
PORT = 9099


class Prometheus:
    """A Prometheus on the appliance itself."""

    def __init__(self, rack: Rack) -> None:
        self._rack = rack

    def api(self, path: str) -> Any:
        """Query its API; None while it does not answer."""
        command = ["ip", "netns", "exec", self._rack.server_namespace, "curl", "-sS", "--max-time", "5"]
        url = f"http://127.0.0.1:{PORT}/api/v1/{path}"
        done = subprocess.run([*command, url], capture_output=True, timeout=20, check=False)
        found = json.loads(done.stdout) if done.returncode == 0 and done.stdout.startswith(b"{") else {}
        return found.get("data")

    def query(self, expression: str) -> dict[str, float]:
        """Evaluate an expression; return the values by their labels."""
        found = self.api(f"query?query={urllib.parse.quote(expression)}") or {"result": []}
        return {
            ",".join(f"{name}={text}" for name, text in sorted(each["metric"].items())): float(each["value"][1])
            for each in found["result"]
        }

    def wait_for(self, expression: str) -> dict[str, float]:
        return wait_until(lambda: self.query(expression) or None, failed=lambda: f"{expression} has no value")


@pytest.fixture
def prometheus(rack: Rack, tmp_path: Path) -> Iterator[Prometheus]:
    configuration, data = tmp_path / "prometheus.yml", tmp_path / "prometheus"
    configuration.write_text(CONFIGURATION)
    command = ["ip", "netns", "exec", rack.server_namespace, "prometheus", f"--config.file={configuration}"]
    options = [f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{PORT}"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        yield Prometheus(rack)
    finally:
        process.terminate()
        process.wait(30)


def boot(rack: Rack) -> None:
    """Let cp1 boot the installer as far as its Kickstart, and let another machine use its token."""
    rack.netboot("install", "arm", "cp1")
    cp1 = rack.machine(*CP1)
    cp1.boots()
    script = cp1.script()
    for path in re.findall(r"http://192\.0\.2\.10:8080(/content/\S+/(?:vmlinuz|initrd\.img))", script):
        assert cp1.get(path, "-o", "/dev/null", "-D", "-").status == 200
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    thief = rack.machine("52:54:00:12:34:56", "192.0.2.51")
    assert thief.report(token_in(kickstart, "report"), "done") == 403


def test_prometheus_reads_what_a_boot_left_and_fires_the_alert(rack: Rack, prometheus: Prometheus):
    assert prometheus.wait_for('up{job="netboot"} == 1')
    boot(rack)

    assert prometheus.wait_for("netboot_alarms_total == 1")
    states = prometheus.query('sum by (state, armed) (netboot_hosts{job="netboot"}) > 0')
    assert states == {"armed=true,state=loading": 1, "armed=false,state=registered": 1}
    steps = prometheus.query('sum by (step, loader) (netboot_boot_step_duration_seconds_count{loader="ipxe-uefi"})')
    assert steps.keys() >= {"loader=ipxe-uefi,step=script", "loader=ipxe-uefi,step=kickstart"}
    assert prometheus.query('netboot_store_transaction_duration_seconds_count{access="write"} > 0')
    assert prometheus.query('netboot_dhcp_offered_total{kind="loader"} > 0')
    assert prometheus.wait_for('ALERTS{alertname="NetbootAlarm", alertstate="firing"}')
    (target,) = prometheus.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_every_scraped_metric_has_a_name_and_labels_of_few_values(rack: Rack, prometheus: Prometheus):
    prometheus.wait_for('up{job="netboot"} == 1')
    boot(rack)
    time.sleep(2)

    series = prometheus.query('count by (__name__) ({job="netboot", __name__=~"netboot_.*"})')
    of_netboot = urllib.parse.quote('{job="netboot"}')
    texts = json.dumps(prometheus.api(f"series?match[]={of_netboot}"))

    assert sum(series.values()) < 500
    assert not re.search(r"cp1|w1\b|192\.0\.2\.5|52:54:00|[0-9a-f]{32}", texts)
