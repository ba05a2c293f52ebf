"""The part of GVariant that an archive uses, on valid and on any other bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.ostree.gvariant import array_elements, offset_width, tuple_ends
from netboot.errors import ContentError


@pytest.mark.parametrize(("size", "width"), [(0, 1), (255, 1), (256, 2), (65_535, 2), (65_536, 4), (2**32, 8)])
def test_an_offset_is_as_wide_as_its_container_demands(size: int, width: int) -> None:
    assert offset_width(size) == width


def test_an_array_of_texts_is_read_as_glib_writes_it() -> None:
    # GLib.Variant('as', ['i', 'can', 'has', 'strings?']).get_data_as_bytes(), the example of the specification
    data = b"i\0can\0has\0strings?\0" + bytes((2, 6, 10, 19))

    assert list(array_elements(data)) == [b"i\0", b"can\0", b"has\0", b"strings?\0"]


def test_an_empty_array_has_no_elements() -> None:
    assert list(array_elements(b"")) == []


def test_a_tuples_offsets_stand_in_reverse_order() -> None:
    # GLib.Variant('(sayay)', ('a', [1, 2], [3]))
    data = b"a\0\x01\x02\x03" + bytes((4, 2))

    assert tuple_ends(data, 2) == [2, 4, 5]


@given(st.binary(max_size=400), st.integers(1, 6))
def test_any_bytes_are_read_within_their_bounds_or_refused(data: bytes, count: int) -> None:
    try:
        ends = tuple_ends(data, count)
    except ContentError:
        pass
    else:
        assert all(0 <= end <= len(data) for end in ends)
    try:
        elements = list(array_elements(data))
    except ContentError:
        pass
    else:
        assert sum(map(len, elements)) <= len(data)
