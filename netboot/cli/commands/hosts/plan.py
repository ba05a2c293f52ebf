"""`netboot plan`: shows what each host would get if it were armed and booted now. Changes nothing, uses no daemon."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from netboot.app import from_settings
from netboot.boot.decide import Decision, KnownFirmware, decide
from netboot.boot.documents import Documents, IgnitionPart
from netboot.cli.views.output import config_and_json, print_json
from netboot.doctor.box import links_here
from netboot.errors import ContentError, RenderError, UnknownHostError
from netboot.model import urls
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Ignored, InstallPlan, LocalBootPlan, Policy, ScriptLanguage, ScriptPlan
from netboot.model.clock import utc_now
from netboot.model.host.host import Host
from netboot.model.host.network import choose_address
from netboot.model.install.install import Install
from netboot.model.install.token import Tokens
from netboot.registry.load import Configuration, load
from netboot.serve.net.links import Link
from netboot.settings.settings import Settings

HIDDEN = Tokens("KICKSTART-TOKEN", "IGNITION-TOKEN", "REPORT-TOKEN")

FIRMWARE = {
    "BIOS, PXE": (Arch.X86_BIOS, BootProtocol.PXE),
    "UEFI x64, PXE": (Arch.X64_UEFI, BootProtocol.PXE),
    "UEFI x64, HTTP boot": (Arch.X64_UEFI_HTTP, BootProtocol.HTTP),
    "UEFI arm64, PXE": (Arch.ARM64_UEFI, BootProtocol.PXE),
    "UEFI arm64, HTTP boot": (Arch.ARM64_UEFI_HTTP, BootProtocol.HTTP),
}


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The documents of one host; for a document that cannot be rendered, the error's text."""

    offers: dict[str, str]
    script: str
    script_unarmed: str
    kickstart: str
    ignition: dict[str, str]


@click.command(short_help="Show what each host would get at its next boot.")
@click.argument("host", required=False)
@click.option("--show-secrets", is_flag=True, help="Show the role's Ignition as it is, cluster keys included.")
@config_and_json
def plan(config: Path, host: str | None, show_secrets: bool, as_json: bool) -> None:
    """Show what each host would get: offers, script, kernel line, Kickstart, Ignition.

    Tokens are generated at boot, so only their places are shown; secrets of the role's Ignition are hidden.
    """
    configuration = load(config)
    chosen = [found for found in configuration.hosts if host in (None, found.name)]
    if host is not None and not chosen:
        raise UnknownHostError(f"no host is called {host}; netboot host list shows them")
    plans = asyncio.run(_planned(configuration, chosen, show_secrets=show_secrets))
    if as_json:
        print_json({name: asdict(planned) for name, planned in plans.items()})
        return
    for name, planned in plans.items():
        _print(name, planned)


async def _planned(configuration: Configuration, hosts: Sequence[Host], *, show_secrets: bool) -> dict[str, HostPlan]:
    registry, _ = from_settings.registry_for(configuration.settings, configuration)
    documents, policy = registry.documents, registry.policy
    base_url = base_url_of(configuration.settings, await links_here())
    return {
        host.name: HostPlan(
            offers=offers(host, policy, Install(host.name).armed(at=utc_now(), reason="plan", attempts=1)),
            script=_script(documents, InstallPlan(host, HIDDEN.kickstart, host.mac), base_url),
            script_unarmed=_script(documents, LocalBootPlan(host.mac, host), base_url),
            kickstart=await _kickstart(documents, host, base_url),
            ignition=await _ignition(documents, host, base_url, show_secrets=show_secrets),
        )
        for host in hosts
    }


def offers(host: Host, policy: Policy, install: Install) -> dict[str, str]:
    """Return what each kind of firmware of a host is offered by DHCP."""
    return {name: _offer(host, policy, install, *firmware) for name, firmware in FIRMWARE.items()}


def _offer(host: Host, policy: Policy, install: Install, arch: Arch, protocol: BootProtocol) -> str:
    client = BootClient(host.mac, arch, protocol, Stage.FIRMWARE)
    match decide(client, host, install, policy, firmware=KnownFirmware()):
        case Decision(offer=offer):
            return f"{offer.kind.value} {offer.boot_file}".strip()
        case Ignored(reason):
            return f"no answer: {reason.value}"


async def _kickstart(documents: Documents, host: Host, base_url: str) -> str:
    try:
        return await documents.kickstart(host, HIDDEN, mac=host.mac, base_url=base_url)
    except (RenderError, ContentError) as error:
        return f"# {error}"


async def _ignition(documents: Documents, host: Host, base_url: str, *, show_secrets: bool) -> dict[str, str]:
    try:
        made = await documents.ignition(host, HIDDEN, mac=host.mac, base_url=base_url)
    except (RenderError, ContentError) as error:
        return {"error": str(error)}
    parts = {part.value: text.decode("utf-8", "replace") for part, text in made.items()}
    return parts if show_secrets else {**parts, "role": f"hidden, {len(made[IgnitionPart.ROLE])} bytes; --show-secrets"}


def _script(documents: Documents, plan: ScriptPlan, base_url: str) -> str:
    try:
        return documents.script(plan, ScriptLanguage.IPXE, base_url=base_url)
    except RenderError as error:
        return f"# {error}"


def base_url_of(settings: Settings, links: Mapping[str, Link]) -> str:
    """Return the URL that machines on the first interface get; with `SERVER` if its address is not known here."""
    for interface in settings.network.interfaces:
        address = interface.advertise or interface.address
        if address is None and interface.name in links and links[interface.name].addresses:
            address = choose_address(links[interface.name].addresses, None)
        if address is not None:
            return urls.base_url(str(address), settings.http.port)
    return urls.base_url(str(next(iter(settings.http.listen), "SERVER")), settings.http.port)


def _print(name: str, planned: HostPlan) -> None:
    click.secho(f"── {name}, once armed", bold=True)
    for firmware, offer in planned.offers.items():
        click.echo(f"  {firmware:<24}{offer}")
    parts = {"script": planned.script, "kickstart": planned.kickstart}
    parts |= {f"ignition {part}": text for part, text in planned.ignition.items()}
    for part, text in parts.items():
        click.secho(f"── {name}: {part}", bold=True)
        click.echo(text.rstrip())
    click.echo()
