"""Every URL and route of the HTTP server on the boot LAN. The only module that writes or names them. Pure.

`base_url` is `http://ADDRESS:PORT` of this server as a machine reaches it, without a slash at its end.
`ContentPlace` is the server of media and releases; scripts, Kickstarts, secrets and reports are always this server's.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final
from urllib.parse import quote, unquote

from netboot.model.hidden import HIDDEN
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease

# Routes of documents, in aiohttp's syntax.
IPXE_SCRIPT_ROUTE: Final = "/boot/{mac}.ipxe"
KICKSTART_ROUTE: Final = "/ks/{token}"
INSPECTION_ROUTE: Final = "/inspect/{token}"
IGNITION_ROUTE: Final = "/ign/{token}"
IGNITION_PART_ROUTE: Final = "/ign/{token}/{part:role|overlay|archive}"
NODE_REPORT_ROUTE: Final = "/node/{token}"
REPORT_ROUTE: Final = "/report/{token}/{event}"
LOG_REPORT: Final = "log"  # the event with which a machine sends lines of its log

REGISTRY_ROOT: Final = "v2"  # of the OCI registry
MEDIA_ROOT: Final = "content"
RELEASES_ROOT: Final = "ostree"
REGISTRY_PREFIX: Final = f"/{REGISTRY_ROOT}/"
CONTENT_PREFIXES: Final = (f"/{MEDIA_ROOT}/", f"/{RELEASES_ROOT}/", REGISTRY_PREFIX)
# How a path of a file begins.
STATIC_TREES: Final = f"/(?:{MEDIA_ROOT}|{RELEASES_ROOT}|{REGISTRY_ROOT}|bootfiles|boot/[^/? ]++)/"
_TOKEN_IN_PATH: Final = re.compile(r"(/(?:ks|inspect|ign|report|node)/)[0-9a-f]+")
_TOKEN: Final = re.compile(r"/(ks|inspect|ign|report|node)/([0-9a-f]{32}|TOKEN-HIDDEN)")  # hidden as in captures
_BOOT_FILE: Final = re.compile(r"/(?:bootfiles|boot/([^/?]+))/([^?]*)")

# A machine's script, or a URL with a token. GRUB's configuration is found by its name in any directory.
_OF_ONE_BOOT: Final = re.compile(
    r"(?:/boot/[^/]+\.ipxe|.*/grub\.cfg[^/]*|/(?:ks|inspect|ign|report|node)(?:/.*)?)", re.IGNORECASE
)

ALIVE_PATH: Final = "/livez"  # answered by each HTTP server of netboot as long as its event loop runs
LOCAL_DISK_NAME: Final = "local-disk.efi"  # never served: firmware that does not get it boots its own disk
LONGEST_BASE_URL: Final = "http://255.255.255.255:65535"  # a kernel line that fits with it fits with any


@dataclass(frozen=True, slots=True)
class ContentPlace:
    """The web server `url` (content.url); this server if it is None."""

    url: str | None = None

    def url_for(self, base_url: str) -> str:
        """Return the URL before `/content/` and `/ostree/` for Anaconda and libostree, without a slash at its end."""
        return base_url if self.url is None else self.url.rstrip("/")

    def loader_url_for(self, base_url: str) -> str:
        """Return the same for iPXE and GRUB: GRUB has no TLS, iPXE no certificate authority of the operator."""
        url = self.url_for(base_url)
        return url if url.startswith("http://") else base_url


HERE: Final = ContentPlace()


def base_url(address: IPv4Address | str, port: int) -> str:
    return f"http://{address}:{port}"


def ipxe_script(base_url: str, mac: Mac | None) -> str:
    """Return the URL of a machine's script; None: iPXE puts in the MAC of the card that it booted from."""
    return f"{base_url}/boot/{mac.hyphenated if mac else '${mac:hexhyp}'}.ipxe"


def machine_file(base_url: str, mac: Mac, name: str) -> str:
    """Return the URL of a file beside which a loader finds what is this machine's."""
    return f"{base_url}/boot/{mac.hyphenated}/{quote(name)}"


def boot_file_in(path: str) -> tuple[str | None, str] | None:
    """Read the path of a boot file: what it has as the MAC, if it names a machine, and the name; else None."""
    found = _BOOT_FILE.match(path)
    return found and (found[1] and unquote(found[1]), unquote(found[2]))


