"""The example alert rules: valid for Prometheus, each one tested, and only of metrics that netboot has."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from netboot.telemetry.metrics import COUNTERS, GAUGES, HISTOGRAMS

RULES: Final = Path(__file__).resolve().parents[2] / "assets/examples/alerts.yaml"
CASES: Final = Path(__file__).parent / "alert_cases.yaml"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("command", [["check", "rules", RULES], ["test", "rules", CASES]], ids=["check", "test"])
def test_promtool_accepts_the_rules_and_their_cases(command: list[str]):
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stdout + done.stderr


def test_each_alert_names_what_to_do_and_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    names = [alert["alert"] for alert in alerts()]
    sound, faulty = yaml.safe_load(CASES.read_text())["tests"]

    fired = [re.findall(r'"(\w+)"', each["labels"])[0] for each in faulty["promql_expr_test"][0]["exp_samples"]]
    assert sorted(names) == sorted(fired) == sorted(each["alertname"] for each in sound["alert_rule_test"])
    assert all({"summary", "action"} == alert["annotations"].keys() for alert in alerts())


def test_the_rules_and_their_cases_use_metrics_and_labels_that_are_declared():
    labels = {f"{name}_total": labels for name, (_, labels) in COUNTERS.items()}
    labels |= {name: labels for name, (_, labels) in GAUGES.items()}
    labels |= {f"{name}_bucket": (*labels, "le") for name, (_, labels, _) in HISTOGRAMS.items()}

    used = re.findall(r"netboot_(\w+)(?:\{([^}]*)\})?", RULES.read_text() + CASES.read_text())

    assert used
    for name, selectors in used:
        of_netboot = set(re.findall(r"(\w+)!?=", selectors)) - {"instance"}
        assert of_netboot <= set(labels[name]), name
