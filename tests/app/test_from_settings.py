"""Which new settings a reload applies, and which need a restart."""

from datetime import UTC, datetime
from pathlib import Path

from fixtures.certificates import server_pair

from netboot.app.from_settings import as_reloaded, base_urls_of, needs_restart, planned_urls, registry_for
from netboot.model.boot.offer import UnknownHosts
from netboot.operate.certificates.authority import CertificateAuthority
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


def test_an_address_that_is_not_known_is_a_placeholder_in_plans_only(tmp_path: Path):
    unknown, listened = settings(tmp_path, ""), settings(tmp_path, "http: {listen: [192.0.2.9, 192.0.2.8]}\n")

    assert (base_urls_of(unknown, {}), planned_urls(unknown, {})) == ([], ["http://SERVER:8080"])
    assert base_urls_of(listened, {}) == planned_urls(listened, {}) == ["http://192.0.2.9:8080"]


def test_nobody_is_inspected_while_a_host_is_left_out(tmp_path: Path):
    (tmp_path / "hosts.yaml").write_text("hosts: {cp1: {mac: 52:54:00:aa:bb:01, role: none}}\n")
    found = settings(tmp_path, "hosts: {unknown: inspect, inspect_media: ol9}\n")

    faulty, _ = registry_for(found, read(tmp_path / "netboot.yaml"))
    (tmp_path / "hosts.yaml").write_text("hosts: {}\n")
    sound, _ = registry_for(found, read(tmp_path / "netboot.yaml"))

    assert (faulty.policy.unknown, faulty.policy.inspect_media) == (UnknownHosts.WAIT, "ol9")
    assert (sound.policy.unknown, sound.policy.inspect_media) == (UnknownHosts.INSPECT, "ol9")


def test_nodes_trust_netboots_ca_if_it_issued_the_certificate_of_the_registry(tmp_path: Path):
    certificate, key = "tls/registry.pem", "tls/registry.key"
    text = f"registry: {{tls_port: 8443, certificate: {certificate}, key: {key}}}\nupdates: {{registry: true}}\n"
    (tmp_path / "hosts.yaml").write_text("hosts: {}\n")
    found = settings(tmp_path, text)

    def anchor() -> tuple[int, str]:
        rules = registry_for(found, read(tmp_path / "netboot.yaml"))[0].documents.updates
        return rules.tls_port, rules.ca_pem

    assert anchor() == (8443, "")
    now = datetime.now(UTC)
    authority = CertificateAuthority.create(tmp_path / "tls", "test", now=now, group=None)
    assert anchor() == (8443, "")
    server_pair(tmp_path / "tls", "192.0.2.10")[0].rename(tmp_path / certificate)
    assert anchor() == (8443, "")
    authority.issue(["192.0.2.10"], days=90, now=now).write(tmp_path / certificate, tmp_path / key, group=None)
    assert anchor() == (8443, authority.path.read_text())
