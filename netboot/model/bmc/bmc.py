"""The BMC of a host as its hosts file declares it: where it is, which of its machines, and which certificate it has."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final, assert_never
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


class NetworkBoot(StrEnum):
    """How a machine boots from the network once."""

    PXE = "pxe"
    HTTP = "http"  # UEFI HTTP boot; the URL comes by DHCP
    HTTP_URI = "http-uri"  # UEFI HTTP boot; the URL is written into the firmware


class BmcTrust(StrEnum):
    """What the certificate of a BMC is verified with."""

    SYSTEM = "verify"  # the authorities of this computer
    CA_FILE = "ca-file"  # those of a file
    PIN = "sha256"  # its own digest
    NONE = "none"  # nothing: what answers at its address gets the password


@dataclass(frozen=True, slots=True)
class BmcCertificate:
    """How a BMC is recognised. `ca_file` with `CA_FILE`; `sha256`, in hexadecimal digits, with `PIN`."""

    trust: BmcTrust = BmcTrust.SYSTEM
    ca_file: Path | None = None
    sha256: str = ""

    @property
    def text(self) -> str:
        """How a hosts file has it, with the absolute path of a CA."""
        match self.trust:
            case BmcTrust.CA_FILE:
                return str((self.ca_file or Path()).absolute())
            case BmcTrust.PIN:
                return f"sha256:{self.sha256}"
            case BmcTrust.SYSTEM | BmcTrust.NONE:
                return self.trust.value
            case _:
                assert_never(self.trust)


@dataclass(frozen=True, slots=True)
class Bmc:
    """One BMC that speaks Redfish.

    `system`: the id or path of the machine, if the BMC has several. `credentials`: the file; None: the host's file in
    `bmc.credentials`. `network_boot`: how the machine boots from the network; None: by PXE. `cards`: MACs by which its
    machine is recognised, besides those of the host.
    """

    url: str  # https://192.0.2.201, without a path
    system: str | None = None
    credentials: Path | None = None
    certificate: BmcCertificate = BmcCertificate()
    network_boot: NetworkBoot | None = None
    cards: tuple[str, ...] = ()  # each in the spelling of `Mac`

    @property
    def is_encrypted(self) -> bool:
        return self.url.startswith("https:")


def one_url(text: str) -> str:
    """Write the URL of a BMC in its one form: in small letters, without the port of its scheme; raise ValueError."""
    parts = urlsplit(text.lower().rstrip("/"))
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{IPv6Address(host)}]"
    is_usual = parts.port in {None, _PORTS.get(parts.scheme)}
    return f"{parts.scheme}://{host}" + ("" if is_usual else f":{parts.port}")
