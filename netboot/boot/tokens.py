"""The capabilities that open one host's documents in one boot."""

import re
from typing import Final

from netboot.model.clock import RandomBytes
from netboot.model.install.install import Tokens

TOKEN_BYTES: Final = 16  # 128 bits
_TOKEN = re.compile(r"[0-9a-f]{32}")


def draw(random_bytes: RandomBytes) -> Tokens:
    """Draw three tokens, one per document; `random_bytes` is `secrets.token_bytes` outside of tests."""
    return Tokens(
        kickstart=random_bytes(TOKEN_BYTES).hex(),
        ignition=random_bytes(TOKEN_BYTES).hex(),
        report=random_bytes(TOKEN_BYTES).hex(),
    )


def hidden_in(text: str, tokens: Tokens) -> str:
    """Take the tokens of one install out of a text that will be kept and shown."""
    for token in (tokens.kickstart, tokens.ignition, tokens.report):
        if token:
            text = text.replace(token, "TOKEN-HIDDEN")
    return text


def is_well_formed(token: str) -> bool:
    """Tell a possible token from noise, so that noise costs no look into the store."""
    return _TOKEN.fullmatch(token) is not None
