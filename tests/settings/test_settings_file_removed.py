"""Settings of earlier releases are accepted with a warning that names their place and what to do."""

import re
from pathlib import Path

import pytest

from netboot.settings.settings import REMOVED, Settings, settings_schema

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "settings.md"
WARNING = (
    "was removed and has no effect; "
    "remove it; to serve content by more processes, put nginx in front of content.directory and set content.url"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("content: {workers: 3}", ["1:11: content.workers"]),
        ("content: {deltas: false, port: many, workers: }", ["1:26: content.port", "1:38: content.workers"]),
        ("content:\n  workers: [1, 2]\n  deltas: false\n", ["2:3: content.workers"]),
        ("http: {port: 8081}\ncontent:\n", []),
    ],
)
def test_a_removed_setting_is_a_warning_with_place_and_cure(site, text, expected):
    site.write("netboot.yaml", text)

    read = site.load()

    assert [str(warning) for warning in read.warnings] == [f"netboot.yaml:{each}: {WARNING}" for each in expected]
    assert read.settings.content.deltas is ("deltas" not in text)


def test_the_other_settings_of_the_section_are_still_checked(site):
    site.write("netboot.yaml", "content: {workers: 3, delta: no}\n")

    assert site.faults() == ["netboot.yaml:1:23: content.delta: no such setting; did you mean deltas?"]


def test_a_removed_setting_is_accepted_in_its_own_section_alone(site):
    site.write("netboot.yaml", "tftp: {workers: 3}\n")

    (fault,) = site.faults()

    assert fault.startswith("netboot.yaml:1:8: tftp.workers: no such setting; known here: ")


def test_no_setting_is_both_removed_and_in_force():
    in_force = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        if section != "hooks"  # a list
        for name in field.annotation.model_fields
    }

    assert not REMOVED.keys() & in_force


def test_every_removed_setting_is_documented_with_its_cure():
    section = DOCUMENTATION.read_text().partition("## Removed settings\n")[2].partition("\n## ")[0]

    assert dict(re.findall(r"^\| `(.+?)` \| [^|]+ \| (.+?) \|$", section, re.MULTILINE)) == REMOVED


def test_a_removed_setting_is_deprecated_in_the_schema_for_editors():
    content = settings_schema()["$defs"]["ContentSettings"]["properties"]

    assert {path: content[path.removeprefix("content.")] for path in REMOVED} == {
        path: {"deprecated": True, "description": f"Removed; {cure}"} for path, cure in REMOVED.items()
    }
