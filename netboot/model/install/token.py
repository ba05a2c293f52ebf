"""The tokens for one host's documents in one boot."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from netboot.model.clock import RandomBytes

HIDDEN_TOKEN: Final = "TOKEN-HIDDEN"  # noqa: S105  what is shown instead of a token
TOKEN_BYTES: Final = 16  # 128 bits
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


class TokenKind(StrEnum):
    KICKSTART = "kickstart"
    IGNITION = "ignition"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one boot into the installer: 128 random bits in hex each; empty before the first."""

    kickstart: str = field(default="", repr=False)
    ignition: str = field(default="", repr=False)
    report: str = field(default="", repr=False)

    def of(self, kind: TokenKind) -> str:
        tokens = {
            TokenKind.KICKSTART: self.kickstart,
            TokenKind.IGNITION: self.ignition,
            TokenKind.REPORT: self.report,
        }
        return tokens[kind]


def new_tokens(random_bytes: RandomBytes) -> Tokens:
    """Generate three tokens, one per document; `random_bytes` is `secrets.token_bytes` outside of tests."""
    return Tokens(*(random_bytes(TOKEN_BYTES).hex() for _ in TokenKind))


def hidden_in(text: str, tokens: Tokens) -> str:
    """Remove the tokens of one install from a text that will be stored and shown."""
    for kind in TokenKind:
        if token := tokens.of(kind):
            text = text.replace(token, HIDDEN_TOKEN)
    return text


def is_well_formed(token: str) -> bool:
    """Return whether a text can be a token, so that other texts cause no query of the store."""
    return _TOKEN.fullmatch(token) is not None
