"""The same three scripts as `render.ipxe`, for GRUB 2.06 and later (shim, Secure Boot).

Pure: a plan in, text out; makes no decisions. GRUB names an HTTP server as `(http,host:port)`.
"""

from collections.abc import Mapping
from typing import assert_never

from netboot.errors import RenderError
from netboot.model import urls
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptPlan, WaitPlan
from netboot.render import kernel_line
from netboot.render.content_place import HERE, ContentPlace
from netboot.render.template_engine import Engine


def config(engine: Engine, plan: ScriptPlan, *, base_url: str, place: ContentPlace = HERE) -> str:
    """Render the grub.cfg for `plan`; raise RenderError.

    `base_url` is `http://ADDRESS:PORT` of this server, `place` where content is.
    """
    match plan:
        case InstallPlan(host=host, kickstart_token=token):
            mac = plan.boot_mac
            context = {
                "host": host,
                "mac": mac,
                "config_path": urls.grub_config(base_url, mac),
                "medium_path": urls.grub_path(urls.medium(place.loader_url_for(base_url), host.boot_media)),
                "arguments": kernel_line.installer(
                    host,
                    mac=mac,
                    base_url=base_url,
                    kickstart_token=token,
                    place=place,
                ),
            }
            return _config(engine, "install", subject=host.name, context=context)
        case LocalBootPlan(mac=mac, host=local_host):
            name = local_host.name if local_host else mac
            return _config(engine, "local", subject=name, context={"mac": mac, "name": name})
        case WaitPlan(mac=mac, reason=reason, host=waiting_host):
            name = waiting_host.name if waiting_host else mac
            context = {
                "mac": mac,
                "name": name,
                "reason": reason,
                "config_path": urls.grub_config(base_url, mac),
            }
            return _config(engine, "wait", subject=name, context=context)
        case _:
            assert_never(plan)


def _config(engine: Engine, name: str, *, subject: str, context: Mapping[str, object]) -> str:
    template = f"grub/{name}.cfg.j2"
    text = engine.render(template, subject=subject, context=context)
    if not text.strip():
        raise RenderError(f"cannot render grub for {subject}: template {template} is empty; correct the template")
    return text
