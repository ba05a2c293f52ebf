"""A BareMetalHost of Metal3 as a host; also MOSK's BareMetalHostInventory, which has the same fields.

Source: `apis/metal3.io/v1alpha1/baremetalhost_types.go` of the baremetal-operator.
"""

from collections.abc import Mapping
from typing import Final

from netboot.model.host.host import Role
from netboot.registry.host_values import is_label
from netboot.registry.importers.bare_metal.imported_bmc import imported_bmc
from netboot.registry.importers.bare_metal.root_disk import root_disk
from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import ImportedHost
from netboot.yamlfile.faults import Faults, shown
from netboot.yamlfile.nodes import Node, Scalar

_READ: Final = frozenset({"bootMACAddress", "bootMode", "rootDeviceHints", "bmc"})
_WITHOUT_MEANING_HERE: Final = frozenset({"online", "externallyProvisioned", "automatedCleaningMode", "consumerRef"})


def bare_metal_host(found: ForeignObject, faults: Faults, *, role: Role | None = None) -> ImportedHost | None:
    """Return the host that an object describes; None with a fault if it has no name or MAC."""
    name = found.needed_text("metadata", "name", faults=faults)
    mac = found.needed_text("spec", "bootMACAddress", faults=faults)
    notes = _boot_mode(found, faults)
    hints = found.entries("spec", "rootDeviceHints")
    disk, disk_notes = root_disk(hints, found.place, faults)
    labels, label_notes = _labels(found)
    if name is None or mac is None:
        return None
    spec = found.entries("spec")
    bmc = None
    if "bmc" in spec:
        bmc, bmc_notes = imported_bmc(found, name)
        notes += bmc_notes
    others = sorted(spec.keys() - _READ - _WITHOUT_MEANING_HERE)
    if others:
        notes.append(f"not taken over: {', '.join(others)}")
    return ImportedHost(
        name,
        mac,
        role=role,
        labels=labels,
        disk=disk,
        bmc=bmc,
        source=found.full_name,
        notes=(*notes, *disk_notes, *label_notes),
    )


def _boot_mode(found: ForeignObject, faults: Faults) -> list[str]:
    mode = found.text("spec", "bootMode")
    match mode.text if mode else "UEFI":
        case "UEFI":
            return []
        case "UEFISecureBoot":
            return ["Secure Boot: a signed loader is needed, as loader: shimx64.efi"]
        case "legacy":
            what, cure = "is legacy, and OCK starts by UEFI only", "set the machine's firmware and bootMode to UEFI"
        case other:
            what, cure = f"{shown(other)} is no boot mode", "write UEFI or UEFISecureBoot"
    if mode is not None:
        faults.add(mode.place, f"{found.full_name} spec.bootMode", what=what, cure=cure)
    return []


def _labels(found: ForeignObject) -> tuple[Mapping[str, Node], list[str]]:
    """Return the labels that a host can have, and a note about the others."""
    labels = found.entries("metadata", "labels")
    taken = {name: value for name, value in labels.items() if isinstance(value, Scalar) and is_label(name, value.text)}
    others = sorted(labels.keys() - taken.keys())
    return taken, [f"labels not taken over, because a host cannot have them: {', '.join(others)}"] if others else []
