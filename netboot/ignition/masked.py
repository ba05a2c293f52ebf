"""Shows a configuration without its secrets: files that only their owner may read, keys, tokens, passwords. Pure."""

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from netboot.ignition.resource import content_of
from netboot.ignition.schema import Json

HIDDEN: Final = "hidden"

_DEFAULT_MODE: Final = 0o644
_OTHERS_READ: Final = 0o044
_SECRET_PATH: Final = re.compile(r"/etc/kubernetes/(.*\.conf|pki/.*)|.*\.key|.*/[^/]*(token|secret)[^/]*")


def masked(config: Json) -> Json:
    """Return a configuration that was read with each secret replaced by its size and SHA-256, or by `hidden`."""
    result = dict(config)
    if "ignition" in config:
        result["ignition"] = _head(config["ignition"])
    if "passwd" in config:
        result["passwd"] = {kind: [_account(each) for each in listed] for kind, listed in config["passwd"].items()}
    if "storage" in config:
        storage = _changed(config["storage"], "files", lambda files: [_file(each) for each in files])
        result["storage"] = _changed(
            storage, "luks", lambda disks: [_changed(each, "keyFile", _hidden) for each in disks]
        )
    return result


def _changed(holder: Json, name: str, change: Callable[[Any], Any]) -> Json:
    return holder | {name: change(holder[name])} if name in holder else holder


def _head(head: Json) -> Json:
    """Hide the configurations that the file holds itself, and the headers of those to fetch."""

    def named(config: Json) -> Json:
        return _changed(_changed(config, "merge", lambda each: list(map(_child, each))), "replace", _child)

    return _changed(head, "config", named)


def _child(resource: Json) -> Json:
    return _hidden(resource) if resource.get("source", "").startswith("data:") else _without_headers(resource)


def _file(file: Json) -> Json:
    is_open = file.get("mode", _DEFAULT_MODE) & _OTHERS_READ and not _SECRET_PATH.fullmatch(file.get("path", ""))
    show = _without_headers if is_open else _hidden
    return _changed(_changed(file, "contents", show), "append", lambda resources: list(map(show, resources)))


def _hidden(resource: Json) -> Json:
    if resource.get("source") is None:
        return resource
    content = content_of(resource)
    if content is None:
        return {"source": HIDDEN}
    return {"source": f"{HIDDEN}, {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"}


def _without_headers(resource: Json) -> Json:
    return _changed(
        resource, "httpHeaders", lambda headers: [_changed(each, "value", lambda _: HIDDEN) for each in headers]
    )


def _account(account: Json) -> Json:
    return _changed(account, "passwordHash", lambda _: HIDDEN)
