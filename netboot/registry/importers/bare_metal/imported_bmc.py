"""The BMC of a host of Metal3 or MOSK: its address becomes the key `bmc`, its credentials stay where they are.

Source of the addresses: `docs/BMO-BMC-addresses` of the baremetal-operator: `TYPE[+http|+https]://HOST[:PORT][/PATH]`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netboot.registry.importers.foreign_object import ForeignObject
from netboot.registry.importers.imported import table
from netboot.registry.sections.bmc_section import is_bmc_system, is_bmc_url
from netboot.yamlfile.nodes import Node, Scalar, find

_ADDRESS: Final = re.compile(
    r"(?:redfish|redfish-virtualmedia|redfish-uefihttp|idrac-redfish|idrac-virtualmedia|ilo5-redfish|ilo5-virtualmedia)"
    r"(?:\+(?P<scheme>https?))?:(?://)?(?P<server>[^/@?#]+)(?P<path>/[^?#]*)?"
)
_ROOTS: Final = frozenset({"", "redfish/v1"})


def imported_bmc(found: ForeignObject, name: Scalar) -> tuple[Node | None, Sequence[str]]:
    """Return the key `bmc` of a host, None if its address is not of Redfish, and notes; none shows a foreign text."""
    address = found.text("spec", "bmc", "address")
    if address is None:
        return None, ["BMC not taken over: it has no address"]
    matched = _ADDRESS.fullmatch(address.text)
    url = f"{matched['scheme'] or 'https'}://{matched['server']}" if matched else ""
    system = (matched["path"] or "").rstrip("/") if matched else ""
    if not is_bmc_url(url):
        return None, ["BMC not taken over: its address is not of Redfish"]
    values: dict[str, Node] = {"url": replace(address, text=url)}
    if system.strip("/") not in _ROOTS:
        if not is_bmc_system(system):
            return None, ["BMC not taken over: the path in its address is not of Redfish"]
        values["system"] = replace(address, text=system)
    unverified = find(found.table, ("spec", "bmc", "disableCertificateVerification"))
    if isinstance(unverified, Scalar) and unverified.as_boolean():
        values["certificate"] = replace(unverified, text="none")
    bmc = values["url"] if len(values) == 1 else table(address.place, values)
    cure = f"verify its url, then netboot bmc credentials {name.text}"
    return bmc, [f"user and password of its BMC are not taken over: {cure}"]
