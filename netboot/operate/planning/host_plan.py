"""Renders every document that a host would get if it were armed and booted now. Changes nothing; tokens are names."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from netboot.boot.decide import Decision, KnownFirmware, decide
from netboot.boot.documents.documents import Documents
from netboot.boot.documents.ignition_documents import IgnitionPart, IgnitionSet
from netboot.boot.firmware.local_boot_learning import method_for
from netboot.boot.firmware.local_boot_methods import local_boot_methods, misfit
from netboot.errors import ContentError, RenderError
from netboot.ignition.check import read_ignition
from netboot.ignition.masked import masked
from netboot.ignition.merging import rendered
from netboot.ignition.resource import content_of
from netboot.ignition.schema import Json
from netboot.model import urls
from netboot.model.boot.boot_client import Arch, BootClient, BootProtocol, Stage
from netboot.model.boot.offer import Ignored, InstallPlan, LocalBootPlan, Policy, ScriptLanguage, ScriptPlan
from netboot.model.host.firmware import LocalBoot, local_boot_reason
from netboot.model.host.host import Host
from netboot.model.host.host_secrets import document_shown, secret_values, without_values
from netboot.model.host.mac import Mac
from netboot.model.install.inspection import Inspection
from netboot.model.install.install import Install
from netboot.model.install.token import Tokens

PLAN_TOKENS: Final = Tokens("KICKSTART-TOKEN", "IGNITION-TOKEN", "REPORT-TOKEN", "NODE-TOKEN")

FIRMWARE: Final = {
    "BIOS, PXE": (Arch.X86_BIOS, BootProtocol.PXE),
    "UEFI x64, PXE": (Arch.X64_UEFI, BootProtocol.PXE),
    "UEFI x64, HTTP boot": (Arch.X64_UEFI_HTTP, BootProtocol.HTTP),
    "UEFI arm64, PXE": (Arch.ARM64_UEFI, BootProtocol.PXE),
    "UEFI arm64, HTTP boot": (Arch.ARM64_UEFI_HTTP, BootProtocol.HTTP),
}


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The documents of one host; for one that cannot be rendered, the error's text after `# `."""

    offers: Mapping[str, str]  # by kind of firmware
    script: str  # of iPXE
    script_unarmed: str
    grub: str
    grub_unarmed: str
    kernel_lines: Mapping[str, str]  # installer, installed; or error
    kickstart: str
    ignition: Mapping[str, str]  # wrapper, role, overlay, merged; or error
    role_sha256: str | None


@dataclass(frozen=True, slots=True)
class HostPlanner:
    """Renders the documents of a host whose card `mac` boots from this server at `base_url`."""

    documents: Documents
    host: Host
    mac: Mac
    base_url: str
    show_secrets: bool = False  # of the role's Ignition file, and of the host's variables and kernel arguments

    async def plan(self, offers: Mapping[str, str]) -> HostPlan:
        install, local = InstallPlan(self.host, PLAN_TOKENS.kickstart, self.mac), LocalBootPlan(self.mac, self.host)
        ignition, role_sha256 = await self._ignition()
        plan = HostPlan(
            offers=offers,
            script=self._script(install, ScriptLanguage.IPXE),
            script_unarmed=self._script(local, ScriptLanguage.IPXE),
            grub=self._script(install, ScriptLanguage.GRUB),
            grub_unarmed=self._script(local, ScriptLanguage.GRUB),
            kernel_lines=self._kernel_lines(),
            kickstart=await self._kickstart(),
            ignition=ignition,
            role_sha256=role_sha256,
        )
        return plan if self.show_secrets else _without_secrets(plan, secret_values(self.host))

    def _script(self, plan: ScriptPlan, language: ScriptLanguage) -> str:
        try:
            return self.documents.script(plan, language, base_url=self.base_url)
        except RenderError as error:
            return f"# {error}"

    def _kernel_lines(self) -> Mapping[str, str]:
        try:
            return self.documents.kernel_lines(self.host, PLAN_TOKENS, mac=self.mac, base_url=self.base_url)
        except RenderError as error:
            return {"error": f"# {error}"}

    async def _kickstart(self) -> str:
        try:
            return await self.documents.kickstart(self.host, PLAN_TOKENS, mac=self.mac, base_url=self.base_url)
        except (RenderError, ContentError) as error:
            return f"# {error}"

    async def _ignition(self) -> tuple[Mapping[str, str], str | None]:
        """Return the parts and what they are merged to; the SHA-256 of the role's file."""
        try:
            made = await self.documents.ignition.render(
                self.host,
                PLAN_TOKENS,
                mac=self.mac,
                base_url=self.base_url,
                is_embedded=self.documents.embeds_ignition,
            )
        except (RenderError, ContentError) as error:
            return {"error": str(error)}, None
        shown: Callable[[Json], Json] = (lambda config: config) if self.show_secrets else masked
        role = made[IgnitionPart.ROLE]
        texts = {
            part.value: text.decode("utf-8", "replace")
            for part, text in made.items()
            if part is not IgnitionPart.ARCHIVE
        }
        if not self.show_secrets:
            with_secrets = [IgnitionPart.ROLE, *([IgnitionPart.WRAPPER] if IgnitionPart.ARCHIVE in made else [])]
            texts |= {part.value: _pretty(masked(read_ignition(made[part]).config)) for part in with_secrets}
        texts["merged"] = _pretty(shown(self._merged(made)))
        return texts, hashlib.sha256(role).hexdigest()

    def _merged(self, made: IgnitionSet) -> Json:
        """Merge wrapper, role and overlay as the machine will; what the role's file fetches from elsewhere is left."""
        token = PLAN_TOKENS.ignition
        ours = {
            urls.ignition(self.base_url, token, part.value): made[part]
            for part in (IgnitionPart.ROLE, IgnitionPart.OVERLAY)
        }

        def fetch(resource: Json) -> Json | None:
            source = resource.get("source", "")
            content = ours[source] if source in ours else content_of(resource)
            return None if content is None else read_ignition(content).config

        return rendered(read_ignition(made[IgnitionPart.WRAPPER]).config, fetch)


