"""The fields of an Ignition configuration, specifications 3.0 to 3.6, and their JSON types.

Sources: coreos/ignition v2.16.2, config/v3_0 to v3_4, `types/schema.go`; v2.26 for 3.5 and 3.6. A key that a
specification does not have is ignored by Ignition, and so it is here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from netboot.ignition.json_text import JsonObject, json_type
from netboot.ignition.problem import Problems
from netboot.yamlfile.faults import shown

Json = dict[str, Any]

_INT64: Final = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Since:
    """A field that came with specification 3.`minor`."""

    minor: int
    kind: "Kind"


@dataclass(frozen=True, slots=True)
class Many:
    """A list. Two entries with the same `key` are refused, unless it is None; a list of strings has itself as key.

    Lists of one object that have the same `group` must not have a key in common either.
    """

    item: "Kind"
    key: str | None = ""
    group: str = ""


Kind = type[str] | type[int] | type[bool] | Many | Since | Mapping[str, Any]

_RESOURCE: Final = {
    "compression": str,
    "httpHeaders": Since(1, Many({"name": str, "value": str}, "name")),
    "source": str,
    "verification": {"hash": str},
}
_OWNER: Final = {"id": int, "name": str}
_NODE: Final = {"path": str, "overwrite": bool, "user": _OWNER, "group": _OWNER}
_FILE: Final = {**_NODE, "contents": _RESOURCE, "append": Many(_RESOURCE, None), "mode": int}
_LINK: Final = {**_NODE, "target": str, "hard": bool}
_PARTITION: Final = {
    "guid": str, "label": str, "number": int, "resize": Since(2, bool), "shouldExist": bool, "sizeMiB": int,
    "startMiB": int, "typeGuid": str, "wipePartitionEntry": bool,
}  # fmt: skip
_FILESYSTEM: Final = {
    "device": str, "format": str, "label": str, "mountOptions": Since(1, Many(str, None)), "options": Many(str, None),
    "path": str, "uuid": str, "wipeFilesystem": bool,
}  # fmt: skip
_TANG: Final = {"url": str, "thumbprint": str, "advertisement": Since(4, str)}
_CLEVIS: Final = {
    "custom": {"config": str, "needsNetwork": bool, "pin": str},
    "tang": Many(_TANG, "url"),
    "threshold": int,
    "tpm2": bool,
}
_LUKS: Final = {
    "cex": Since(5, {"enabled": bool}), "clevis": _CLEVIS, "device": str, "discard": Since(4, bool),
    "keyFile": _RESOURCE, "label": str, "name": str, "openOptions": Since(4, Many(str)), "options": Many(str, None),
    "uuid": str, "wipeVolume": bool,
}  # fmt: skip
_RAID: Final = {"devices": Many(str), "level": str, "name": str, "options": Many(str, None), "spares": int}
_USER: Final = {
    "gecos": str, "groups": Many(str), "homeDir": str, "name": str, "noCreateHome": bool, "noLogInit": bool,
    "noUserGroup": bool, "passwordHash": str, "primaryGroup": str, "sshAuthorizedKeys": Many(str), "shell": str,
    "shouldExist": Since(2, bool), "system": bool, "uid": int,
}  # fmt: skip
_GROUP: Final = {"gid": int, "name": str, "passwordHash": str, "shouldExist": Since(2, bool), "system": bool}
_DROPIN: Final = {"contents": str, "name": str}
_UNIT: Final = {"contents": str, "dropins": Many(_DROPIN, "name"), "enabled": bool, "mask": bool, "name": str}
CONFIG: Final = {
    "ignition": {
        "config": {"merge": Many(_RESOURCE, "source"), "replace": _RESOURCE},
        "proxy": Since(1, {"httpProxy": str, "httpsProxy": str, "noProxy": Many(str)}),
        "security": {"tls": {"certificateAuthorities": Many(_RESOURCE, "source")}},
        "timeouts": {"httpResponseHeaders": int, "httpTotal": int},
        "version": str,
    },
    "kernelArguments": Since(3, dict.fromkeys(("shouldExist", "shouldNotExist"), Many(str, group="kernel"))),
    "passwd": {"groups": Many(_GROUP, "name"), "users": Many(_USER, "name")},
    "storage": {
        "directories": Many({**_NODE, "mode": int}, "path", "path"),
        "files": Many(_FILE, "path", "path"),
        "links": Many(_LINK, "path", "path"),
        "disks": Many({"device": str, "partitions": Many(_PARTITION, None), "wipeTable": bool}, "device"),
        "filesystems": Many(_FILESYSTEM, "device"),
        "luks": Since(2, Many(_LUKS, "name")),
        "raid": Many(_RAID, "name"),
    },
    "systemd": {"units": Many(_UNIT, "name")},
}  # fmt: skip


def entries(item: Json, path: str, pointer: str = "") -> Iterator[tuple[Json, str]]:
    """Yield each object in the list at `path` of `item`, and its pointer, which begins with the item's `pointer`."""
    *parents, name = path.split("/")
    for parent in parents:
        item = item.get(parent, {})
    for index, entry in enumerate(item.get(name, [])):
        yield entry, f"{pointer}/{path}/{index}"


