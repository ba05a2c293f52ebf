"""Which new settings a reload applies, and which need a restart."""

from pathlib import Path

from netboot.app.from_settings import as_reloaded, needs_restart, registry_for
from netboot.model.boot.offer import UnknownHosts
from netboot.registry.load import load_settings, read
from netboot.settings.settings import Settings


def settings(directory: Path, text: str) -> Settings:
    (directory / "netboot.yaml").write_text("network: {interfaces: [eno2]}\n" + text)
    return load_settings(directory / "netboot.yaml")


def test_a_reload_takes_what_decides_and_names_what_waits_for_a_restart(tmp_path: Path):
    running = settings(tmp_path, "")

    changed = settings(tmp_path, "hosts: {unknown: wait}\ncontent: {deltas: false}\ntftp: {port: 6969}\n")

    assert needs_restart(running, changed) == ["tftp", "content"]
    assert as_reloaded(running, changed) == settings(tmp_path, "hosts: {unknown: wait}\n")


def test_nobody_is_inspected_while_a_host_is_left_out(tmp_path: Path):
    (tmp_path / "hosts.yaml").write_text("hosts: {cp1: {mac: 52:54:00:aa:bb:01, role: none}}\n")
    found = settings(tmp_path, "hosts: {unknown: inspect, inspect_media: ol9}\n")

    faulty, _ = registry_for(found, read(tmp_path / "netboot.yaml"))
    (tmp_path / "hosts.yaml").write_text("hosts: {}\n")
    sound, _ = registry_for(found, read(tmp_path / "netboot.yaml"))

    assert (faulty.policy.unknown, faulty.policy.inspect_media) == (UnknownHosts.WAIT, "ol9")
    assert (sound.policy.unknown, sound.policy.inspect_media) == (UnknownHosts.INSPECT, "ol9")
