"""GRUB's `test` and `[ ... ]`. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

_BINARY: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "=": str.__eq__,
    "==": str.__eq__,
    "!=": str.__ne__,
    "<": str.__lt__,
    ">": str.__gt__,
    "-eq": lambda one, other: number(one) == number(other),
    "-ne": lambda one, other: number(one) != number(other),
    "-lt": lambda one, other: number(one) < number(other),
    "-le": lambda one, other: number(one) <= number(other),
    "-gt": lambda one, other: number(one) > number(other),
    "-ge": lambda one, other: number(one) >= number(other),
}
_UNARY: Final[Mapping[str, Callable[[str], bool]]] = {
    "-n": bool,
    "-z": lambda text: not text,
    **dict.fromkeys(("-d", "-e", "-f", "-s"), lambda _: False),  # GRUB lists no directory of a network device
}


def number(text: str) -> int:
    """Read a decimal number; 0 for anything else."""
    digits = text.removeprefix("-")
    value = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else 0
    return -value if text.startswith("-") else value


def is_true(words: Sequence[str]) -> bool:
    """Evaluate the words of a condition; `-o` binds weaker than `-a`."""
    if "-o" in words:
        at = words.index("-o")
        return is_true(words[:at]) or is_true(words[at + 1 :])
    if "-a" in words:
        at = words.index("-a")
        return is_true(words[:at]) and is_true(words[at + 1 :])
    match words:
        case ["!", *rest]:
            return not is_true(rest)
        case [operator, operand] if operator in _UNARY:
            return _UNARY[operator](operand)
        case [one, operator, other] if operator in _BINARY:
            return _BINARY[operator](one, other)
        case [text]:
            return bool(text)
        case _:
            return False
