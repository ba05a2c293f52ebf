"""Files with secrets: paths, or credentials that systemd gives the unit."""

from pathlib import Path

import pytest

from netboot.model.access.secret_file import OF_UNIT
from netboot.settings.settings import Settings

HOOK = "name: pager, events: [install.moved], url: 'https://hooks.example.org/'"
ALL = f"""\
admin: {{tls: {{certificate: tls/server.pem, key: "credential:admin-key"}}}}
registry: {{tls_port: 8443, certificate: tls/registry.pem, key: "credential:registry-key"}}
store: {{url: "postgresql+asyncpg://netboot@db/netboot", password_file: "credential:store-password"}}
hooks: [{{{HOOK}, secret_file: "credential:pager"}}]
"""


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def secrets_of(settings: Settings) -> list[Path | None]:
    tls = settings.admin.tls
    return [tls and tls.key, settings.registry.key, settings.store.password_file, settings.hooks[0].secret_file]


def test_every_setting_of_a_file_with_a_secret_may_be_a_credential(site, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/other.service")
    site.write("netboot.yaml", ALL)

    names = ("admin-key", "registry-key", "store-password", "pager")
    assert secrets_of(site.load().settings) == [Path("/run/credentials/other.service", name) for name in names]


def test_a_command_reads_those_of_the_running_unit(site):
    site.write("netboot.yaml", ALL)

    names = ("admin-key", "registry-key", "store-password", "pager")
    assert secrets_of(site.load().settings) == [OF_UNIT / name for name in names]


def test_a_directory_that_is_not_absolute_names_no_credentials(site, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "here")
    site.write("netboot.yaml", ALL)

    assert site.load().settings.store.password_file == OF_UNIT / "store-password"


def test_a_path_is_relative_to_the_settings(site, tmp_path):
    site.write("netboot.yaml", "store: {url: 'postgresql+asyncpg://netboot@db/netboot', password_file: secrets/pw}\n")

    path = site.load().settings.store.password_file
    assert path.parts[-2:] == ("secrets", "pw")
    assert (path.parents[1] / "netboot.yaml").exists()


def test_the_url_of_the_store_names_the_file_for_all_that_opens_it(site):
    url = "postgresql+asyncpg://netboot@db.example.com:5433/netboot?host=/run/a%20b"
    site.write("netboot.yaml", f"store: {{url: '{url}', password_file: /etc/netboot/a&b}}\n")

    assert site.load().settings.store.url == (
        "postgresql+asyncpg://netboot@db.example.com:5433/netboot?host=%2Frun%2Fa+b&password_file=%2Fetc%2Fnetboot%2Fa%26b"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "content: {directory: 'credential:x'}",
            "netboot.yaml:1:22: content.directory: only a setting of a file with a secret may be a credential; "
            "write the path of a file",
        ),
        (
            "store: {url: 'postgresql+asyncpg://n@db/n', password_file: 'credential:../x'}",
            "netboot.yaml:1:60: store.password_file: '../x' is not a name of a credential; "
            "write it as credential:NAME, with the name that LoadCredential= of the unit has",
        ),
        (
            "store: {password_file: pw}",
            "netboot.yaml:1:24: store.password_file: is for PostgreSQL only; remove it",
        ),
        (
            "store: {url: 'postgresql+asyncpg://n:secret@db/n', password_file: pw}",
            "netboot.yaml:1:67: store.password_file: store.url has a password too; remove the one in store.url",
        ),
    ],
)
def test_what_is_no_credential_is_refused_without_the_secret(site, text: str, fault: str):
    site.write("netboot.yaml", f"{text}\n")

    assert site.faults() == [fault]
