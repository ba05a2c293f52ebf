"""What machines say of themselves, as it may be shown: a vendor class, the end of an installer's log."""


def plain(text: str) -> str:
    """Make text that a machine sent fit for a terminal: nothing is left in it that one would obey."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text)
