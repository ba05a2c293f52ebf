"""The configuration of `ocne` for the provider `byo`: the name of the cluster, and the file itself."""

from collections.abc import Sequence
from pathlib import Path

from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import Imported, text
from netboot.yamlfile.faults import Faults


def byo_cluster(objects: Sequence[ForeignObject], faults: Faults) -> Imported:
    """Return the cluster of a byo.yaml. Its other values are in the Ignition files of `ocne`, which are compared."""
    name = objects[0].needed_text("name", faults=faults)
    byo = text(objects[0].place, str(Path(objects[0].place.file).absolute()))
    return Imported(clusters=[name] if name else [], byo=byo)
