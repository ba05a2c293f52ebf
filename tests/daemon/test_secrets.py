"""No output of the appliance has a secret: not of its files, not of a boot, and not one that its machine sends."""

import base64
import json
import signal
import socket
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import zstandard
from fixtures.daemon import wait_until
from fixtures.packets import SERVER
from fixtures.planted_secrets import PLANTED, write_appliance
from fixtures.rack import Machine, Rack, a_rack, token_in
from secrets_search import (
    SEALED_HASH,
    Finding,
    Secret,
    contents_of,
    database_files,
    files_below,
    search,
    secrets_of_accounts,
    secrets_of_store,
)

pytestmark = pytest.mark.integration

PASSWORD = "planted18-login-x7Qz"
CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")
COMMANDS = {
    "plan": ("plan",),
    "plan as JSON": ("plan", "--json"),
    "plan compared": ("plan", "--diff"),
    "explain": ("explain", "cp1"),
    "explain as JSON": ("explain", "cp1", "--json"),
    "check": ("check",),
    "check as JSON": ("check", "--json"),
    "hooks": ("hooks", "list", "--json"),
    "host show": ("host", "show", "cp1", "--json"),
    "host list": ("host", "list", "--json"),
    "install logs": ("install", "logs", "cp1"),
    "install history": ("install", "history", "cp1", "--json"),
    "user list": ("user", "list", "--json"),
    "token list": ("token", "list", "--json"),
    "install show": ("install", "show", "cp1", "--json"),
    "updates": ("updates", "--json"),
    "power status": ("power", "status", "cp1"),
    "power status as JSON": ("power", "status", "--all", "--json"),
    "power cycle": ("power", "cycle", "cp1", "--force"),
}
ROUTES = (
    *("status", "hosts", "hosts/cp1", "hosts/cp1/install", "hosts/cp1/history", "hosts/cp1/served", "machines"),
    *("hosts/cp1/plan", "hosts/cp1/explain", "updates", "power", "hosts/cp1/power", "hosts/cp1/actions"),
    *("installs", "content/uses", "cluster/ignition", "hooks", "events?follow=0", "installs/cp1/logs?follow=0"),
)


@dataclass(frozen=True)
class Run:
    """Two boots of cp1 that ended, its appliance, the secrets of both, what the machine was served, and all outputs."""

    rack: Rack
    secrets: list[Secret]
    served: Mapping[str, bytes]
    outputs: Mapping[str, bytes]
    stores: Mapping[str, bytes]  # the files of the database, after each step of both boots, and the tables of a backup


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    directory = tmp_path_factory.mktemp("planted")
    secrets = write_appliance(directory)
    with a_rack(directory) as rack:
        rack.start()
        rack.netboot("install", "arm", "cp1", "--force")
        cp1, copies = rack.machine(*CP1), Copies(directory / "netboot.db")
        served, tokens = boot(cp1, copies)
        rack.netboot("install", "arm", "cp1", "--force")
        later = fail(cp1, copies)
        records = directory / "records"
        wait_until(lambda: any(b"Environment=" in data for data in files_below(records).values()) or None)
        accounts, kept = use_accounts(rack)
        use_bmc(rack)
        copies.take("users and tokens were added")
        stores = copies.taken | backed_up(rack)
        outputs = outputs_of(rack)
        yield Run(rack, [*secrets, *tokens, *later, *accounts], served | kept, outputs, stores)


