import re
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from netboot.model.admin_listen import AddressEndpoint
from netboot.model.boot.offer import UnknownHosts
from netboot.settings.settings import DhcpMode, LogFormat, LogLevel, Settings
from netboot.yamlfile.sections import editor_schema

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "settings.md"


def documented() -> dict[str, tuple[str, str, str]]:
    """Type, default and first line of text of every setting that the documentation has a heading for."""
    heading = re.compile(r"^### `(.+)`\n\*\*Type\*\* (.+) · \*\*Default\*\* `(.+)`\n\n(.+)$", re.MULTILINE)
    return {path: (kind, default, text) for path, kind, default, text in heading.findall(DOCUMENTATION.read_text())}


def settings_of_the_schema() -> dict[str, dict[str, Any]]:
    """Every setting in the order of the file, as the JSON Schema for editors describes it."""
    schema = editor_schema(Settings)
    found = {}
    for section, described in schema["properties"].items():
        is_list = "items" in described
        table = (described["items"] if is_list else described)["$ref"].rpartition("/")[2]
        for name, setting in schema["$defs"][table]["properties"].items():
            found[f"{section}[].{name}" if is_list else f"{section}.{name}"] = setting
    return found


def as_written(default: object) -> str:
    match default:
        case list():
            return f"[{', '.join(map(as_written, default))}]"
        case bool() | None:
            return {True: "true", False: "false", None: "none"}[default]
        case _:
            return str(default)


def test_every_setting_is_documented_and_nothing_else():
    headings = re.findall(r"^### `(.+)`$", DOCUMENTATION.read_text(), re.MULTILINE)

    assert headings == list(settings_of_the_schema())


@pytest.mark.parametrize(("path", "setting"), settings_of_the_schema().items())
def test_the_documentation_names_type_and_default(path: str, setting: dict[str, Any]):
    kind, default, text = documented()[path]

    assert kind == setting.get("title") or kind == f"list: {setting['items']['title']}"
    assert default == as_written(setting.get("default"))
    assert text.startswith(setting["description"].rstrip("."))


def test_the_defaults_are_those_of_the_contract():
    settings = Settings()

    assert settings.network.interfaces == ()
    assert (settings.dhcp.mode, settings.dhcp.port, settings.dhcp.pxe_port) == (DhcpMode.PROXY, 67, 4011)
    assert (settings.tftp.port, settings.tftp.single_port) == (69, False)
    assert (settings.http.port, settings.http.listen) == (8080, ())
    assert settings.admin.listen == (AddressEndpoint(IPv4Address("127.0.0.1"), 8470),)
    assert settings.admin.socket == Path("/run/netboot/control.sock")
    assert settings.content.directory == Path("/var/lib/netboot/content")
    assert settings.bootfiles.directories == tuple(
        map(
            Path,
            ("/usr/share/ipxe", "/usr/lib/ipxe", "/usr/share/ipxe/x86_64-efi", "/usr/share/ipxe/arm64-efi"),
        )
    )
    assert settings.render.templates == (Path("/etc/netboot/templates"),)
    assert settings.install.attempts == 3
    assert settings.store.url == "sqlite+aiosqlite:////var/lib/netboot/netboot.db"
    assert settings.hosts.files == (Path("hosts.yaml"), Path("hosts.d"))
    assert settings.hosts.unknown is UnknownHosts.IGNORE
    assert (settings.log.level, settings.log.format) == (LogLevel.INFO, LogFormat.AUTO)


def test_settings_never_change():
    with pytest.raises(ValidationError):
        Settings().http.port = 80  # type: ignore[misc]


def test_the_stores_url_is_not_shown_because_it_may_contain_a_password(site):
    site.write("netboot.yaml", "store: {url: 'postgresql+asyncpg://u:secret@h/n'}\n")

    settings = site.load().settings

    assert settings.store.url == "postgresql+asyncpg://u:secret@h/n"
    assert "secret" not in repr(settings)
