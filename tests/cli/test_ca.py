"""`netboot ca`: the CA is made once, a certificate as often as one is needed, and what to do next is printed."""

import os
import socket
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to a group, as root does")


@pytest.fixture(autouse=True)
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a unit whose user exists, so that the key is given to its group."""
    directory = tmp_path / "units"
    directory.mkdir()
    (directory / "netboot.service").write_text("[Service]\nUser=nobody\n")
    monkeypatch.setenv("SYSTEMD_UNIT_PATH", str(directory))


def test_the_authority_is_made_once_and_replaced_by_force_alone(netboot: CommandLine):
    first = netboot.json("ca", "init")
    again = netboot.json("ca", "init")
    forced = netboot.json("ca", "init", "--force", "--name", "rack one")

    assert (first["made"], again["made"], forced["made"]) == (True, False, True)
    assert (
        first["ca"]
        == again["ca"]
        == {
            "certificate": "./tls/ca.pem",
            "name": f"netboot on {socket.gethostname()}",
            "sha256": first["ca"]["sha256"],
            "ends_at": first["ca"]["ends_at"],
        }
    )
    assert forced["ca"]["name"] == "rack one"
    assert forced["ca"]["sha256"] != first["ca"]["sha256"]


def test_what_is_printed_leads_to_a_browser_that_trusts_the_appliance(netboot: CommandLine):
    made = netboot.printed("ca", "init").splitlines()
    again = netboot.printed("ca", "init").splitlines()
    issued = netboot.printed("ca", "issue", "appliance.example.org", "192.0.2.1").splitlines()

    assert made[0] == "made the CA ./tls/ca.pem, with its key ./tls/ca.key"
    assert again[0] == "there is a CA already, ./tls/ca.pem; --force replaces it"
    assert "let administrators' computers trust ca.pem (copy it from ./tls/ca.pem):" in made
    assert issued[0] == "issued ./tls/server.pem, with its key ./tls/server.key"
    assert "  for          appliance.example.org, 192.0.2.1" in issued
    lines = issued[issued.index("write in netboot.yaml, then systemctl restart netboot:") :]
    assert lines[1:4] == [
        "  admin:",
        "    listen: [127.0.0.1:8470, INTERFACE:8470]  # the interface of administrators, not that of machines",
        "    tls: {certificate: ./tls/server.pem, key: ./tls/server.key}",
    ]


def test_the_settings_that_are_printed_are_accepted(netboot: CommandLine):
    netboot("ca", "init")
    netboot("ca", "issue", "192.0.2.1")
    tls = f"tls: {{certificate: {netboot.directory}/tls/server.pem, key: {netboot.directory}/tls/server.key}}"
    netboot.config.write_text(netboot.config.read_text().replace("listen: 127.0.0.1:8470", f"listen: lo:8470, {tls}"))

    issued = netboot.printed("ca", "issue", "192.0.2.2")
    shown = netboot.json("ca", "show")

    assert "write in netboot.yaml" not in issued
    assert (shown["served"]["names"], shown["served"]["problem"]) == (["192.0.2.2"], None)
    assert shown["served"]["issuer"] == f"CN={shown['ca']['name']}"
    text = netboot.printed("ca", "show").splitlines()
    assert "certificate ./tls/server.pem" in text
    assert "  for          192.0.2.2" in text


def test_without_a_name_it_is_for_this_computer_and_the_settings(netboot: CommandLine):
    admin = 'listen: ["127.0.0.1:8470", "192.0.2.7:8470"], public_url: "https://a.example.org:8470"'
    netboot.config.write_text(netboot.config.read_text().replace("listen: 127.0.0.1:8470", admin))
    netboot("ca", "init")

    assert netboot.json("ca", "issue")["names"] == [socket.gethostname().lower(), "a.example.org", "192.0.2.7"]


def test_the_daemons_group_can_read_the_key_of_the_certificate_alone(netboot: CommandLine):
    netboot("ca", "init")
    netboot("ca", "issue", "a")

    group = netboot.directory.joinpath("tls").stat().st_gid
    files = {path.name: (path.stat().st_gid == group, oct(path.stat().st_mode & 0o777))
             for path in (netboot.directory / "tls").glob("*.key")}  # fmt: skip
    assert files == {"ca.key": (False, "0o600"), "server.key": (True, "0o640")}


def test_without_the_daemons_user_the_owner_alone_reads_the_key_and_a_line_names_it(
    netboot: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    (tmp_path / "units/netboot.service").write_text("[Service]\nUser=no-such-user\n")
    netboot("ca", "init")

    issued = netboot.printed("ca", "issue", "a")

    assert "  the daemon's user must be able to read ./tls/server.key: run it as root, or see netboot check" in issued


def test_what_is_missing_is_named(netboot: CommandLine):
    without = netboot("ca", "issue")
    shown = netboot.printed("ca", "show").splitlines()
    netboot("ca", "init")
    name = netboot("ca", "issue", "https://a")
    days = netboot("ca", "issue", "a", "--days", "398")

    assert str(without.exception) == f"there is no CA in {netboot.directory}/tls; netboot ca init makes one"
    assert shown == ["no CA; netboot ca init makes one", "no certificate is named in admin.tls"]
    assert str(name.exception).startswith("'https://a' is neither a host name nor an address")
    assert days.exit_code == 2


def test_a_certificate_that_cannot_be_read_is_shown_with_its_problem(netboot: CommandLine):
    admin = "listen: lo:8470, tls: {certificate: server.pem, key: server.key}"
    netboot.config.write_text(netboot.config.read_text().replace("listen: 127.0.0.1:8470", admin))

    problem = (
        "admin.tls.certificate: cannot read ./server.pem: No such file or directory; "
        "netboot ca issue makes a certificate and its key, or correct admin.tls.certificate"
    )
    assert netboot.json("ca", "show") == {
        "ca": None,
        "served": {"certificate": "./server.pem", "problem": problem},
        "registry": None,
    }
    assert netboot.printed("ca", "show").splitlines()[1:] == ["certificate ./server.pem", f"  problem      {problem}"]


def test_no_output_has_a_key(netboot: CommandLine):
    outputs = [netboot.printed("ca", verb, *more) for verb, *more in (["init"], ["issue", "a"], ["show"])]
    outputs += [netboot.printed("ca", verb, "--json", *more) for verb, *more in (["init"], ["issue", "a"], ["show"])]

    secrets = [
        line for path in (netboot.directory / "tls").glob("*.key") for line in path.read_text().splitlines()[1:-1]
    ]
    assert secrets
    assert [line for line in secrets for output in outputs if line in output] == []


def test_the_certificate_of_the_registry_is_for_the_addresses_that_machines_use(netboot: CommandLine):
    """The loopback interface stands for one on which machines boot: every computer has it."""
    netboot.printed("ca", "init")
    issued = netboot.printed("ca", "issue", "--registry").splitlines()

    assert issued[0] == "issued ./tls/registry.pem, with its key ./tls/registry.key"
    assert "  for          127.0.0.1" in issued
    assert "  podman, skopeo, CRI-O  /etc/containers/certs.d/127.0.0.1:8443/ca.crt" in issued
    setting = issued[issued.index("write in netboot.yaml, then systemctl restart netboot:") + 1]
    assert setting == "  registry: {tls_port: 8443, certificate: ./tls/registry.pem, key: ./tls/registry.key}"

    written = setting.removeprefix("  ").replace("8443", "9443").replace("./tls", f"{netboot.directory}/tls")
    netboot.config.write_text(f"{netboot.config.read_text()}{written}\n")
    shown = netboot.json("ca", "show")
    again = netboot.printed("ca", "issue", "--registry", "192.0.2.7").splitlines()

    assert (shown["served"], shown["registry"]["names"], shown["registry"]["problem"]) == (None, ["127.0.0.1"], None)
    assert "  podman, skopeo, CRI-O  /etc/containers/certs.d/192.0.2.7:9443/ca.crt" in again
    assert not [line for line in again if "netboot.yaml" in line]
