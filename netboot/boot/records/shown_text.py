"""Hides secrets in what a machine sent, before it is stored. Pure."""

from netboot.model import urls
from netboot.model.hidden import without_secrets
from netboot.model.install.token import Tokens, without_tokens
from netboot.model.words import printable


def shown(text: str, tokens: Tokens) -> str:
    """Return a machine's text as it is stored: printable, and without tokens and other secrets."""
    return without_secrets(urls.without_tokens_in_paths(without_tokens(printable(text), tokens)))
