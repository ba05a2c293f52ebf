"""Reads bytes as the JSON that Ignition accepts: UTF-8 without BOM, no NaN, no repeated keys (RFC 8259).

Go's decoder, which Ignition uses, replaces invalid UTF-8 and silently uses the last of two equal keys; here both
are refused, because the installed configuration would differ from the file.
"""

import json
import re
from collections import Counter
from typing import Final

from netboot.ignition.problem import IgnitionProblem
from netboot.yamlfile.faults import position

CURE: Final = "give what `ocne cluster start` or `ocne cluster join` printed on stdout"

_STRING_OR_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')
_TYPES: Final = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list"}


class JsonObject(dict[str, object]):
    """An object by case-folded key, because Go's decoder ignores case; `repeated` has each key that occurs twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__((key.casefold(), value) for key, value in pairs)
        counts = Counter(key.casefold() for key, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = sorted(key for key, count in counts.items() if count > 1)


def parse(data: bytes) -> JsonObject | IgnitionProblem:
    """Return the object that a file holds, or the reason why there is none."""
    if not data.strip(b"\0"):
        return IgnitionProblem("", "holds nothing but NUL bytes" if data else "is empty", CURE)
    text = _decode(data)
    if isinstance(text, IgnitionProblem):
        return text
    if not text.strip():
        return IgnitionProblem("", "is empty", CURE)
    constants: list[str] = []  # NaN, Infinity or -Infinity, which Python reads and JSON does not have
    try:
        document = json.loads(text, object_pairs_hook=JsonObject, parse_constant=constants.append)
    except json.JSONDecodeError as error:
        return IgnitionProblem("", f"is not JSON ({error.msg})", CURE, error.lineno, error.colno)
    except (ValueError, RecursionError) as error:  # ValueError: a number with thousands of digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        return IgnitionProblem("", f"is not JSON that can be read ({reason})", CURE)
    if constants:
        return _constant_in(text)
    if not isinstance(document, JsonObject):
        return IgnitionProblem("", f"holds {json_type(document)} instead of an object", CURE)
    return document


def json_type(value: object) -> str:
    """Name the JSON type of a parsed value, with its article."""
    return "null" if value is None else _TYPES.get(type(value), "an object")


def _constant_in(text: str) -> IgnitionProblem:
    """Find the first constant that is not part of a string."""
    found = next(match for match in _STRING_OR_CONSTANT.finditer(text) if match[1])
    line, column = position(text, found.start())
    return IgnitionProblem("", f"{found[1]} is not a JSON value", "write a number or remove the key", line, column)


def _decode(data: bytes) -> str | IgnitionProblem:
    if data.startswith(b"\x1f\x8b"):  # RFC 1952 §2.3.1
        return IgnitionProblem("", "is compressed with gzip", "gunzip -c FILE > NEW unpacks it")
    encoding = json.detect_encoding(data).upper().replace("-BE", "BE").replace("-LE", "LE")  # as iconv names it
    if encoding == "UTF-8-SIG":
        what = "begins with a UTF-8 byte order mark, which Ignition refuses"
        return IgnitionProblem("", what, r"sed -i '1s/^\xEF\xBB\xBF//' FILE removes it")
    if encoding != "UTF-8":
        what = f"is {encoding}, and Ignition takes UTF-8"
        cure = f"iconv -f {encoding} -t UTF-8 FILE converts it (PowerShell 5 redirects as UTF-16)"
        return IgnitionProblem("", what, cure)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = position(before, len(before))
        what = f"is not UTF-8 (byte 0x{data[error.start]:02x})"
        cure = "save it as UTF-8; iconv -f LATIN1 -t UTF-8 FILE converts Latin-1"
        return IgnitionProblem("", what, cure, line, column)
