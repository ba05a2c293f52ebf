"""The section `admin` of `netboot.yaml`: where the administration listens, and its certificate."""

import re
from collections import Counter
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.model.admin_listen import AddressEndpoint, AdminEndpoint, InterfaceEndpoint
from netboot.settings.setting_types import LOOPBACK, SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.faults import shown
from netboot.yamlfile.nodes import Scalar
from netboot.yamlfile.sections import described, refuse
from netboot.yamlfile.value_kinds import INTERFACE_NAME, ValueKind, matching

_DEFAULT_PORT: Final = 8470
_AS_WRITTEN: Final = f"{LOOPBACK}:{_DEFAULT_PORT}"
_LIKE_ADDRESS: Final = re.compile(r"[0-9.]*|.*:.*")
_URL_HOST: Final = r"(?:[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*|\[[0-9A-Fa-f:.]+\])"
_PUBLIC_URL: Final = re.compile(rf"https://{_URL_HOST}(?::[0-9]{{1,5}})?/?")


def _endpoint(scalar: Scalar) -> AdminEndpoint:
    """Read `ADDRESS:PORT`, `[ADDRESS]:PORT` or `INTERFACE:PORT`."""
    host, colon, port = scalar.text.rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
        raise _no_endpoint(scalar.text)
    if host == "localhost":
        raise refuse("localhost is a name", f"write its address: {LOOPBACK}:{int(port)}")
    if not _LIKE_ADDRESS.fullmatch(host):
        if not INTERFACE_NAME.fullmatch(host):
            raise _no_endpoint(scalar.text)
        return InterfaceEndpoint(host, int(port))
    try:
        endpoint = AddressEndpoint(ip_address(host.removeprefix("[").removesuffix("]")), int(port))
    except ValueError:
        raise _no_endpoint(scalar.text) from None
    return _listenable(endpoint)


def _no_endpoint(text: str) -> Exception:
    return refuse(f"{shown(text)} is not an address with a port", f"write it as {_AS_WRITTEN}")


def _listenable(endpoint: AddressEndpoint) -> AddressEndpoint:
    address = endpoint.address
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        cure = f"write {address.ipv4_mapped}:{endpoint.port}"
        raise refuse(f"{endpoint} is an IPv4 address in IPv6 notation", cure)
    if address.is_unspecified:
        what = f"{endpoint} is every address, also those of interfaces on which machines boot"
        raise refuse(what, f"name an address or an interface, as [{_AS_WRITTEN}, eno1:{endpoint.port}]")
    if address.is_multicast or address.is_link_local:
        what = f"{endpoint} is not an address that identifies this appliance"
        raise refuse(what, f"name another one, or its interface, as eno1:{endpoint.port}")
    return endpoint


def _one_or_several(value: Any) -> Any:
    if value == []:
        raise refuse("is empty", f"write an address with a port, as {_AS_WRITTEN}, or remove the key")
    return [value] if isinstance(value, Scalar) and not value.is_null else value


def _each_once(endpoints: tuple[AdminEndpoint, ...]) -> tuple[AdminEndpoint, ...]:
    for endpoint, times in Counter(endpoints).items():
        if times > 1:
            raise refuse(f"{endpoint} is named {times} times", "name each endpoint once")
    return endpoints


def _public_url(scalar: Scalar) -> str:
    text = scalar.text
    try:
        is_url = _PUBLIC_URL.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # a port beyond 65535, an address that is none
        is_url = False
    if not is_url:
        cure = f"write it as https://netboot.example.org:{_DEFAULT_PORT}, without path, user and password"
        raise refuse(f"{shown(text)} is not the URL of an appliance", cure)
    return text.rstrip("/")


_LISTEN_TITLE: Final = "address or interface with a port, or a list of them"
Listen = Annotated[
    tuple[Annotated[AdminEndpoint, ValueKind(_endpoint, "address or interface with a port")], ...],
    BeforeValidator(_one_or_several),
    AfterValidator(_each_once),
    WithJsonSchema(
        {"title": _LISTEN_TITLE, "type": ["string", "array"], "items": {"type": "string"}, "minItems": 1},
    ),
]
PublicUrl = Annotated[str, ValueKind(_public_url, "URL", matching(_PUBLIC_URL))]


class AdminTls(SettingSection):
    """The certificate of the administration."""

    certificate: values.FilePath = Field(
        description="The certificate in PEM, with those of its chain after it.", examples=["tls/server.pem"]
    )
    key: values.SecretFile = Field(description="Its private key in PEM.", examples=["tls/server.key"])

    @property
    def files(self) -> CertificateFiles:
        return CertificateFiles(self.certificate, self.key, CertificateUse.ADMIN)


class Admin(SettingSection):
    """API, metrics, and the command line's access."""

    listen: Listen = described(
        (AddressEndpoint(LOOPBACK, _DEFAULT_PORT),), "Where the API, metrics, health and events are served."
    )
    tls: AdminTls | None = described(
        None, "The certificate and key for listening beyond loopback.", title="{certificate, key}"
    )
    public_url: PublicUrl | None = described(None, "The URL under which administrators reach this appliance.")
    socket: values.FilePath = described(
        Path("/run/netboot/control.sock"), "The Unix socket by which the command line controls the daemon."
    )
