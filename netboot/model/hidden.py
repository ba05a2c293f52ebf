"""Hides secrets in text that is stored or shown: users in URLs, passwords, keys, tokens of clusters. Pure.

Recognises forms, and needs no secret itself. The tokens of an install are hidden by `model.install.token`.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

HIDDEN: Final = "hidden"

_USER: Final = re.compile(r"(?<=://)[^/?#\s@\"']{1,512}@")  # and password, in a URL (RFC 3986 §3.2.1)
_WORD: Final = r"(?:\"[^\"]*\"|'[^']*'|[^\s\"']+)+"
_NAME: Final = re.compile(r"(?<!\w)\w+=")
_VALUE: Final = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"']*")
_SECRET_NAME: Final = re.compile(
    r"passw|passphrase|passcode|secret|token|credential|(?:api|access|certificate|encryption|pre_?shared|private)_?key"
    r"|(?<![a-z])(?:sig|signature|psk)(?![a-z])",
    re.IGNORECASE,
)
# What a program prints: options with a secret, as kubeadm prints to join a node, and as a Kickstart has them.
_OPTION: Final = re.compile(
    rf"(--(?:token|certificate-key|password|passphrase)[= ]|--(?:iscrypted|plaintext) +(?!-)){_WORD}", re.IGNORECASE
)
_ROOT_PASSWORD: Final = re.compile(rf"((?:^|[\s:])rootpw +)(?!-){_WORD}")  # without an option, of a Kickstart
# A line of YAML, as kubeadm's `certificateKey: value`, also behind the name of the program that printed it.
_LINE_OF_YAML: Final = re.compile(r"(\s*(?:[\w./-]{1,64}: )?(?:- )?([A-Za-z_][\w-]{0,63}):[ \t]{1,8})\S.*", re.DOTALL)
_DATA_URL: Final = re.compile(r"(\bdata:[\w/+.=;-]{0,128},)[^\s\"'\\]+")  # the content of a file, in an Ignition file
# A member of a JSON object, as `"password": "value"`; `auth` is that of a file with logins to registries.
_MEMBER: Final = re.compile(r'("([^"\s]{1,64})"\s{0,8}:\s{0,8}")(?:[^"\\]|\\.)*')
_CREDENTIALS: Final = re.compile(r"\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}")
_BOOTSTRAP_TOKEN: Final = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")  # kubeadm's
_API_TOKEN: Final = re.compile(r"\bnb_[A-Za-z0-9_-]{43}")  # of this appliance's administration
_CRYPT: Final = re.compile(r"\$(?:[1256y]|2[aby]|argon2\w{1,2})\$[^\s\"'$]+\$[^\s\"']+")
# A line of a PEM file; the key that `kubeadm init phase upload-certs` prints on a line of its own.
_LINE_OF_KEY: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9+/]{40,}={0,2}|[0-9a-f]{64}")


def without_users(text: str) -> str:
    """Hide users and passwords of URLs."""
    return _USER.sub(f"{HIDDEN}@", text)


def without_assigned(text: str) -> str:
    """Hide what is assigned to the name of a secret: `NAME=value`, `NAME="a value"`, `"NAME=a value"`."""
    parts, end = list[str](), 0
    for name in _NAME.finditer(text):
        if name.start() >= end and is_name_of_secret(name[0]):
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
        is_secret = member[2] == "auth" or is_name_of_secret(member[2])
        return f"{member[1]}{HIDDEN}" if is_secret else member[0]

    return _MEMBER.sub(hidden, text)


def _without_value_of_yaml(line: str) -> str:
    found = _LINE_OF_YAML.fullmatch(line)
    return f"{found[1]}{HIDDEN}" if found is not None and is_name_of_secret(found[2]) else line


def is_name_of_secret(name: str) -> bool:
    """Return whether the value of a variable or setting with this name is a secret."""
    return _SECRET_NAME.search(name) is not None


def without_secrets(line: str) -> str:
    """Hide every form of a secret in one line that a program printed."""
    if _LINE_OF_KEY.fullmatch(line.strip()):
        return HIDDEN
    return _without_forms(_DATA_URL.sub(rf"\1{HIDDEN}", line))


def without_secrets_in(document: str) -> str:
    """Hide passwords, their hashes and tokens of clusters in each line of a document; leave certificates and files."""
    return "\n".join(map(_without_forms, document.split("\n")))


# Each form with characters that it always has: most lines have few of them, and a search for these is cheap.
_FORMS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
    ("@", without_users),
    ("=", without_assigned),
    ('"', _without_members),
    ("--", partial(_OPTION.sub, rf"\1{HIDDEN}")),
    ("B", partial(_CREDENTIALS.sub, rf"\1 {HIDDEN}")),
    (":", _without_value_of_yaml),
    ("rootpw", partial(_ROOT_PASSWORD.sub, rf"\1{HIDDEN}")),
    (".", partial(_BOOTSTRAP_TOKEN.sub, HIDDEN)),
    ("nb_", partial(_API_TOKEN.sub, HIDDEN)),
    ("$", partial(_CRYPT.sub, HIDDEN)),
)


def _without_forms(line: str) -> str:
    for characters, hide in _FORMS:
        if characters in line:
            line = hide(line)
    return line
