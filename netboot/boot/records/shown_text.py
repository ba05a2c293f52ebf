"""Hides secrets in what a machine sent, before it is stored. Pure.

`values` are the secrets of the host's declaration.
"""

from collections.abc import Sequence

from netboot.model import urls
from netboot.model.hidden import without_secrets
from netboot.model.host.host_secrets import without_values
from netboot.model.install.token import Tokens, hidden_in, without_tokens
from netboot.model.words import printable


def shown(text: str, tokens: Tokens, values: Sequence[str] = ()) -> str:
    """Return a machine's text as it is stored: printable, and without tokens and other secrets."""
    hidden = without_values(without_tokens(printable(text), tokens), values)
    return without_secrets(urls.without_tokens_in_paths(hidden))


def report_shown(report: str, tokens: Tokens, values: Sequence[str] = ()) -> str:
    """Return a report, each line so; of tokens only those of the install: names of disks have as many hex digits."""
    hidden = without_values(hidden_in(printable(report), tokens), values)
    return "\n".join(without_secrets(urls.without_tokens_in_paths(line)) for line in hidden.split("\n"))
