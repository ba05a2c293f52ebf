"""A sealed value opens with its key at its place, and nowhere else."""

import base64

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from netboot.errors import StoreError
from netboot.store import tables
from netboot.store.sealing.sealing import Sealing, StoreKey, token_digest

KEY = StoreKey(bytes(range(32)))
CP1, W1 = {"host": "cp1"}, {"host": "w1"}
TOKENS, TEXT = tables.installs.c.tokens, tables.served_documents.c.text


def test_a_value_opens_at_its_place():
    sealing = Sealing(KEY)

    sealed = sealing.seal("tökens", TOKENS, CP1)

    assert sealing.open(sealed, TOKENS, CP1) == "tökens"
    assert (sealing.problem(), sealing.key_digest) == (None, KEY.digest)


def test_each_seal_of_one_text_is_another_value():
    sealing = Sealing(KEY)

    assert len({sealing.seal("text", TOKENS, CP1) for _ in range(100)}) == 100


def test_the_format_is_that_of_its_description():
    """AES-256-GCM of the library, with a key that HMAC-SHA-256 derives."""
    import hashlib
    import hmac

    form, digest, encoded = Sealing(KEY).seal("text", TOKENS, CP1).split(".")
    data = base64.urlsafe_b64decode(encoded)
    key = hmac.new(KEY.secret, b"netboot store: seal", hashlib.sha256).digest()

    assert (form, digest) == ("s1", hmac.new(KEY.secret, b"netboot store: digest", hashlib.sha256).hexdigest()[:16])
    assert AESGCM(key).decrypt(data[:12], data[12:], b'["installs", "tokens", "cp1"]') == b"text"


@pytest.mark.parametrize(
    ("column", "row"),
    [
        pytest.param(TOKENS, W1, id="another row"),
        pytest.param(tables.installs.c.target, CP1, id="another column"),
        pytest.param(tables.nodes.c.host, CP1, id="another table"),
        pytest.param(TEXT, {"host": "cp1", "kind": "role"}, id="a key of two columns"),
    ],
)
def test_a_value_that_is_copied_to_another_place_does_not_open_and_is_reported(column, row):
    sealing = Sealing(KEY)
    sealed = sealing.seal("text", TOKENS, CP1)

    assert sealing.open(sealed, column, row) is None
    assert sealing.open(sealed, column, row) is None
    assert str(sealing.problem()).startswith("1 values of the store are not what netboot sealed, see store.value_ref")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda value: value[:-4] + "AAAA", id="another tag"),
        pytest.param(lambda value: value[:30], id="cut"),
        pytest.param(lambda value: value[:24] + "é" + value[25:], id="no base64"),
        pytest.param(lambda value: "s2" + value[2:], id="another format"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "0123456789abcdef" * 2, id="a token in clear"),
    ],
)
def test_a_value_that_was_changed_does_not_open(damage):
    sealing = Sealing(KEY)

    assert sealing.open(damage(sealing.seal("text", TOKENS, CP1)), TOKENS, CP1) is None
    assert sealing.problem() is not None


def test_without_its_key_nothing_opens_and_nothing_is_sealed():
    sealed = Sealing(KEY).seal("text", TOKENS, CP1)
    other, none = Sealing(StoreKey(bytes(32))), Sealing(None, "there is no key; restore it")

    assert other.open(sealed, TOKENS, CP1) is None
    assert none.open(sealed, TOKENS, CP1) is None
    assert (none.key_digest, none.problem()) == ("", "there is no key; restore it")
    with pytest.raises(StoreError, match=r"^there is no key; restore it$"):
        none.seal("text", TOKENS, CP1)


def test_no_representation_shows_the_key():
    assert KEY.secret.hex() not in repr(KEY)
    assert "\\x" not in repr(KEY)


def test_the_digest_of_an_empty_token_is_none():
    """The columns are unique: an empty digest would be that of many hosts."""
    assert token_digest("") is None
    assert token_digest("a" * 32) == "3ba3f5f43b92602683c19aee62a20342b084dd5971ddd33808d81a328879a547"
