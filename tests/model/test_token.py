"""Tokens are 128 random bits each, are hidden in a text that is stored, and are recognised by their form."""

import pytest

from netboot.model.install.token import HIDDEN_TOKEN, TokenKind, Tokens, hidden_in, is_well_formed, new_tokens

DRAWN = Tokens(kickstart="01" * 16, ignition="02" * 16, report="03" * 16, node="04" * 16)


def test_four_tokens_are_generated_from_64_random_bytes():
    draws = iter(range(1, 5))

    assert new_tokens(lambda count: bytes([next(draws)]) * count) == DRAWN


def test_each_kind_of_document_has_its_own_token():
    assert [DRAWN.of(kind) for kind in TokenKind] == [DRAWN.kickstart, DRAWN.ignition, DRAWN.report, DRAWN.node]


def test_the_tokens_of_an_install_are_hidden_in_a_text():
    text = "/ks/{} /ign/{} /report/{}/done /node/{}"
    shown = text.format(DRAWN.kickstart, DRAWN.ignition, DRAWN.report, DRAWN.node)

    assert hidden_in(shown, DRAWN) == text.format(*[HIDDEN_TOKEN] * 4)
    assert hidden_in(shown, Tokens()) == shown
    assert not any(token in repr(DRAWN) for token in (DRAWN.kickstart, DRAWN.ignition, DRAWN.report, DRAWN.node))


@pytest.mark.parametrize(
    ("text", "is_token"),
    [("0" * 32, True), ("0123456789abcdef" * 2, True), ("0" * 31, False), ("0" * 33, False), ("G" * 32, False)],
)
def test_a_token_is_32_lower_case_hexadecimal_digits(text: str, is_token: bool):
    assert is_well_formed(text) is is_token
