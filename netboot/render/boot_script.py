"""A machine's script, for iPXE or GRUB: install, boot the own disk, or wait and request again.

Pure: a plan in, text out; makes no decisions. Written for iPXE of 2019 (Debian 12) and later, with absolute URLs only
(`${next-server}` is the LAN's own DHCP server), and for GRUB 2.06 and later (shim, Secure Boot).
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, assert_never

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.boot.machine_facts import IPXE_QUERY
from netboot.model.boot.offer import (
    InspectPlan,
    InstallPlan,
    LocalBootPlan,
    RescuePlan,
    ScriptLanguage,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.host.host_secrets import argument_for_anybody
from netboot.model.host.mac import Mac
from netboot.model.install.token import HIDDEN_TOKEN
from netboot.model.urls import HERE, ContentPlace
from netboot.render import kernel_line
from netboot.render.template_engine import Engine

_IPXE_SYSLOG_PORT: Final = 514  # src/include/ipxe/syslog.h; there is no setting for another one
_SUFFIXES: Final = {ScriptLanguage.IPXE: "ipxe", ScriptLanguage.GRUB: "cfg"}


def boot_script(
    engine: Engine,
    plan: ScriptPlan,
    language: ScriptLanguage,
    *,
    base_url: str,
    place: ContentPlace = HERE,
    log_port: int = 0,
) -> str:
    """Render the script for `plan`; `base_url` is this server's on the machine's LAN. Raises RenderError.

    `log_port`: this server's port for logs, or 0.
    """
    mac = plan.mac
    subject = plan.host.name if plan.host else mac
    context: dict[str, object] = {
        "mac": mac,
        "host": plan.host,
        "name": subject,
        "language": language,
        "appliance": base_url,
        "script_url": urls.ipxe_script(base_url, mac),
        "config_path": urls.grub_config(base_url, mac),
        "ipxe_log_server": _ipxe_log_server(base_url, log_port),
    }
    match plan:
        case InstallPlan(host=host, kickstart_token=token):
            arguments = kernel_line.installer(
                host, mac=mac, base_url=base_url, kickstart_token=token, place=place, log_port=log_port
            )
            context |= _kernel(arguments, host.boot_media, base_url=base_url, place=place)
            return _script(engine, language, "install", subject=subject, context=context)
        case InspectPlan(medium=medium, host=host, token=token, wipe=wipe):
            arguments = kernel_line.inspection(
                host, mac, medium=medium, base_url=base_url, token=token, place=place, log_port=log_port
            )
            context |= {"wipe": wipe, **_kernel(arguments, medium, base_url=base_url, place=place)}
            return _script(engine, language, "wipe" if wipe else "inspect", subject=subject, context=context)
        case RescuePlan(medium=medium, host=host):
            arguments = kernel_line.rescue(
                host, mac=mac, medium=medium, base_url=base_url, place=place, log_port=log_port
            )
            context |= _kernel(arguments, medium, base_url=base_url, place=place)
            return _script(engine, language, "rescue", subject=subject, context=context)
        case LocalBootPlan(method=method):
            context |= {"method": method.value if method else ""}
            return _script(engine, language, "local", subject=subject, context=context)
        case WaitPlan(reason=reason, found=found):
            context |= {"reason": reason, "would_boot": _would_boot(plan, base_url=base_url, place=place)}
            context |= {"found": found, "facts_query": IPXE_QUERY}
            return _script(engine, language, "wait", subject=subject, context=context)
        case _:
            assert_never(plan)


def _kernel(
    arguments: tuple[str, ...], medium: str | None, *, base_url: str, place: ContentPlace
) -> Mapping[str, object]:
    """Return what a script needs to boot the kernel of a medium."""
    medium_url = urls.medium(place.loader_url_for(base_url), medium)
    medium_path = urls.grub_path(medium_url)
    return {"medium": medium, "medium_url": medium_url, "medium_path": medium_path, "arguments": arguments}


def autoexec(engine: Engine, mac: Mac | None, *, base_url: str, log_port: int = 0) -> str:
    """Render the `autoexec.ipxe` that chainloads the script of `mac`; None: of the card that iPXE booted from."""
    context = {
        "mac": mac,
        "script_url": urls.ipxe_script(base_url, mac),
        "ipxe_log_server": _ipxe_log_server(base_url, log_port),
    }
    return _script(engine, ScriptLanguage.IPXE, "autoexec", subject=mac or "any machine", context=context)


def _ipxe_log_server(base_url: str, log_port: int) -> str | None:
    return urls.address_of(base_url) if log_port == _IPXE_SYSLOG_PORT else None


def _script(engine: Engine, language: ScriptLanguage, name: str, *, subject: str, context: Mapping[str, object]) -> str:
    template = f"{language}/{name}.{_SUFFIXES[language]}.j2"
    text = engine.render(template, subject=subject, context={**context, "state": name})
    if language is ScriptLanguage.IPXE and not re.match(r"#!ipxe\s", text):
        fault = "does not begin with #!ipxe"
    elif not text.strip():
        fault = "is empty"
    else:
        return text
    raise RenderError(f"cannot render {language} for {subject}: template {template} {fault}; correct the template")


def _would_boot(plan: WaitPlan, *, base_url: str, place: ContentPlace) -> tuple[str, ...]:
    """List the kernel arguments of a host that gets its installer once its machine is announced, for a comment.

    Any machine on the LAN can read it, so the host's own arguments have only values that are no secrets.
    """
    if plan.reason is WaitReason.NOT_ANNOUNCED and plan.host is not None and plan.host.boot_media is not None:
        with suppress(RenderError):  # a line that is too long; the host is not ready, and this script waits
            shown = replace(plan.host, kernel_arguments=tuple(map(argument_for_anybody, plan.host.kernel_arguments)))
            return kernel_line.installer(
                shown, mac=plan.mac, base_url=base_url, kickstart_token=HIDDEN_TOKEN, place=place
            )
    return ()
