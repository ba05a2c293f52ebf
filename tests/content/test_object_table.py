"""The compact table of an archive's objects gives back what was put in, and numbers it."""

from hypothesis import given
from hypothesis import strategies as st

from netboot.content.serving.object_table import ObjectStat, ObjectTable

_numbers = st.integers(0, 2**64 - 1)
_keys = st.builds(lambda digest, kind: digest + bytes((kind,)), st.binary(min_size=32, max_size=32), st.integers(1, 4))
# digests of one repeated byte provoke finds across the border of two records
_crowded = st.builds(
    lambda a, b, kind: bytes((a,)) * 31 + bytes((b, kind)), *[st.integers(0, 2)] * 2, st.integers(1, 2)
)


@given(st.dictionaries(st.one_of(_keys, _crowded), st.tuples(_numbers, _numbers, _numbers), max_size=60))
def test_every_object_is_found_with_its_stat_and_an_ordinal_of_its_own(
    objects: dict[bytes, tuple[int, int, int]],
) -> None:
    table = ObjectTable((key, *stat) for key, stat in objects.items())

    found = {key: table.find(key) for key in objects}

    assert len(table) == len(objects)
    assert {stat.ordinal for stat in found.values() if stat} == set(range(len(objects)))
    assert found == {key: ObjectStat(found[key].ordinal, *stat) for key, stat in objects.items()}  # type: ignore[union-attr]


@given(st.sets(st.one_of(_keys, _crowded), max_size=30), st.one_of(_keys, _crowded))
def test_what_is_not_in_the_table_is_not_found(keys: set[bytes], unknown: bytes) -> None:
    table = ObjectTable((key, 1, 2, 3) for key in keys)

    assert (table.find(unknown) is not None) == (unknown in keys)


def test_a_table_of_fifty_thousand_objects_takes_three_megabytes() -> None:
    table = ObjectTable((n.to_bytes(32, "big")[::-1] + b"\x04", n, n, n) for n in range(50_000))

    assert sum(len(bucket) for bucket in table._buckets) < 3_000_000