def _without_secrets(plan: HostPlan, values: Sequence[str]) -> HostPlan:
    return replace(
        plan,
        script=document_shown(plan.script, values),
        script_unarmed=document_shown(plan.script_unarmed, values),
        grub=document_shown(plan.grub, values),
        grub_unarmed=document_shown(plan.grub_unarmed, values),
        kernel_lines={name: document_shown(line, values) for name, line in plan.kernel_lines.items()},
        kickstart=document_shown(plan.kickstart, values),
        ignition={part: without_values(text, values) for part, text in plan.ignition.items()},
    )


def plan_texts(plan: HostPlan) -> Iterator[tuple[str, str, str]]:
    """Yield the documents of a host: title, name of its file, text."""
    yield "offers", "offers.txt", "".join(f"{firmware}: {offer}\n" for firmware, offer in plan.offers.items())
    yield "script", "script.ipxe", plan.script
    yield "script, unarmed", "script-unarmed.ipxe", plan.script_unarmed
    yield "grub", "grub.cfg", plan.grub
    yield "grub, unarmed", "grub-unarmed.cfg", plan.grub_unarmed
    lines = "".join(f"{system}: {line}\n" for system, line in plan.kernel_lines.items())
    yield "kernel lines", "kernel-lines.txt", lines
    yield "kickstart", "kickstart.ks", plan.kickstart
    for part in ("wrapper", "role", "overlay", "merged"):
        text = plan.ignition.get(part) or f"# {plan.ignition.get('error')}\n"
        yield f"ignition {part}", f"ignition-{part}.ign", text


def offers(
    host: Host,
    policy: Policy,
    install: Install,
    inspection: Inspection | None = None,
    local_boots: Mapping[str, LocalBoot] = MappingProxyType({}),
) -> dict[str, str]:
    """Return what each kind of firmware of a host is offered by DHCP.

    `inspection`: what it boots once. `local_boots`: what is known of its local boots, by firmware.
    """
    clients = {
        name: BootClient(host.mac, arch, protocol, Stage.FIRMWARE) for name, (arch, protocol) in FIRMWARE.items()
    }
    return {
        name: _offer(client, host, policy, install, inspection, local_boots.get(client.firmware))
        for name, client in clients.items()
    }


def local_boot_texts(host: Host, policy: Policy, local_boots: Mapping[str, LocalBoot]) -> dict[str, str]:
    """Return by which method each kind of firmware of a host is led to its own disk, and why."""
    found = {}
    for name, (arch, protocol) in FIRMWARE.items():
        client = BootClient(host.mac, arch, protocol, Stage.FIRMWARE)
        methods, known = local_boot_methods(client, host, policy), local_boots.get(client.firmware)
        method = method_for(known, methods)
        if (unfit := misfit(client, host, policy)) is not None:
            why = unfit
        elif host.local_boot is method:
            why = "local_boot of the host"
        elif known is None or known.method is not method:
            why = f"the first of {', '.join(methods)}"
        else:
            why = local_boot_reason(known)
        found[name] = f"{method}: {why}"
    return found


def _offer(
    client: BootClient,
    host: Host,
    policy: Policy,
    install: Install,
    inspection: Inspection | None,
    local_boot: LocalBoot | None,
) -> str:
    decided = decide(
        client, host, install, policy, firmware=KnownFirmware(), inspection=inspection, local_boot=local_boot
    )
    match decided:
        case Decision(offer=offer):
            return f"{offer.kind.value} {offer.boot_file}".strip()
        case Ignored(reason):
            return f"no answer: {reason.value}"


def _pretty(config: Json) -> str:
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"
