"""A value that an operator types, on a command line or in a form."""

import pytest

from netboot.errors import ConfigError
from netboot.yamlfile.typed_values import typed_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("/dev/disk/by-id/ata-1", "/dev/disk/by-id/ata-1"),
        ("null", "null"),
        ("12", 12),
        ("true", True),
        ("{serial: S3Z1, size_min: 100GB}", {"serial": "S3Z1", "size_min": "100GB"}),
        ("[a, b]", ["a", "b"]),
    ],
)
def test_a_value_is_read_as_a_file_would_have_it(text: str, value: object):
    assert typed_value("disk", text) == value


@pytest.mark.parametrize("text", ["{serial: ", "[a, b", "{a: 1, a: 2}"])
def test_what_is_no_yaml_is_refused_with_its_key(text: str):
    with pytest.raises(ConfigError) as refused:
        typed_value("disk", text)

    assert refused.value.problems[0].file == "disk"
