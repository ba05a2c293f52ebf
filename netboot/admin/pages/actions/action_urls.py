"""The names of the actions on hosts, and the URLs of their confirmations. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from netboot.operate.actions.host_verbs import HostVerb

LABELS: Final[Mapping[HostVerb, str]] = {
    HostVerb.ARM: "Arm",
    HostVerb.CONFIRM: "Confirm the machine",
    HostVerb.CANCEL: "Cancel the arming",
    HostVerb.INSPECT: "Inspect",
    HostVerb.RESCUE: "Rescue",
    HostVerb.CANCEL_RESCUE: "Cancel the rescue",
    HostVerb.RETIRE: "Retire",
    HostVerb.WIPE: "Retire and wipe",
    HostVerb.REMOVE: "Remove",
    HostVerb.POWER_ON: "Power on",
    HostVerb.POWER_OFF: "Power off",
    HostVerb.POWER_CYCLE: "Power cycle",
    HostVerb.POWER_PXE: "Network boot",
}


def host_url(host: str, verb: HostVerb | None = None) -> str:
    """Return the URL of the confirmation for one host; without an action that of its page."""
    url = f"/hosts/{quote(host, safe='')}"
    return f"{url}/{verb}" if verb is not None else url


def hosts_url(hosts: Sequence[str], verb: HostVerb, *, back: str = "/") -> str:
    """Return the URL of the confirmation for several hosts."""
    pairs = [*(("host", host) for host in hosts), ("back", back)]
    return f"/installs/{verb}?{urlencode(pairs)}"
