"""Secrets as credentials, as docs/settings.md has them: the password of PostgreSQL, the keys of both TLS listeners.

The lines are those of `netboot.service` without `#`. PostgreSQL runs beside the container, on its loopback, and
verifies the password; curl verifies the certificates.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.daemon import START_S, wait_until
from fixtures.packets import SERVER
from fixtures.rack import Answer
from nspawn.conftest import Unit
from reliability.own_postgresql import PORT, OwnServer, an_own_server

pytestmark = [pytest.mark.integration, pytest.mark.proof]

PASSWORD, OTHER_PASSWORD = "correct horse ü", "battery staple"
CREDENTIALS = "/etc/netboot/credentials"
ADMIN, REGISTRY = f"https://{SERVER}:8470", f"https://{SERVER}:8443"
SETTINGS = f"""\
network: {{interfaces: [s0]}}
admin:
  listen: [127.0.0.1:8470, "s0:8470"]
  tls: {{certificate: tls/server.pem, key: credential:admin-key}}
registry: {{tls_port: 8443, certificate: tls/registry.pem, key: credential:registry-key}}
store:
  url: "postgresql+asyncpg://netboot@127.0.0.1:{PORT}/netboot"
  password_file: credential:store-password
  key_file: credential:store-key
"""
# docs/settings.md, "Secrets as credentials"; the file of the hook gets the name that it has in netboot.service.
KEYS = f"""set -e
netboot ca init && netboot ca issue {SERVER} && netboot ca issue --registry
cd /etc/netboot/tls && chown root: server.key registry.key && chmod 600 server.key registry.key
mv server.key ../credentials/admin-key && mv registry.key ../credentials/registry-key
mv {CREDENTIALS}/pager {CREDENTIALS}/pager-secret
rm /etc/systemd/system/netboot.service.d/10.conf
sed -i 's/^#LoadCredential=/LoadCredential=/' /etc/systemd/system/netboot.service
systemctl daemon-reload
"""


@dataclass(frozen=True, slots=True)
class Secured:
    """The unit with its credentials, the server of its store, and the CA as a client has it."""

    unit: Unit
    server: OwnServer
    ca: Path

    def set_password(self, password: str) -> None:
        """Set the password of the user on the server."""
        self.server.query(f"ALTER ROLE netboot PASSWORD '{password}'")

    def write_credential(self, name: str, content: str) -> None:
        self.unit.container.write(f"{CREDENTIALS}/{name}", content, mode="600", group="root")

    def checked(self, *environment: str, status: int = 0) -> dict[str, list[str]]:
        """Run `netboot check`."""
        done = self.unit.container.run("env", *environment, "netboot", "check", "--json", status=status)
        found: dict[str, list[str]] = json.loads(done)
        return found

    def get(self, url: str, *arguments: str) -> Answer:
        """Send a request from the boot LAN, by a client that trusts the CA alone."""
        return self.unit.curl("--cacert", str(self.ca), *arguments, url)


@pytest.fixture(scope="module")
def secured(unit: Unit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with an_own_server(unit.server_namespace) as server:
        rules = server.data / "pg_hba.conf"
        rules.write_text(f"host netboot netboot 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        for statement in (
            "CREATE ROLE netboot LOGIN",
            "CREATE DATABASE netboot OWNER netboot",
            "SELECT pg_reload_conf()",
        ):
            server.query(statement)
        unit.container.run("sh", "-c", KEYS)
        unit.container.write("/etc/netboot/netboot.yaml", SETTINGS)
        ca = tmp_path_factory.mktemp("client") / "ca.pem"
        ca.write_text(unit.container.run("cat", "/etc/netboot/tls/ca.pem"))
        yield Secured(unit, server, ca)


@pytest.fixture(autouse=True)
def running(unit: Unit, secured: Secured) -> None:
    """Each test begins with the daemon running with these credentials."""
    secured.set_password(PASSWORD)
    secured.write_credential("store-password", f"{PASSWORD}\n")
    unit.container.run("sh", "-c", "rm -f /etc/systemd/system/netboot.service.d/50.conf; systemctl daemon-reload")
    unit.container.run("systemctl", "restart", "netboot")


def test_the_store_is_opened_with_the_password_that_is_a_credential(secured: Secured):
    unit = secured.unit
    unit.netboot("install", "arm", "cp1", "--reason", "test")
    unit.netboot("install", "cancel", "cp1")

    sessions = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'netboot'"
    assert secured.server.query(sessions) == "netboot"
    assert secured.checked()["problems"] == []
    assert PASSWORD not in unit.journal()
    assert unit.container.run("stat", "-c", "%U %a", f"{CREDENTIALS}/store-password") == "root 600\n"


def test_with_a_wrong_password_the_start_fails_and_succeeds_by_itself_once_it_is_correct(secured: Secured):
    unit = secured.unit
    secured.set_password(OTHER_PASSWORD)

    failed = unit.container.run("systemctl", "restart", "netboot", status=1)

    assert "Job for netboot.service failed" in failed
    assert (
        'netboot: the store failed: password authentication failed for user "netboot"; correct user and password in '
        "store.url and store.password_file, or pg_hba.conf of the server"
    ) in unit.journal("-n", "50").splitlines()
    secured.write_credential("store-password", f"{OTHER_PASSWORD}\n")
    wait_until(lambda: unit.show("ActiveState") == "active" or None, timeout_s=START_S)
    assert secured.checked()["problems"] == []


def test_without_the_unit_a_check_names_what_it_has_no_credential_for(secured: Secured):
    unit = secured.unit
    unit.container.run("systemctl", "stop", "netboot")

    notes, given = secured.checked()["notes"], secured.checked(f"CREDENTIALS_DIRECTORY={CREDENTIALS}")

    kept = "systemd keeps credentials only while netboot.service runs: start it, or name the directory that has a file"
    assert [note for note in notes if note.startswith("not checked")] == [
        f"not checked: {what}, /run/credentials/netboot.service/{name}; {kept} {name}: "
        f"CREDENTIALS_DIRECTORY={CREDENTIALS} netboot …"
        for what, name in (
            ("the certificate of the administration: no key", "admin-key"),
            ("the certificate of the registry: no key", "registry-key"),
            ("the store: no password", "store-password"),
        )
    ]
    assert given["problems"] == []
    assert [note for note in given["notes"] if note.startswith("not checked")] == []


def test_both_tls_listeners_answer_with_keys_that_are_credentials(secured: Secured):
    token = json.loads(secured.unit.netboot("token", "create", "ci", "--role", "read-only", "--json"))["token"]

    alive, unknown = secured.get(f"{ADMIN}/livez"), secured.get(f"{ADMIN}/api/v1/status")
    status = secured.get(f"{ADMIN}/api/v1/status", "-H", f"Authorization: Bearer {token}")
    registry, other = secured.get(f"{REGISTRY}/v2/"), secured.get(f"{REGISTRY}/livez")

    assert (alive.status, unknown.status, status.status) == (204, 401, 200)
    assert json.loads(status.body)["problems"] == []
    assert (registry.status, registry.body) == (200, "{}")
    assert (other.status, other.body) == (404, "404 Not Found: no such file\n")
    for url in (f"{ADMIN}/livez", f"{REGISTRY}/v2/"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            secured.unit.curl(url)
        assert refused.value.returncode == 60, "the client does not know the CA"
    assert [line for line in secured.unit.journal().splitlines() if "asyncio" in line] == []


def test_a_credential_that_the_unit_lacks_is_a_problem_with_the_line_that_adds_it(secured: Secured):
    unit = secured.unit
    present = [
        f"LoadCredential={each}:{CREDENTIALS}/{each}" for each in ("registry-key", "store-key", "store-password")
    ]
    unit.drop_in("50", "LoadCredential=", *present)

    unit.container.run("systemctl", "restart", "netboot")

    assert secured.checked(status=1)["problems"] == [
        "admin.tls.key: cannot read /run/credentials/netboot.service/admin-key: No such file or directory; the unit "
        "has no such credential: systemctl edit netboot, add [Service] "
        f"LoadCredential=admin-key:{CREDENTIALS}/admin-key, and restart it",
        "admin.listen: s0:8470 is beyond loopback, where only TLS is served; see admin.tls",
    ]
    assert secured.get(f"{REGISTRY}/v2/").status == 200
