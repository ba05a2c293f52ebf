"""How a boot ended that was offered a loader: the reasons, each with what happened and its cure. Pure."""

import re
from enum import StrEnum
from typing import Final

from netboot.model.boot.boot_client import BootProtocol


class Ending(StrEnum):
    """How a boot ended that was offered a loader; the reason in events and documentation."""

    REACHED = "reached-script"
    NO_REQUEST = "no-request"  # DISCOVERs, and no REQUEST to anybody
    NO_LOADER = "no-loader"  # it took an address and did not request its loader
    WRONG_LOADER = "wrong-loader"  # it requested a file that we did not offer and that cannot run there
    LOADER_CUT = "loader-cut"  # its loader was not sent completely
    NO_HTTP = "no-http"  # its loader runs and is an iPXE built without HTTP
    NO_SCRIPT = "no-script"  # its loader was sent, and did not request its script


WHAT_HAPPENED: Final = {
    Ending.NO_REQUEST: "requested offers and took no address",
    Ending.NO_LOADER: "took an address and did not fetch its loader",
    Ending.WRONG_LOADER: "fetched another file than it was offered",
    Ending.LOADER_CUT: "did not receive its loader completely",
    Ending.NO_HTTP: "got a loader that was built without HTTP",
    Ending.NO_SCRIPT: "got its loader and did not request its script",
}


def cure_of(reason: Ending, *, loader: str, protocol: BootProtocol | None, other_file: str = "") -> str:
    """Return the cure of a boot that ended so. `other_file`: what it requested instead of `loader`."""
    cure = _HTTP_CURES.get(reason) if protocol is BootProtocol.HTTP else None
    if reason is Ending.WRONG_LOADER and not _was_named_by_a_server(other_file, loader):
        cure = _ODD_NAME_CURE
    return (cure or _CURES[reason]).format(loader=loader, other_file=other_file)


def _was_named_by_a_server(name: str, loader: str) -> bool:
    """Return whether a requested name comes from another server: a plain file name that is not a part of ours."""
    last, ours = (each.rpartition("/")[2].casefold() for each in (name, loader))
    return _PLAIN_NAME.fullmatch(name) is not None and not ours.startswith(last) and not last.startswith(ours)


_CURES: Final = {
    Ending.NO_REQUEST: "this firmware does not combine two offers: let the LAN's DHCP server name this appliance as "
    "next-server (option 66) and {loader} as its boot file (option 67), or lease the addresses: dhcp.mode: reservation",
    Ending.NO_LOADER: "if the LAN's DHCP server sends option 60 (PXEClient), remove it there: it makes the firmware "
    "send requests to that server only; else permit UDP 69 and 4011 to this appliance",
    Ending.WRONG_LOADER: "it requests {other_file}, which the LAN's DHCP server names: remove the boot file there "
    "(option 67, filename)",
    Ending.LOADER_CUT: "the loader's transfer begins and does not end: check the path for a small MTU or a firewall; "
    "for firewalls set tftp.single_port: true",
    Ending.NO_HTTP: "{loader} is an iPXE built without HTTP, so it cannot fetch its script: replace it by one with "
    "HTTP, as distributions build it",
    Ending.NO_SCRIPT: "{loader} runs and sends no request: read its screen; put another loader below "
    "bootfiles.directories, or name one by hosts.X.loader; with Secure Boot, that is shim and GRUB",
}
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_./+~@ -]+")
_ODD_NAME_CURE: Final = (
    "it requests {other_file} instead of {loader}, a name that probably no server sent: read its screen, check the "
    "firmware's setup, and update the firmware"
)
_HTTP_CURES: Final = {
    Ending.NO_REQUEST: "this firmware accepts no HTTP boot from a second server: choose PXE in its setup",
    Ending.NO_LOADER: "this firmware did not fetch http://…/{loader}: some accept only https; choose PXE in its setup, "
    "and permit TCP to http.port",
}
