"""The root device hints of Ironic and Metal3 as the disk of a host.

Source: `pkg/provisioner/ironic/devicehints` of the baremetal-operator, and Ironic's root device hints: all hints must
hold, and a size is in GiB.
"""

from collections.abc import Mapping
from typing import Final

from netboot.registry.importers.imported import table, text
from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.nodes import Node, Scalar

# Each hint with the key of `disk`, of those that a rule can have.
_KEYS: Final = {
    "serialNumber": "serial",
    "wwn": "wwn",
    "wwnWithExtension": "wwn",
    "model": "model",
    "minSizeGigabytes": "min_size",
    "rotational": "rotational",
}
_IDENTIFYING: Final = frozenset({"serial", "wwn"})  # of no two disks


def root_disk(hints: Mapping[str, Node], place: Place, faults: Faults) -> tuple[Node | None, list[str]]:
    """Return the disk that the hints describe, and notes about hints that it does not have.

    A hint that a host cannot have is left out only if another identifies the disk; else no disk is returned, because
    the others alone could fit a disk that the hints exclude.
    """
    given: dict[str, Scalar] = {}
    for name, value in hints.items():
        if not isinstance(value, Scalar):
            cure = "write a single word, number or path"
            faults.add(value.place, f"rootDeviceHints.{name}", what="must be one value", cure=cure)
        elif value.text and not value.is_null:
            given[name] = value
    path = given.pop("deviceName", None)
    if path is not None:
        return path, [f"rootDeviceHints.{name} not taken over: deviceName names one disk" for name in sorted(given)]
    rule: dict[str, Node] = {_KEYS[name]: _as_written(name, value) for name, value in given.items() if name in _KEYS}
    others = sorted(given.keys() - _KEYS.keys())
    notes = [f"rootDeviceHints.{name} not taken over: disk has no such key" for name in others]
    if others and not rule.keys() & _IDENTIFYING:
        return None, [*notes, "disk not written: without these hints another disk could fit; write disk"]
    if "model" in rule:
        notes.append("rootDeviceHints.model can be any part of the model; disk.model is how it begins: check it")
    return (table(place, rule) if rule else None), notes


def _as_written(name: str, value: Scalar) -> Scalar:
    return text(value.place, f"{value.text}GiB") if name == "minSizeGigabytes" else value
