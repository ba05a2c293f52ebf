"""docs/doctor.md has a row for each check, and no other."""

import re
from pathlib import Path

from netboot.doctor import box
from netboot.doctor.configuration import configuration_findings
from netboot.doctor.content import examine_content
from netboot.doctor.doctor_finding import Level

PAGE = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
CHECKS = (*box.CHECKS, *configuration_findings.CHECKS, *examine_content.CHECKS)
ROWS = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| .+ \| ([a-z, ]+) \| .*\|$", PAGE, re.MULTILINE)


def test_every_check_has_its_row():
    assert sorted(check for check, _ in ROWS) == sorted(CHECKS)


def test_every_row_names_levels():
    levels = {level for _, named in ROWS for level in named.split(", ")}

    assert levels <= {level.value for level in Level}