class Copies:
    """Copies of the database while it is written, as a thief takes them: its file, its write-ahead log, its index."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.taken: dict[str, bytes] = {}

    def take(self, after: str) -> None:
        self.taken |= {f"{name} after {after}": data for name, data in database_files(self.database).items()}


def backed_up(rack: Rack) -> dict[str, bytes]:
    """Back the store up, and unpack the tables of the file."""
    rack.netboot("store", "backup", str(file := rack.directory / "store.backup"))
    with tarfile.open(file) as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive.getmembers() if member.isfile()]
        packed = {name: opened.read() for name, opened in members if opened is not None}
    return {
        f"backup {name}": zstandard.ZstdDecompressor().decompressobj().decompress(data)
        for name, data in packed.items()
        if name.endswith(".zst")
    }


def boot(cp1: Machine, copies: Copies) -> tuple[dict[str, bytes], list[Secret]]:
    """Install cp1; it sends whatever it has of secrets wherever a machine can send text."""
    cp1.boots()
    script = cp1.script()
    copies.take("the script")
    tokens = secrets_of_store(copies.database)
    kickstart = cp1.get(f"/ks/{token_in(script, 'ks')}").body
    report, ignition = token_in(kickstart, "report"), token_in(kickstart, "ign")
    for secret in tokens:
        send_lines(cp1, secret.text)
        send_requests(cp1, secret.text)
    copies.take("the Kickstart")
    cp1.report(report, "started", kickstart)
    cp1.report(report, "log", "".join(f"netboot-pre: {line}\n" for line in (script + kickstart).splitlines()))
    cp1.report(report, "done", f"fetched http://{SERVER}:8080/ks/{token_in(script, 'ks')}\n{kickstart}")
    copies.take("the report of the end")
    parts = {part: cp1.get(f"/ign/{ignition}{part}").body for part in ("", "/role", "/overlay")}
    cp1.report(report, "log", "\n".join(json.dumps({"MESSAGE": line}) for line in lines_of_role(parts["/role"])))
    cp1.report(report, "ready")
    copies.take("the Ignition")
    node = token_in(unquote(parts["/overlay"]), "node")
    cp1.get(f"/node/{node}", "-X", "POST", "--data-binary", f"booted {'ab' * 32}\ntag {node}\nupdater active\n")
    copies.take("a report of the node")
    documents = {"script": script, "kickstart": kickstart, **parts}
    return {name: text.encode() for name, text in documents.items()}, tokens


def fail(cp1: Machine, copies: Copies) -> list[Secret]:
    """Boot cp1 into another install, send its tokens by DHCP and with the request of a script, and report a failure."""
    cp1.boots()
    kickstart = cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body
    tokens = secrets_of_store(copies.database)
    cp1.report(token_in(kickstart, "report"), "failed", f"{kickstart}\n{kickstart}")
    for secret in tokens:
        send_options(cp1, secret.text.encode())
        cp1.get(f"/boot/{cp1.mac}.ipxe?token={secret.text}&serial={secret.text}&product={secret.text}")
    copies.take("the failed boot")
    return tokens


def use_accounts(rack: Rack) -> tuple[list[Secret], dict[str, bytes]]:
    """Add a user and an API token, and send password and token where they belong and where they do not.

    Returns these secrets with their hashes, and what the user and the program keep of them.
    """
    password, wrong = (rack.directory / name for name in ("password", "wrong-password"))
    password.write_text(PASSWORD)
    wrong.write_text(PASSWORD[:11])
    rack.netboot("user", "add", "alice", "--role", "admin", "--password-file", str(password))
    rack.netboot("user", "add", PASSWORD, "--role", "admin", "--password-file", str(password), status=1)
    rack.netboot("user", "set", "alice", "--password-file", str(wrong), status=1)
    token = json.loads(rack.netboot("token", "create", "ci", "--role", "admin", "--json"))["token"]
    bearer = f"Authorization: Bearer {token}"
    assert rack.curl_api("-H", bearer, "-X", "POST", "/api/v1/content/rescan").status == 200
    assert rack.curl_api("-H", f"{bearer}x", "/api/v1/users").status == 401
    assert rack.curl_api("-H", f"Authorization: Basic {token}", "/api/v1/users").status == 401
    assert rack.curl_api("-b", f"netboot-session={token}", "/api/v1/users").status == 401
    body = json.dumps({"name": "eve", "role": "admin", "password": {"text": PASSWORD}})
    assert rack.curl_api("-H", bearer, "-d", body, "/api/v1/users").status == 400
    assert rack.curl_api("-H", bearer, f"/api/v1/hosts/{token}").status == 404
    secrets = [Secret("password of a user", PASSWORD), Secret("API token", token)]
    kept = {"file of the user's password": PASSWORD.encode(), "program": token.encode()}
    return [*secrets, *secrets_of_accounts(rack.directory / "netboot.db")], kept


def use_bmc(rack: Rack) -> None:
    """Set the password of the BMC of cp1, send it where it does not belong, and use the BMC, which does not answer."""
    file, password = rack.directory / "bmc-password", PLANTED["password of a BMC"]
    file.write_text(password)
    printed = rack.netboot("bmc", "credentials", "cp1", "--username", "root", "--password-file", str(file))
    assert printed.endswith("bmc.d/cp1\nfor http://127.0.0.1:9 (certificate: verify)\n")
    body = json.dumps({"username": "root", "password": {"text": password}})
    assert rack.curl_api("-X", "PUT", "-d", body, "/api/v1/hosts/cp1/bmc/credentials").status in {400, 401}
    rack.netboot("bmc", "credentials", "w9", "--username", "root", "--password-file", str(file), status=1)
    assert "cp1: power pxe is failed" in rack.netboot("power", "pxe", "cp1", "--force", status=1)


def lines_of_role(role: str) -> list[str]:
    """Return what programs of the installed system may print of its Ignition: its text, and the contents of files.

    Without the free text that its owner alone may read: no form of a line shows that it is a secret.
    """
    config = json.loads(role)
    config["storage"]["files"] = [
        file for file in config["storage"]["files"] if not file["path"].startswith("/etc/site/owner")
    ]
    for file in config["storage"]["files"]:
        file["contents"].pop("httpHeaders", None)
    return [
        *json.dumps(config, indent=1).splitlines(),
        *(line for content in contents_of(config) for line in content.decode("utf-8", "replace").splitlines()),
    ]


def send_options(cp1: Machine, token: bytes) -> None:
    """Send a token in options of DHCP that a machine fills in."""
    texts = [(option, token) for option in (12, 43, 61, 67, 77, 82, 124, 125)]
    cp1.send_options([(53, b"\1"), (60, token), (93, b"\0\7"), *texts])
    cp1.send_options([(53, b"\1"), (60, b"PXEClient:Arch:00007:UNDI:003001"), (93, b"\0\7"), *texts])
    cp1.discover(vendor=b"PXEClient:Arch:00007:UNDI:003001:" + token)


def send_requests(cp1: Machine, token: str) -> None:
    """Send a token in URLs and headers of HTTP, and in names of TFTP."""
    for path in (
        f"/{token}", f"/boot/{token}.ipxe", f"/bootfiles/{token}", f"/content/media/{token}", f"/ostree/{token}/config",
        f"/boot/{cp1.mac}/{token}", f"/report/{token}/{token}", f"/ks/{token}x", f"/ks/{token[:20]}", f"//ks//{token}",
        f"/%6bs/{token}x", f"/KS/{token.upper()}", f"/content/{quote(f'http://{SERVER}/ks/{token}', safe='')}",
    ):  # fmt: skip
        cp1.get(path, "-A", token, "-H", f"X-Token: {token}", "-e", f"http://{SERVER}/ks/{token}")
    with cp1.rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((cp1.address, 0))
        for name in (token, f"ks/{token}", f"boot/{cp1.mac}/{token}"):
            sender.sendto(b"\0\1" + name.encode() + b"\0octet\0", (SERVER, 69))


def send_lines(cp1: Machine, token: str) -> None:
    """Send a token in lines of a log, plain, encoded, and beside other digits."""
    encoded = [base64.b64encode(f"{before}http://{SERVER}/ks/{token}".encode()).decode() for before in ("", "a", "bc")]
    lines = [
        f"<6>ipxe: http://{SERVER}:8080/ks/{token}", f"<6>{token}: text", f"<6>kernel: {token} {token.upper()}",
        f"<6>kernel: {token.encode().hex()}", f"<6>x: {quote(f'/ks/{token}', safe='')}", f"<6>x: a{token}b{token}",
        f"<6>x: {token[:16]}\\n{token[16:]}", f"<6>x: {token[::-1]}", *(f"<6>kernel: {text}" for text in encoded),
    ]  # fmt: skip
    with cp1.rack.client_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((cp1.address, 0))
        for line in lines:
            sender.sendto(line.encode(), (SERVER, 514))


def outputs_of(rack: Rack) -> dict[str, bytes]:
    """Collect what the appliance shows, logs and stores for operators."""
    found = {f"netboot {name}": _printed(rack, *arguments) for name, arguments in COMMANDS.items()}
    found |= {f"GET {route}": rack.api_text(f"/api/v1/{route}") for route in ("users", "tokens", "session")}
    found |= {f"GET {route}": rack.curl_api(f"/api/v1/{route}").body.encode() for route in ROUTES}
    found["metrics"] = rack.curl_api("/metrics").body.encode()
    found["log of the daemon"] = rack.log.encode()
    found |= {f"support of {name}": support(rack, name) for name in ("cp1", "w1", "0A-00-00-00-00-99")}
    with sqlite3.connect(f"file:{rack.directory / 'netboot.db'}?mode=ro", uri=True) as store:
        for table in (
            "events",
            "moves",
            "hook_deliveries",
            "hook_results",
            "machines",
            "served_documents",
            "power_intents",
        ):
            found[f"table {table}"] = repr(store.execute(f"SELECT * FROM {table}").fetchall()).encode()
    store.close()
    return found | files_below(rack.directory / "records")


def support(rack: Rack, name: str) -> bytes:
    """Have the daemon make a support archive; no part of it may be missing."""
    path = rack.directory / f"{name}.tar.gz"
    done = rack.run("support", name, "-o", str(path), "--json")
    assert json.loads(done.stdout)["faults"] == [], done.stderr
    return path.read_bytes()


def _printed(rack: Rack, *arguments: str) -> bytes:
    done = rack.run(*arguments)
    return (done.stdout + done.stderr).encode()


def test_each_secret_is_where_it_belongs(run: Run):
    """Otherwise the search could find none anywhere."""
    ours = {path: data for path, data in files_below(run.rack.directory).items() if "/records/" not in path}
    places = {finding.secret for finding in search({**ours, **run.served}, run.secrets)}

    assert places == {secret.name for secret in run.secrets} - {SEALED_HASH}


def test_no_copy_of_the_database_has_a_secret(run: Run):
    """A thief of the store without its key has no token, no hosts file, no document and no password's hash."""
    hashes = {f"sha256 of {table}" for table in ("api_tokens", "sessions")}  # of 256 random bits: what the store needs
    secrets = [secret for secret in run.secrets if secret.name not in hashes]

    assert len(run.stores) > 12
    assert b"cp1" in run.stores["backup tables/installs.jsonl.zst"]
    assert all(b"script-sent" in data for name, data in run.stores.items() if name.startswith("netboot.db-wal after t"))
    assert search(run.stores, secrets) == list[Finding]()


def test_no_output_has_a_secret(run: Run):
    assert all(run.outputs.values()), {name for name, data in run.outputs.items() if not data}
    assert "rack-one" in run.outputs["netboot explain"].decode()
    assert search(run.outputs, run.secrets) == list[Finding]()


def test_an_archive_without_a_daemon_has_no_secret_and_names_what_is_missing(run: Run):
    rack = run.rack
    if rack.exit_code is None:
        rack.signal(signal.SIGTERM)
        assert rack.wait() == 0

    printed = rack.netboot("support", "cp1", "-o", str(rack.directory / "offline.tar.gz"))

    assert "no daemon runs: what only a daemon has is missing: status, health, metrics" in printed
    assert search({"archive": (rack.directory / "offline.tar.gz").read_bytes()}, run.secrets) == list[Finding]()
