"""The key `bmc` of hosts files: where a BMC is, how it is recognised, and the file with its user and password."""

import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from netboot.model.bmc.bmc import Bmc, BmcCertificate, BmcTrust, NetworkBoot, one_url
from netboot.registry.host_values import MacAddresses
from netboot.yamlfile.faults import beside, shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import Section, described, refuse
from netboot.yamlfile.value_kinds import SecretFile, ValueKind, choice, matching, text_of

_BMC_URL: Final = re.compile(
    r"https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^?#@]*)?"
)
_BMC_SYSTEM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}|/redfish/v1/[A-Za-z0-9._:/-]{1,200}")


def is_bmc_url(text: str) -> bool:
    """Return whether a host can have this URL of a BMC."""
    try:
        parts = urlsplit(text) if _BMC_URL.fullmatch(text) else None
        return parts is not None and parts.port != 0 and not parts.path.strip("/") and bool(one_url(text))
    except ValueError:  # a port beyond 65535, or no address of IPv6
        return False


def is_bmc_system(text: str) -> bool:
    """Return whether a host can have this machine of a BMC."""
    return _BMC_SYSTEM.fullmatch(text) is not None


def _bmc_url(scalar: Scalar) -> str:
    """Read the URL of a BMC; no message shows it, because it may contain a password."""
    scheme, _, rest = scalar.text.partition("://")
    server = f"{scheme}://{rest.partition('/')[0]}"
    if is_bmc_url(server) and server != scalar.text.rstrip("/"):
        raise refuse("has a path", f"write {server}, and the path of the machine as system")
    if not is_bmc_url(server):
        raise refuse("is not the URL of a BMC", "write it as https://192.0.2.201; user and password are in a file")
    return one_url(server)


def read_certificate(scalar: Scalar) -> BmcCertificate:
    """Read what the certificate of a BMC is verified with: a word, a digest or the file of a CA."""
    kind, colon, digest = scalar.text.partition(":")
    if kind == "sha256" and colon:
        digits = digest.replace(":", "").lower()
        if not re.fullmatch("[0-9a-f]{64}", digits):
            what = f"{shown(scalar.text)} is not a SHA-256 digest"
            raise refuse(what, "write sha256: and the 64 digits that netboot bmc probe prints")
        return BmcCertificate(BmcTrust.PIN, sha256=digits)
    for trust in (BmcTrust.SYSTEM, BmcTrust.NONE):
        if scalar.text == trust.value:
            return BmcCertificate(trust)
    return BmcCertificate(BmcTrust.CA_FILE, ca_file=beside(Path(scalar.text), scalar.place.file))


BmcUrl = Annotated[str, ValueKind(_bmc_url, "URL of a BMC", matching(_BMC_URL))]
BmcSystem = Annotated[
    str,
    text_of(_BMC_SYSTEM, "machine of a BMC", cure="write its Redfish id, as 1, or its path, as /redfish/v1/Systems/1"),
]
Certificate = Annotated[BmcCertificate, ValueKind(read_certificate, "verify, none, sha256:DIGEST, or path of a CA")]
NetworkBootUse = Annotated[NetworkBoot, choice(NetworkBoot, "value of network_boot")]


class BmcSection(Section):
    """The BMC that powers the machine, by Redfish; a text is the abbreviation of `url`."""

    url: BmcUrl | None = described(None, "Where it is, such as https://192.0.2.201.")
    system: BmcSystem | None = described(None, "Which of its machines: id or path in Redfish; without, the one.")
    credentials: SecretFile | None = described(
        None,
        "The file with `username`, `password`, `url` and `certificate`; without, the host's in `bmc.credentials`.",
    )
    certificate: Certificate | None = described(
        None, "`verify`, `none`, `sha256:` with its digest, or the file of a CA in PEM."
    )
    network_boot: NetworkBootUse | None = described(
        None, "How the machine boots from the network: `pxe`, `http` or `http-uri`."
    )
    cards: MacAddresses | None = described(
        None, "MACs of onboard cards, if the BMC lists none of the host's: the machine is recognised by them."
    )

    @classmethod
    def table_of(cls, value: Scalar) -> object:
        return {"url": value}

    def as_text(self) -> str | None:
        others = (getattr(self, key) for key in self.key_names() if key != "url")
        return self.url if all(value is None for value in others) else None

    @property
    def bmc(self) -> Bmc | None:
        """The BMC; None without a URL."""
        if self.url is None:
            return None
        certificate = self.certificate or BmcCertificate()
        return Bmc(self.url, self.system, self.credentials, certificate, self.network_boot, self.cards or ())
