"""What differs between two appliances is named by part; hosts are compared only under the same key."""

import pytest

from netboot.model.appliances.known_appliance import Declaration

HERE = Declaration({"cp1": "1", "w1": "2"}, {"release ock": "abc", "medium ol8": "here"}, "key")


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (Declaration({"w1": "2", "cp1": "1"}, {"medium ol8": "here", "release ock": "abc"}, "key"), {}),
        (Declaration({"cp1": "1", "w1": "3", "w2": "4"}, HERE.content, "key"), {"hosts": ["w1", "w2"]}),
        (Declaration(HERE.hosts, {"release ock": "def"}, "key"), {"content": ["medium ol8", "release ock"]}),
        (Declaration({"cp1": "9", "w1": "8"}, HERE.content, "other"), {"key": ["the key"]}),
        (Declaration({}, {}, ""), {"key": ["the key"], "content": ["medium ol8", "release ock"]}),
    ],
)
def test_differences_are_named_by_part(there: Declaration, expected: dict[str, list[str]]):
    assert HERE.differences(there) == expected
    assert there.differences(HERE) == expected
