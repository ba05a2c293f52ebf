"""docs/doctor.md has a row for each check, and no other."""

import re
from pathlib import Path

from netboot.doctor.box import examine_box
from netboot.doctor.configuration import configuration_findings
from netboot.doctor.content import examine_content
from netboot.doctor.doctor_finding import Level
from netboot.doctor.host import examine_host
from netboot.doctor.lan import lan_checks

PAGE = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
CHECKS = (
    *examine_box.CHECKS,
    *configuration_findings.CHECKS,
    *examine_content.CHECKS,
    *examine_host.CHECKS,
    *lan_checks.CHECKS,
)
ROWS = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| .+ \| ([A-Za-z,;: ]+) \| .*\|$", PAGE, re.MULTILINE)


def test_every_check_has_its_row():
    assert sorted(check for check, _ in ROWS) == sorted(CHECKS)


def test_every_row_names_levels():
    levels = {level.value for level in Level}

    assert [row for row in ROWS if not levels & set(re.findall("[a-z]+", row[1]))] == []
