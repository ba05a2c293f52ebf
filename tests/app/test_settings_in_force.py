"""After a reload a setting has its new value, or that of the start until the daemon is restarted."""

from pathlib import Path

from netboot.app.administration.settings_in_force import settings_in_force
from netboot.operate.appliance.appliance_facts import SettingInForce
from netboot.registry.load import Configuration, read


def configuration(directory: Path, text: str) -> Configuration:
    (directory / "netboot.yaml").write_text(f"hosts: {{files: []}}\n{text}")
    return read(directory / "netboot.yaml")


def in_force(started: Configuration, now: Configuration) -> dict[str, SettingInForce]:
    return {each.key: each for each in settings_in_force(started, now)}


def test_what_a_reload_takes_is_in_force_and_the_rest_waits_for_a_restart(tmp_path: Path):
    started = configuration(tmp_path, "tftp: {port: 69}\nstore: {url: 'sqlite+aiosqlite:////a.db'}\n")
    changed = configuration(
        tmp_path, "render: {templates: [/srv/t]}\nstore: {url: 'sqlite+aiosqlite:////b.db'}\ntftp: {port: 6969}\n"
    )

    found = in_force(started, changed)

    templates, port, url = found["render.templates"], found["tftp.port"], found["store.url"]
    assert (templates.value, templates.line, templates.waits_for_restart) == ("[/srv/t]", 2, False)
    assert (port.value, port.line, port.waits_for_restart) == ("69", 2, True)
    assert (url.value, url.line, url.waits_for_restart) == ("hidden", 3, True)


def test_without_a_change_nothing_waits(tmp_path: Path):
    started = configuration(tmp_path, "tftp: {port: 69}\n")

    found = in_force(started, configuration(tmp_path, "\ntftp: {port: 69}\n"))

    assert not any(each.waits_for_restart for each in found.values())
    assert found["tftp.port"].line == 2
