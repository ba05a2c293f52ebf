"""Reads bytes as the JSON that Ignition accepts: UTF-8 without BOM, no NaN, no repeated keys (RFC 8259).

Go's decoder, which Ignition uses, replaces invalid UTF-8 and silently uses the last of two equal keys; here both
are refused, because the installed configuration would differ from the file.
"""

import json
import re
from collections import Counter
from typing import Final, NoReturn

from netboot.ignition.problem import IgnitionProblem

CURE: Final = "give what `ocne cluster start` or `ocne cluster join` printed on stdout"

_STRING_OR_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
_BOMS: Final = (  # the longer ones first: UTF-32 little endian begins as UTF-16 does
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


class JsonObject(dict[str, object]):
    """An object by case-folded key, because Go's decoder ignores case; `repeated` has each key that occurs twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__((key.casefold(), value) for key, value in pairs)
        counts = Counter(key.casefold() for key, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = sorted(key for key, count in counts.items() if count > 1)


class _ConstantError(Exception):
    """NaN, Infinity or -Infinity, which Python reads and JSON does not have."""


def parse(data: bytes) -> JsonObject | IgnitionProblem:
    """Return the object that a file holds, or the reason why there is none."""
    if not data.strip(b"\0"):
        return IgnitionProblem("", "holds nothing but NUL bytes" if data else "is empty", CURE)
    text = _decode(data)
    if isinstance(text, IgnitionProblem):
        return text
    if not text.strip():
        return IgnitionProblem("", "is empty", CURE)
    try:
        document = json.loads(text, object_pairs_hook=JsonObject, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        return IgnitionProblem("", f"is not JSON ({error.msg})", CURE, error.lineno, error.colno)
    except _ConstantError:
        return _constant_in(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number with thousands of digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        return IgnitionProblem("", f"is not JSON that can be read ({reason})", CURE)
    if not isinstance(document, JsonObject):
        return IgnitionProblem("", f"holds {json_type(document)} instead of an object", CURE)
    return document


def json_type(value: object) -> str:
    """Name the JSON type of a parsed value, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def _refuse_constant(_name: str) -> NoReturn:
    raise _ConstantError


def _constant_in(text: str) -> IgnitionProblem:
    """Find the constant that the decoder stopped at: the first that is not part of a string."""
    found = next(match for match in _STRING_OR_CONSTANT.finditer(text) if match[1])
    return IgnitionProblem(
        "", f"{found[1]} is not a JSON value", "write a number or remove the key", *_position(text, found.start())
    )


def _decode(data: bytes) -> str | IgnitionProblem:
    if data.startswith(b"\x1f\x8b"):  # RFC 1952 §2.3.1
        return IgnitionProblem("", "is compressed with gzip", "gunzip -c FILE > NEW unpacks it")
    if data.startswith(b"\xef\xbb\xbf"):
        return IgnitionProblem(
            "",
            "begins with a UTF-8 byte order mark, which Ignition refuses",
            r"sed -i '1s/^\xEF\xBB\xBF//' FILE removes it",
        )
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), None)
    if encoding is None and b"\x00" in data[:4]:
        order = "BE" if data[0] == 0 else "LE"  # iconv needs it if there is no byte order mark
        encoding = f"UTF-32{order}" if data[:4].count(0) == 3 else f"UTF-16{order}"
    if encoding is not None:
        what = f"is {encoding}, and Ignition takes UTF-8"
        cure = f"iconv -f {encoding} -t UTF-8 FILE converts it (PowerShell 5 redirects as UTF-16)"
        return IgnitionProblem("", what, cure)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = _position(before, len(before))
        what = f"is not UTF-8 (byte 0x{data[error.start]:02x})"
        return IgnitionProblem(
            "", what, "save it as UTF-8; iconv -f LATIN1 -t UTF-8 FILE converts Latin-1", line, column
        )


def _position(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
