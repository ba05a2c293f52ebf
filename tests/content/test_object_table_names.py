"""The name of an object as the bytes that identify it."""

from hypothesis import given
from hypothesis import strategies as st

from netboot.content.ostree.object_table import KINDS, object_key


@given(st.binary(min_size=32, max_size=32), st.sampled_from(sorted(KINDS)))
def test_an_objects_name_becomes_its_digest_and_kind(digest: bytes, kind: str) -> None:
    name = digest.hex()

    assert object_key(name[:2], f"{name[2:]}.{kind}") == digest + bytes((KINDS[kind],))


def test_other_names_are_no_objects() -> None:
    digest = "ab" * 32
    names = [
        (digest[:2], digest[2:]),
        (digest[:2], digest[2:] + ".commitmeta"),
        (digest[:2], digest[2:].upper() + ".filez"),
        (digest[:2], digest[2:-1] + ".filez"),
        (digest[:2], digest[2:-2] + " a.filez"),
        (digest[:2], digest[2:-1] + "g.filez"),
        (digest[:3], digest[3:] + ".filez"),
    ]

    assert [object_key(*name) for name in names] == [None] * len(names)