def fit(document: JsonObject, *, minor: int, problems: Problems) -> Json:
    """Return the fields of a configuration that specification 3.`minor` has; a problem for each of the wrong type.

    A null counts as an absent key, as it does for Go's decoder.
    """
    return cast(Json, _Fit(minor, problems).value(document, CONFIG, ""))


@dataclass(frozen=True, slots=True)
class _Fit:
    minor: int
    problems: Problems

    def value(self, value: object, kind: Kind, pointer: str) -> object:
        match kind:
            case Since(kind=inner):
                return self.value(value, inner, pointer)
            case Many():
                if isinstance(value, list):
                    return [self.value(item, kind.item, f"{pointer}/{index}") for index, item in enumerate(value)]
                self._refuse_type(pointer, value, "a list")
                return []
            case type():
                return self._scalar(value, kind, pointer)
            case _:
                return self._object(value, kind, pointer)

    def _object(self, value: object, fields: Mapping[str, Kind], pointer: str) -> Json:
        if value is None:
            return {}
        if not isinstance(value, JsonObject):
            self._refuse_type(pointer, value, "an object")
            return {}
        for key in value.repeated:
            self.problems.add(pointer, f"has the key {shown(key)} twice", cure="keep one of the two")
        known: Json = {}
        for name, kind in fields.items():
            given = value.get(name.casefold())
            if given is not None and not (isinstance(kind, Since) and self.minor < kind.minor):
                known[name] = self.value(given, kind, f"{pointer}/{name}")
        self._refuse_duplicates(known, fields, pointer)
        return known

    def _scalar(self, value: object, kind: type[str] | type[int] | type[bool], pointer: str) -> object:
        if value is None:
            return kind()
        if type(value) is kind and (kind is not int or value in _INT64):
            return value
        expected = {str: "a string", int: "a whole number", bool: "true or false"}[kind]
        self._refuse_type(pointer, value, expected)
        return kind()

    def _refuse_type(self, pointer: str, value: object, expected: str) -> None:
        found = json_type(value)
        if found == "a number" and expected == "a whole number":
            found = "a fraction or out of range"
        self.problems.add(pointer, f"is {found} instead of {expected}", cure=f"write {expected}")

    def _refuse_duplicates(self, known: Json, fields: Mapping[str, Kind], pointer: str) -> None:
        first: dict[tuple[str, str], str] = {}
        for name, values in known.items():
            kind = fields[name]
            kind = kind.kind if isinstance(kind, Since) else kind
            if not isinstance(kind, Many) or kind.key is None:
                continue
            for index, item in enumerate(values):
                key = item.get(kind.key, "") if isinstance(item, dict) else item
                place = f"{pointer}/{name}/{index}"
                earlier = first.setdefault((kind.group or name, key), place)
                if earlier is not place:
                    what = f"has the same {kind.key or 'value'} as {earlier}"
                    self.problems.add(place, what, cure="keep one of the two")
