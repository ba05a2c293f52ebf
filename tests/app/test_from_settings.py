"""Which new settings a reload applies, and which need a restart."""

from pathlib import Path

from netboot.app.from_settings import as_reloaded, needs_restart
from netboot.registry.load import load_settings
from netboot.settings.settings import Settings


def settings(directory: Path, text: str) -> Settings:
    (directory / "netboot.yaml").write_text("network: {interfaces: [eno2]}\n" + text)
    return load_settings(directory / "netboot.yaml")


def test_a_reload_takes_what_decides_and_names_what_waits_for_a_restart(tmp_path: Path):
    running = settings(tmp_path, "")

    read = settings(tmp_path, "hosts: {unknown: wait}\ncontent: {deltas: false}\ntftp: {port: 6969}\n")

    assert needs_restart(running, read) == ["tftp", "content"]
    assert as_reloaded(running, read) == settings(tmp_path, "hosts: {unknown: wait}\n")
