"""`netboot ca`: the certificate authority of this appliance, and the certificates that it serves."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from netboot.app.from_settings import machine_addresses_of
from netboot.cli.groups import Group
from netboot.cli.views.output import config_and_json, print_found
from netboot.doctor.configuration.access_checks import group_of_daemon
from netboot.doctor.configuration.listening_checks import links_here
from netboot.errors import CertificateError
from netboot.model.access.certificate_files import CertificateFiles, CertificateUse
from netboot.model.admin_listen import AddressEndpoint, expected_names
from netboot.model.clock import utc_now
from netboot.model.words import printable
from netboot.registry.load import load_settings
from netboot.serve.net.local_addresses import read_local_addresses
from netboot.settings.admin_setting import Admin
from netboot.settings.settings import Settings

if TYPE_CHECKING:
    from netboot.operate.certificates.authority import CertificateAuthority  # slow to load, as all that it uses
    from netboot.operate.certificates.issuing import Issued

_MOST_DAYS: Final = 397  # clients refuse a certificate that is valid longer
_TLS_PORT: Final = 8443  # of a registry whose settings have none


@click.group(cls=Group)
def ca() -> None:
    """Make a certificate authority (CA), and the certificates of the administration and the registry.

    Needed to use the API from other computers (admin.listen beyond loopback), and for a registry with TLS
    (registry.tls_port), unless you have certificates of another authority. Run it as root.
    """


@ca.command()
@click.option("--name", help="The name of the CA in browsers.  [default: netboot on HOST]")
@click.option("--force", is_flag=True, help="Replace a CA that exists; every computer has to trust the new one.")
@config_and_json
def init(config: Path, name: str | None, force: bool, as_json: bool) -> None:
    """Make the CA of this appliance: a key that only root can read, and a certificate for ten years.

    A CA that exists is shown; only --force replaces it.
    """
    from netboot.operate.certificates.authority import CertificateAuthority

    directory = _directory(config)
    found = None if force else CertificateAuthority.read(directory)
    if found is None:
        name = name or f"netboot on {socket.gethostname()}"
        made = CertificateAuthority.create(directory, name, now=utc_now(), group=group_of_daemon())
        lines = [f"made the CA {made.path}, with its key {made.key_path}", *_authority_lines(made), *_trust_lines(made)]
        print_found({"ok": True, "made": True, "ca": _view(made)}, as_json, map(printable, lines))
        return
    first = f"there is a CA already, {found.path}; --force replaces it"
    lines = [first, *_authority_lines(found), *_trust_lines(found)]
    print_found({"ok": True, "made": False, "ca": _view(found)}, as_json, map(printable, lines))


@ca.command()
@click.argument("names", metavar="[NAME|ADDRESS]...", nargs=-1)
@click.option(
    "--days", type=click.IntRange(1, _MOST_DAYS), default=_MOST_DAYS, show_default=True, help="How long it is valid."
)
@click.option("--registry", is_flag=True, help="Issue that of the registry on the boot LAN.")
@click.option("--force", is_flag=True, help="Replace a certificate that another authority issued.")
@config_and_json
def issue(config: Path, names: tuple[str, ...], days: int, *, registry: bool, force: bool, as_json: bool) -> None:
    """Issue a certificate for the administration, with a new key that the daemon can read; also to renew it.

    Without a name: for this computer's host name, the host of admin.public_url, and the addresses beyond loopback in
    admin.listen. It is written to the files of admin.tls, else below the directory tls beside netboot.yaml; a running
    daemon uses it within seconds. With --registry: for the addresses at which machines reach this appliance, in the
    files of the section registry.
    """
    from netboot.operate.certificates.issuing import IssueRequest
    from netboot.operate.certificates.issuing import issue as issue_certificate

    settings, use = load_settings(config), CertificateUse.REGISTRY if registry else CertificateUse.ADMIN
    authority, group = _authority(config), group_of_daemon()
    files = _named_files(settings, use) or _default_files(config, use)
    names = names or asyncio.run(_machine_addresses(settings) if registry else _default_names(settings.admin))
    request = IssueRequest(names, days, files.certificate, files.key, group, replaces_others=force)
    issued = issue_certificate(authority, request, now=utc_now())
    found = {"ok": True, "certificate": str(issued.certificate), "key": str(issued.key), "names": [*issued.names]}
    found |= {"ends_at": issued.ends_at.isoformat(), "ca": _view(authority)}
    lines = [*_issued_lines(issued, is_readable=group is not None)]
    if _named_files(settings, use) is None:
        lines += _registry_setting_lines(issued) if registry else _setting_lines(settings.admin, issued)
    lines += _node_trust_lines(authority, settings, issued) if registry else _trust_lines(authority)
    print_found(found, as_json, map(printable, lines))


@ca.command()
@config_and_json
def show(config: Path, as_json: bool) -> None:
    """Show the CA, and the certificates of administration and registry: names, fingerprint, until when."""
    from netboot.operate.certificates.authority import CertificateAuthority

    settings, authority = load_settings(config), CertificateAuthority.read(_directory(config))
    lines = ["no CA; netboot ca init makes one"] if authority is None else [*_authority_lines(authority)]
    served: dict[CertificateUse, dict[str, Any] | None] = {}
    for use in CertificateUse:
        files = _named_files(settings, use)
        served[use], more = (None, []) if files is None else _served(files)
        lines += more
    if settings.admin.tls is None:
        lines.append("no certificate is named in admin.tls")
    if authority is not None:
        lines += _trust_lines(authority)
    view = None if authority is None else _view(authority)
    found = {"ca": view, "served": served[CertificateUse.ADMIN], "registry": served[CertificateUse.REGISTRY]}
    print_found(found, as_json, map(printable, lines))


def _named_files(settings: Settings, use: CertificateUse) -> CertificateFiles | None:
    """Return the files that the settings name."""
    if use is CertificateUse.REGISTRY:
        return settings.registry.files
    return settings.admin.tls.files if settings.admin.tls is not None else None


def _default_files(config: Path, use: CertificateUse) -> CertificateFiles:
    name = "registry" if use is CertificateUse.REGISTRY else "server"
    directory = _directory(config)
    return CertificateFiles(directory / f"{name}.pem", directory / f"{name}.key", use)


def _served(files: CertificateFiles) -> tuple[dict[str, Any], list[str]]:
    """Return a certificate for programs, and in lines."""
    from netboot.operate.certificates.server_certificate import read_server_certificate

    served: dict[str, Any] = {"certificate": str(files.certificate)}
    of = " of the registry" if files.use is CertificateUse.REGISTRY else ""
    lines = [f"certificate{of} {files.certificate}"]
    try:
        found = read_server_certificate(files)
        served |= {"names": [*found.names], "issuer": found.issuer, "ends_at": found.ends_at.isoformat()}
        lines += [f"  for          {', '.join(found.names)}", f"  issued by    {found.issuer}"]
        lines.append(f"  valid until  {found.ends_at:%Y-%m-%d %H:%M} UTC")
        problem = found.problem(utc_now())
    except CertificateError as error:
        problem = str(error)
    lines += [f"  problem      {problem}"] if problem is not None else []
    return served | {"problem": problem}, lines


def _directory(config: Path) -> Path:
    from netboot.operate.certificates.authority import CA_DIRECTORY

    return config.absolute().parent / CA_DIRECTORY


def _authority(config: Path) -> "CertificateAuthority":
    from netboot.operate.certificates.authority import CertificateAuthority

    found = CertificateAuthority.read(_directory(config))
    if found is None:
        raise CertificateError(f"there is no CA in {_directory(config)}; netboot ca init makes one")
    return found


async def _machine_addresses(settings: Settings) -> tuple[str, ...]:
    return tuple(map(str, machine_addresses_of(settings, await links_here())))


async def _default_names(admin: Admin) -> tuple[str, ...]:
    here = await read_local_addresses()
    host = socket.gethostname()
    return tuple(dict.fromkeys([host, *expected_names(admin.listen, here, public_url=admin.public_url)]))


def _view(authority: "CertificateAuthority") -> dict[str, Any]:
    return {
        "certificate": str(authority.path),
        "name": authority.name,
        "sha256": authority.fingerprint,
        "ends_at": authority.ends_at.isoformat(),
    }


def _authority_lines(authority: "CertificateAuthority") -> Iterator[str]:
    yield f"CA {authority.path}"
    yield f"  name         {authority.name}"
    yield f"  SHA-256      {authority.fingerprint}"
    yield f"  valid until  {authority.ends_at:%Y-%m-%d %H:%M} UTC"


def _issued_lines(issued: "Issued", *, is_readable: bool) -> Iterator[str]:
    yield f"issued {issued.certificate}, with its key {issued.key}"
    yield f"  for          {', '.join(issued.names)}"
    yield f"  valid until  {issued.ends_at:%Y-%m-%d %H:%M} UTC; renew it with the same command"
    if not is_readable:
        yield f"  the daemon's user must be able to read {issued.key}: run it as root, or see netboot check"


def _setting_lines(admin: Admin, issued: "Issued") -> Iterator[str]:
    """Give what `netboot.yaml` lacks to serve the certificate."""
    yield "write in netboot.yaml, then systemctl restart netboot:"
    yield "  admin:"
    if all(isinstance(each, AddressEndpoint) and not each.needs_tls for each in admin.listen):
        listen = [*map(str, admin.listen), f"INTERFACE:{admin.listen[0].port}"]
        yield f"    listen: [{', '.join(listen)}]  # the interface of administrators, not that of machines"
    yield f"    tls: {{certificate: {issued.certificate}, key: {issued.key}}}"


def _registry_setting_lines(issued: "Issued") -> Iterator[str]:
    yield "write in netboot.yaml, then systemctl restart netboot:"
    pair = f"certificate: {issued.certificate}, key: {issued.key}"
    yield f"  registry: {{tls_port: {_TLS_PORT}, {pair}}}"


def _node_trust_lines(authority: "CertificateAuthority", settings: Settings, issued: "Issued") -> Iterator[str]:
    """Give the directories in which programs of a node find the CA of a registry (containers-certs.d(5))."""
    yield f"let nodes trust {authority.path.name} (copy it from {authority.path}), by one of:"
    port = settings.registry.tls_port or _TLS_PORT
    for name in issued.names:
        yield f"  podman, skopeo, CRI-O  /etc/containers/certs.d/{name}:{port}/ca.crt"
    yield "  every program          /etc/pki/ca-trust/source/anchors/netboot.pem, then update-ca-trust"


def _trust_lines(authority: "CertificateAuthority") -> Iterator[str]:
    yield f"let administrators' computers trust {authority.path.name} (copy it from {authority.path}):"
    yield "  curl         curl --cacert ca.pem https://APPLIANCE:PORT/healthz"
    yield "  Firefox      Settings, Certificates, View Certificates, Authorities, Import"
    yield "  Debian       cp ca.pem /usr/local/share/ca-certificates/netboot.crt && update-ca-certificates"
    yield "  Oracle Linux cp ca.pem /etc/pki/ca-trust/source/anchors/netboot.pem && update-ca-trust"