def boot_file(base_url: str, name: str) -> str:
    """Return the URL of a boot file that is the same for every machine."""
    return f"{base_url}/bootfiles/{quote(name)}"


def kickstart(base_url: str, token: str) -> str:
    return f"{base_url}/ks/{token}"


def inspection(base_url: str, token: str) -> str:
    """Return the URL of the Kickstart that inspects a machine."""
    return f"{base_url}/inspect/{token}"


def ignition(base_url: str, token: str, part: str = "") -> str:
    """Return the URL of an Ignition wrapper, of its part `role` or `overlay`, or of the `archive` that holds all."""
    return f"{base_url}/ign/{token}/{part}" if part else f"{base_url}/ign/{token}"


def report(base_url: str, token: str, event: str = "") -> str:
    """Return the URL to which a machine reports an event; without one, what stands before the event."""
    return f"{base_url}/report/{token}/{event}" if event else f"{base_url}/report/{token}"


def node_report(base_url: str, token: str) -> str:
    """Return the URL to which an installed node reports what it runs."""
    return f"{base_url}/node/{token}"


def without_tokens_in_paths(text: str) -> str:
    """Hide what stands where a URL of this server has a token, also a part of a token at the end of a cut line."""
    return _TOKEN_IN_PATH.sub(rf"\1{HIDDEN}", text)


def tokens_in(text: str) -> list[tuple[str, str]]:
    """Return the tokens of URLs in a text, each after what its path begins with, such as `ks`; also hidden ones."""
    return _TOKEN.findall(text)


def is_of_one_boot(path: str) -> bool:
    """Return whether a request for a path can change an install: a script spends a boot, a token belongs to one."""
    return _OF_ONE_BOOT.fullmatch(f"/{unquote(path).partition('?')[0].lstrip('/')}") is not None


def page_of_host(public_url: str, host: str) -> str:
    """Return the page of a host at `admin.public_url`."""
    return f"{public_url}/hosts/{quote(host, safe='')}"


def log_server(base_url: str, port: int) -> str:
    """Return `ADDRESS:PORT` at which a machine reaches our receiver of logs; empty for port 0: there is none."""
    return f"{address_of(base_url)}:{port}" if port else ""


def address_of(base_url: str) -> str:
    """Return this server's address as the machine reaches it."""
    return base_url.removeprefix("http://").partition(":")[0]


def registry_address(base_url: str, tls_port: int = 0) -> str:
    """Return `ADDRESS:PORT` of the OCI registry as nodes have it, with TLS at `tls_port` if there is one."""
    return f"{address_of(base_url)}:{tls_port}" if tls_port else base_url.removeprefix("http://")


def medium(content_url: str, name: str | None) -> str:
    """Return the URL of a boot medium, without a slash at its end: EL8's Anaconda would keep it."""
    return f"{content_url}/{MEDIA_ROOT}/{name}"


def releases(content_url: str) -> str:
    """Return the URL below which each release is an OSTree archive."""
    return f"{content_url}/{RELEASES_ROOT}"


def release(content_url: str, release: str | RemoteRelease) -> str:
    """Return the URL of the OSTree archive of a release, which may be another server's."""
    return release.url if isinstance(release, RemoteRelease) else f"{releases(content_url)}/{release}"


def is_of_registry(path: str) -> bool:
    """Return whether a path is one of the OCI registry."""
    return path.startswith(REGISTRY_PREFIX)


def is_of_pull(path: str) -> bool:
    """Return whether a path is a part of a release or of an image, of which a machine pulls many."""
    if is_of_registry(path):
        return "/blobs/" in path
    return path.startswith(f"/{RELEASES_ROOT}/") and ("/objects/" in path or "/deltas/" in path)


def ref_of(release: RemoteRelease) -> str:
    """Return the URL of the file that names a ref's commit."""
    return f"{release.url}/refs/heads/{release.ref}"


def grub_config(base_url: str, mac: Mac) -> str:
    """Return the path at which GRUB finds a machine's grub.cfg."""
    return grub_path(f"{base_url}/boot/{mac.hyphenated}/grub.cfg")


def grub_path(url: str) -> str:
    """Return the path that GRUB has for an `http://` URL: `(http,HOST:PORT)/PATH`."""
    server, _, path = url.removeprefix("http://").partition("/")
    return f"(http,{server})/{path}"
