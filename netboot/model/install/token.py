"""The tokens for one host's documents in one boot."""

import re
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
from typing import Final

from netboot.model.clock import RandomBytes

HIDDEN_TOKEN: Final = "TOKEN-HIDDEN"  # noqa: S105  what is shown instead of a token
TOKEN_BYTES: Final = 16  # 128 bits
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_SHORTEST_PART: Final = 8  # hex digits of a token; fewer are no help to guess the rest
_TOKEN_BYTES: Final = re.compile(rb"[0-9a-f]{32}")
_HEX: Final = re.compile(rf"(?<![0-9a-f])[0-9a-f]{{{_SHORTEST_PART},}}(?![0-9a-f])")


class TokenKind(StrEnum):
    KICKSTART = "kickstart"
    IGNITION = "ignition"
    REPORT = "report"
    NODE = "node"  # of the installed system, for its reports of updates


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one boot into the installer: 128 random bits in hex each; empty before the first.

    `are_unopened`: there are some, but the store's key does not open them.
    """

    kickstart: str = field(default="", repr=False)
    ignition: str = field(default="", repr=False)
    report: str = field(default="", repr=False)
    node: str = field(default="", repr=False)
    _: KW_ONLY
    are_unopened: bool = field(default=False, repr=False)

    def of(self, kind: TokenKind) -> str:
        tokens = {
            TokenKind.KICKSTART: self.kickstart,
            TokenKind.IGNITION: self.ignition,
            TokenKind.REPORT: self.report,
            TokenKind.NODE: self.node,
        }
        return tokens[kind]


def new_tokens(random_bytes: RandomBytes) -> Tokens:
    """Generate four tokens, one per document or report; `random_bytes` is `secrets.token_bytes` outside of tests."""
    return Tokens(*(random_bytes(TOKEN_BYTES).hex() for _ in TokenKind))


def hidden_in(text: str, tokens: Tokens) -> str:
    """Remove the tokens of one install from a text that will be stored and shown."""
    for kind in TokenKind:
        if token := tokens.of(kind):
            text = text.replace(token, HIDDEN_TOKEN)
    return text


def without_tokens(line: str, tokens: Tokens) -> str:
    """Hide the tokens of one install in a line of a log, any other token, and what is a part of one of these tokens.

    A client may send a long line in pieces: iPXE sends 127 characters in each message. Hex digits beside a token are
    hidden with it.
    """
    known = [token for kind in TokenKind if (token := tokens.of(kind))]

    def hidden(found: re.Match[str]) -> str:
        digits = found[0]
        is_token = len(digits) == 2 * TOKEN_BYTES or any(digits in token or token in digits for token in known)
        return HIDDEN_TOKEN if is_token else digits

    return _HEX.sub(hidden, line)


def without_tokens_in_bytes(data: bytes) -> bytes:
    """Replace what can be a token in a packet; the length stays."""
    return _TOKEN_BYTES.sub(b"x" * 2 * TOKEN_BYTES, data)


def without_any_token(text: str) -> str:
    """Hide what can be a token of any install, in a short text that a machine sent."""
    return without_tokens(text, Tokens())


def is_well_formed(token: str) -> bool:
    """Return whether a text can be a token, so that other texts cause no query of the store."""
    return _TOKEN.fullmatch(token) is not None
