"""Hides secrets in text that is stored or shown: users in URLs, passwords, keys, tokens of clusters. Pure.

Recognises forms, and needs no secret itself. The tokens of an install are hidden by `model.install.token`.
"""

import re
from typing import Final

HIDDEN: Final = "hidden"

_USER: Final = re.compile(r"(?<=://)[^/?#\s@\"']{1,512}@")  # and password, in a URL (RFC 3986 §3.2.1)
_NAME: Final = re.compile(r"(?<!\w)\w+=")
_VALUE: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"']*")
_SECRET_NAME: Final = re.compile(r"passw|secret|token|credential", re.IGNORECASE)
# What a program prints: options with a secret, as kubeadm prints to join a node; a header of HTTP; a hash of crypt(5).
_OPTION: Final = re.compile(r"(--(?:token|certificate-key|password|passphrase)[= ])[^\s\"']+", re.IGNORECASE)
# A member of a JSON object, as `"password": "value"`; `auth` is that of a file with logins to registries.
_MEMBER: Final = re.compile(r'("([^"\s]{1,64})"\s{0,8}:\s{0,8}")(?:[^"\\]|\\.)*')
_CREDENTIALS: Final = re.compile(r"\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}")
_BOOTSTRAP_TOKEN: Final = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")  # kubeadm's
_CRYPT: Final = re.compile(r"\$(?:[1256y]|2[aby]|argon2\w{1,2})\$[^\s\"']+")
# A line of a PEM file; the key that `kubeadm init phase upload-certs` prints on a line of its own.
_LINE_OF_KEY: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/]{40,76}={0,2}|[0-9a-f]{64}")


def without_users(text: str) -> str:
    """Hide users and passwords of URLs."""
    return _USER.sub(f"{HIDDEN}@", text)


def without_assigned(text: str) -> str:
    """Hide what is assigned to the name of a secret: `NAME=value`, `NAME="a value"`, `"NAME=a value"`."""
    parts, end = list[str](), 0
    for name in _NAME.finditer(text):
        if name.start() >= end and _SECRET_NAME.search(name[0]):
            parts += [text[end : name.end()], HIDDEN]
            end = _end_of_value(text, name)
    return "".join([*parts, text[end:]])


def _end_of_value(text: str, name: re.Match[str]) -> int:
    """Return where a value ends: at the quote that began before its name, else behind its own quotes, or at a blank."""
    quote = text[name.start() - 1 : name.start()]
    if quote not in ('"', "'"):
        value = _VALUE.match(text, name.end())
        return value.end() if value else name.end()
    end = text.find(quote, name.end())
    return len(text) if end < 0 else end


def _without_members(text: str) -> str:
    """Hide the values of members of JSON objects that are named as secrets."""

    def hidden(member: re.Match[str]) -> str:
        is_secret = member[2] == "auth" or _SECRET_NAME.search(member[2])
        return f"{member[1]}{HIDDEN}" if is_secret else member[0]

    return _MEMBER.sub(hidden, text)


def without_secrets(line: str) -> str:
    """Hide every form of a secret in one line that a program printed."""
    if _LINE_OF_KEY.fullmatch(line.strip()):
        return HIDDEN
    line = _without_members(without_assigned(without_users(line)))
    line = _CREDENTIALS.sub(rf"\1 {HIDDEN}", _OPTION.sub(rf"\1{HIDDEN}", line))
    return _CRYPT.sub(HIDDEN, _BOOTSTRAP_TOKEN.sub(HIDDEN, line))
