"""A machine's iPXE script: install, boot the own disk, or wait and request again.

Pure: a plan in, text out; makes no decisions. Written for iPXE of 2019 (Debian 12) and later:
only absolute URLs (`${next-server}` is the LAN's own DHCP server), no option that was added later.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import assert_never

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptPlan, WaitPlan, WaitReason
from netboot.model.host.mac import Mac
from netboot.model.install.token import HIDDEN_TOKEN
from netboot.render import kernel_line
from netboot.render.content_place import HERE, ContentPlace
from netboot.render.template_engine import Engine


def script(engine: Engine, plan: ScriptPlan, *, base_url: str, place: ContentPlace = HERE) -> str:
    """Render the script for `plan`; it begins with `#!ipxe` and its newline.

    `base_url` is `http://ADDRESS:PORT` of this server on the machine's LAN, `place` where content is. Raises
    RenderError.
    """
    match plan:
        case InstallPlan():
            return _install(engine, plan, base_url=base_url, place=place)
        case LocalBootPlan(mac=mac, host=host):
            name = host.name if host else mac
            return _script(engine, "local", subject=name, context={"mac": mac, "name": name})
        case WaitPlan():
            return _wait(engine, plan, base_url=base_url, place=place)
        case _:
            assert_never(plan)


def autoexec(engine: Engine, mac: Mac | None, *, base_url: str) -> str:
    """Render the `autoexec.ipxe` that chainloads a machine's script by its absolute URL; raise RenderError.

    If `mac` is None, the script uses the MAC of the card that iPXE booted from.
    """
    context = {"mac": mac, "script_url": urls.ipxe_script(base_url, mac)}
    return _script(engine, "autoexec", subject=mac or "any machine", context=context)


def _script(engine: Engine, name: str, *, subject: str, context: Mapping[str, object]) -> str:
    template = f"ipxe/{name}.ipxe.j2"
    text = engine.render(template, subject=subject, context=context)
    if not re.match(r"#!ipxe\s", text):
        raise RenderError(
            f"cannot render ipxe for {subject}: template {template} does not begin with #!ipxe; correct the template"
        )
    return text


def _install(engine: Engine, plan: InstallPlan, *, base_url: str, place: ContentPlace) -> str:
    host, mac = plan.host, plan.boot_mac
    arguments = kernel_line.installer(
        host, mac=mac, base_url=base_url, kickstart_token=plan.kickstart_token, place=place
    )
    context = {
        "host": host,
        "mac": mac,
        "script_url": urls.ipxe_script(base_url, mac),
        "medium_url": urls.medium(place.loader_url_for(base_url), host.boot_media),
        "arguments": arguments,
    }
    return _script(engine, "install", subject=host.name, context=context)


def _wait(engine: Engine, plan: WaitPlan, *, base_url: str, place: ContentPlace) -> str:
    would_boot: tuple[str, ...] = ()
    if plan.reason is WaitReason.NOT_ANNOUNCED and plan.host is not None and plan.host.boot_media is not None:
        with suppress(RenderError):  # a line that is too long; the host is not ready, and this script waits
            would_boot = kernel_line.installer(
                plan.host, mac=plan.mac, base_url=base_url, kickstart_token=HIDDEN_TOKEN, place=place
            )
    name = plan.host.name if plan.host else plan.mac
    context = {
        "mac": plan.mac,
        "name": name,
        "reason": plan.reason,
        "script_url": urls.ipxe_script(base_url, plan.mac),
        "would_boot": would_boot,
    }
    return _script(engine, "wait", subject=name, context=context)
