"""The file of one host: how it is written, patched and read, and which files of a person a command refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.errors import HostFileError
from netboot.registry.host_files import HostsFile
from netboot.registry.writing.host_document import HEAD, host_text, patched, values_in

WORKER = {"role": "worker", "mac": "52:54:00:00:00:21"}
TEXTS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=30)
VALUES = st.dictionaries(
    st.sampled_from(["role", "mac", "hostname", "disk", "timezone"]), TEXTS | st.integers(0, 9999) | st.booleans()
) | st.dictionaries(st.sampled_from(["labels", "variables"]), st.dictionaries(TEXTS.filter(bool), TEXTS, min_size=1))


def file(text: str) -> HostsFile:
    return HostsFile("hosts.d/w1.yaml", text)


@given(VALUES)
def test_the_values_of_a_written_file_are_read_back_equal(values: dict[str, Any]):
    assert values_in("w1", file(host_text("w1", values))) == values


def test_a_single_value_of_a_key_that_takes_a_list_becomes_a_list():
    values = {**WORKER, "ntp": "192.0.2.1", "network": {"nameservers": "192.0.2.2", "+search": "a.example"}}

    assert values_in("w1", file(host_text("w1", values))) == {
        **WORKER,
        "ntp": ["192.0.2.1"],
        "network": {"nameservers": ["192.0.2.2"], "+search": ["a.example"]},
    }


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"disk": "/dev/sda"}, {"role": "worker", "disk": "/dev/sda", "labels": {"rack": "r1", "row": "a"}}),
        ({"role": None, "labels": {"row": None}}, {"labels": {"rack": "r1"}}),
        ({"labels": {"row": None, "rack": None}}, {"role": "worker"}),
        ({"labels": None, "no": None}, {"role": "worker"}),
        ({"role": {"x": 1}}, {"role": {"x": 1}, "labels": {"rack": "r1", "row": "a"}}),
        ({"labels": ["x"]}, {"role": "worker", "labels": ["x"]}),
        ({"network": {"bond": {"mode": None}}}, {"role": "worker", "labels": {"rack": "r1", "row": "a"}}),
    ],
)
def test_a_patch_is_applied_as_rfc_7396_has_it_and_leaves_no_empty_table(
    patch: dict[str, Any], expected: dict[str, Any]
):
    values = {"role": "worker", "labels": {"rack": "r1", "row": "a"}}

    assert patched(values, patch) == expected
    assert values == {"role": "worker", "labels": {"rack": "r1", "row": "a"}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("hosts: {w1: {role: worker, mac: 52:54:00:00:00:21}}\n", 1, id="written-by-a-person"),
        pytest.param(host_text("w1", WORKER) + "# rack 1\n", 6, id="comment-at-the-end"),
        pytest.param(host_text("w1", WORKER).replace("worker", "worker  # rack 1"), 4, id="comment-in-a-line"),
        pytest.param(host_text("w1", WORKER).replace("worker", '"worker"'), 4, id="other-quotes"),
        pytest.param(host_text("w1", WORKER) + "  w2: {}\n", 6, id="two-hosts"),
        pytest.param(host_text("w1", WORKER) + "defaults: {}\n", 6, id="another-section"),
        pytest.param(HEAD + "hosts:\n  w1:\n", 2, id="no-values"),
        pytest.param("", 1, id="empty"),
    ],
)
def test_a_file_that_a_command_would_not_write_so_is_refused_with_the_line(text: str, line: int):
    with pytest.raises(HostFileError) as refused:
        values_in("w1", file(text))

    assert str(refused.value) == (
        f"hosts.d/w1.yaml:{line}: w1: this line was written by a person, and a command would not keep it; "
        "edit hosts.d/w1.yaml, then netboot reload"
    )
