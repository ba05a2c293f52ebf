"""Hides secrets and identities in the answers of a BMC, so that a record can be published. Pure.

Secrets are replaced by `hidden`. What identifies a machine (serial numbers, UUIDs, MACs, addresses, names) is replaced
by a value of the same form, the same one wherever it occurs, also in paths: links between resources stay whole.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any, Final

from netboot.model.hidden import HIDDEN, is_name_of_secret

_SECRET: Final = re.compile(r"user_?name|login|chap|communit|licen[cs]e|certificatestring|sshkey|x-auth", re.IGNORECASE)
_IDENTITY: Final = re.compile(
    r"serial|servicetag|servicecode|assettag|nodeid|uuid|guid|hostname|fqdn|domainname|wwn|wwpn|iqn|initiatorname"
    r"|durablename|macaddress|manufacturingid|barcode|^email|contact",
    re.IGNORECASE,
)
_NO_ADDRESS: Final = re.compile(r"version|release|odata|redfish|schema", re.IGNORECASE)  # 7.10.30.00 is no address
_PLACE: Final = frozenset({"Location", "PostalAddress", "Contacts"})
_UUID: Final = re.compile(r"\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b")
_MAC: Final = re.compile(r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b")
_BYTE: Final = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4: Final = re.compile(rf"(?<![\d.]){_BYTE}(?:\.{_BYTE}){{3}}(?![\d.])")
_IPV6: Final = re.compile(r"(?<![\w:])[0-9A-Fa-f:]{3,45}(?![\w:]|\.\d)")  # or what looks like it: ipaddress judges
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", re.DOTALL)
_SHORTEST: Final = 4  # characters of an identity that is searched in other texts
# A search holds the interpreter, and with it the daemon: the longest one takes 20 ms.
MOST_IDENTITIES: Final = 2000
LONGEST_TEXT: Final = 4096  # characters; a longer one is hidden as a whole
_LONGEST_NAME: Final = 256  # of which a name is judged
_KEPT: Final = frozenset(
    {"", "none", "null", "n/a", "na", "unknown", "not specified", "default string", "0.0.0.0", "127.0.0.1", "::", "::1"}
)


class MaskedAnswers:
    """The answers of one BMC, by path, without what is private. `secrets`: texts that are hidden anywhere.

    Of a BMC with too many identities the first answers are kept.
    """

    def __init__(self, answers: Mapping[str, Any], *, secrets: tuple[str, ...] = ()) -> None:
        self._answers: dict[str, Any] = {}
        self._secrets = sorted((text for text in secrets if text), key=len, reverse=True)
        self._found: set[str] = set()  # identities as they are written
        self._stand_ins: dict[str, str] = {}  # by them in small letters
        self._is_full = False
        for path, answer in answers.items():
            self._collect(answer, "")
            self._collect_forms(path)
            if self._is_full:
                break
            self._answers[path] = answer
        known = sorted((text for text in self._found if len(text) >= _SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known)), re.IGNORECASE) if known else None

    def answers(self) -> dict[str, Any]:
        """Return all answers by their paths."""
        return {self._text(path): self.value(answer) for path, answer in self._answers.items()}

    def value(self, value: Any, name: str = "") -> Any:
        """Return a value of an answer; `name` is its key."""
        match value:
            case Mapping():
                return {self._text(key): self.value(each, key) for key, each in value.items()}
            case list() | tuple():
                return [self.value(each, name) for each in value]
            case str() if _is_secret(name) and value.casefold() not in _KEPT:
                return HIDDEN
            case str():
                return self._text(value)
            case _:
                return value

    def _text(self, text: str) -> str:
        if len(text) > LONGEST_TEXT:
            return HIDDEN
        text = _PEM.sub(HIDDEN, text)
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return (
            self._known.sub(lambda found: self._stand_ins.get(found[0].lower(), HIDDEN), text) if self._known else text
        )

    def _collect(self, value: Any, name: str) -> None:
        """Give each identity in an answer its stand-in."""
        match value:
            case Mapping():
                for key, each in value.items():
                    self._collect(each, name if name in _PLACE else key)
            case list():
                for each in value:
                    self._collect(each, name)
            case str() if len(value) > LONGEST_TEXT:
                pass
            case str() if value.startswith("/redfish/"):
                self._collect_forms(value)
            case str() if _IDENTITY.search(name[:_LONGEST_NAME]) or name in _PLACE:
                if not self._collect_forms(value) and value.casefold() not in _KEPT:
                    self._stand_in(value, "IDENTITY{0:04}")
            case str() if not _NO_ADDRESS.search(name[:_LONGEST_NAME]):
                self._collect_forms(value)
            case _:
                pass

    def _collect_forms(self, text: str) -> bool:
        """Give stand-ins to what a text has of UUIDs, MACs and addresses; return whether it is nothing else."""
        found = list(_forms(text))
        for each, form in found:
            if each not in _KEPT:
                self._stand_in(each, form)
        return any(each == text for each, _ in found)

    def _stand_in(self, text: str, form: str) -> None:
        number = len(self._stand_ins) + 1
        if len(self._found) >= MOST_IDENTITIES:
            self._is_full |= text not in self._found
            return
        self._found.add(text)
        self._stand_ins.setdefault(text.lower(), form.format(number, number >> 8, number & 255))


def _forms(text: str) -> Iterator[tuple[str, str]]:
    """Yield each UUID, MAC and address in a text, with the form of its stand-in."""
    for pattern, form in (
        (_UUID, "00000000-0000-4000-8000-{0:012}"),
        (_MAC, "02:00:00:00:{1:02x}:{2:02x}"),
        (_IPV4, "198.18.{1}.{2}"),  # RFC 2544
        (_IPV6, "2001:db8::{0:x}"),
    ):
        yield from ((found[0], form) for found in pattern.finditer(text) if pattern is not _IPV6 or _is_ipv6(found[0]))


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_secret(name: str) -> bool:
    name = name[:_LONGEST_NAME]
    return is_name_of_secret(name) or _SECRET.search(name) is not None
