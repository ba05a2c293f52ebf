"""Metal3: each BareMetalHost is a host. Its role is in no field."""

from collections.abc import Sequence

from netboot.registry.importers.bare_metal.bare_metal_host import bare_metal_host
from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import Imported
from netboot.yamlfile.faults import Faults

KINDS = frozenset({"BareMetalHost"})


def metal3_hosts(objects: Sequence[ForeignObject], faults: Faults) -> Imported:
    """Return the hosts of the objects."""
    hosts = [bare_metal_host(each, faults) for each in objects]
    return Imported(hosts=[host for host in hosts if host is not None])
