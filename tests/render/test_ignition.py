"""Wrapper and overlay as golden files; the real Ignition verifies them and merges them with files of `ocne`."""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest

from netboot.ignition.check import read_ignition
from netboot.model.host.host import Host
from netboot.model.host.mac import Mac
from netboot.render.ignition import overlay, wrapper
from netboot.render.template_engine import Engine

TOKEN = "b" * 32
READY = f"http://192.0.2.10:8080/report/{'a' * 32}/ready"


def lowered(document: bytes) -> bytes:
    """Make a copy for Debian's Ignition 2.14, which stops at 3.3.0."""
    return document.replace(b'"version":"3.4.0"', b'"version":"3.3.0"')


def the_three(engine: Engine, host: Host, base_url: str, version: str = "3.4.0") -> dict[str, bytes]:
    """Make the documents of one host by the path below /ign/."""
    assert host.ignition
    role = host.ignition.read_bytes()
    if version == "3.3.0":
        role = lowered(role)
    over = overlay(engine, host, version=read_ignition(role).version, ready_url=READY, mac=host.macs[-1])
    wrapped = wrapper(
        version=read_ignition(role).version,
        base_url=base_url,
        token=TOKEN,
        role_sha512=hashlib.sha512(role).hexdigest(),
        overlay_sha512=hashlib.sha512(over).hexdigest(),
    )
    return {"": wrapped, "/role": role, "/overlay": over}


def readable(document: bytes) -> str:
    return json.dumps(json.loads(document), indent=2, ensure_ascii=False) + "\n"


def text_of(document: dict[str, Any], path: str) -> str:
    (file,) = [file for file in document["storage"]["files"] if file["path"] == path]
    return unquote(file["contents"]["source"].removeprefix("data:,"))


def test_the_overlay_of_each_host(host: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    document = the_three(engine, host, base_url)["/overlay"]

    golden(f"{host.name}-overlay.ign", readable(document))
    for file in json.loads(document)["storage"]["files"]:
        golden(f"{host.name}-{Path(file['path']).name}", text_of(json.loads(document), file["path"]))


def test_the_wrapper_of_each_host(host: Host, engine: Engine, base_url: str, golden: Callable[[str, str], None]):
    golden(f"{host.name}-wrapper.ign", readable(the_three(engine, host, base_url)[""]))


def test_ignition_validate_accepts_every_document(
    host: Host, engine: Engine, base_url: str, tmp_path: Path, tool: Callable[[str], str]
):
    for name, document in the_three(engine, host, base_url).items():
        file = tmp_path / "config.ign"
        file.write_bytes(lowered(document))
        judged = subprocess.run(
            [tool("ignition-validate"), str(file)], check=False, capture_output=True, text=True, timeout=10
        )

        assert (name, judged.returncode, judged.stderr) == (name, 0, "")


def test_no_file_inherits_a_compression_and_none_is_left_from_an_older_install(host: Host, engine: Engine):
    document = json.loads(overlay(engine, host, version="3.4.0", ready_url=READY))

    assert [(file["overwrite"], file["contents"]["compression"]) for file in document["storage"]["files"]] == [
        (True, "")
    ] * 3


def test_what_holds_a_secret_is_for_root_alone(cp1: Host, engine: Engine):
    document = json.loads(overlay(engine, cp1, version="3.4.0", ready_url=READY))

    assert {file["path"]: oct(file["mode"]) for file in document["storage"]["files"]} == {
        "/etc/hostname": "0o644",
        "/etc/NetworkManager/system-connections/enp1s0.nmconnection": "0o600",
        "/etc/netboot/report-ready": "0o700",
    }


CHRONY_CONF = """\
# Written by netboot: the time servers of cp1. The rest is what Oracle Linux 8 installs.
server 192.0.2.1 iburst
server ntp.example.com iburst
driftfile /var/lib/chrony/drift
makestep 1.0 3
rtcsync
keyfile /etc/chrony.keys
leapsectz right/UTC
logdir /var/log/chrony
"""


def test_time_servers_are_written_to_chrony_conf_and_chronyd_is_enabled(cp1: Host, engine: Engine):
    host = replace(cp1, ntp=("192.0.2.1", "ntp.example.com"))

    written = overlay(engine, host, version="3.4.0", ready_url=READY)

    document = json.loads(written)
    assert text_of(document, "/etc/chrony.conf") == CHRONY_CONF
    assert {"name": "chronyd.service", "enabled": True} in document["systemd"]["units"]
    assert read_ignition(written).problems == ()


def test_a_chrony_conf_of_the_roles_file_is_kept(cp1: Host, engine: Engine):
    host = replace(cp1, ntp=("192.0.2.1",))

    document = json.loads(
        overlay(engine, host, version="3.4.0", ready_url=READY, role_paths={"/etc/chrony.conf", "/etc/ocne"})
    )

    assert "chrony" not in json.dumps(document)


def connection_of(engine: Engine, host: Host, mac: Mac | None) -> str:
    document = json.loads(overlay(engine, host, version="3.4.0", ready_url=READY, mac=mac))
    return text_of(document, "/etc/NetworkManager/system-connections/netboot.nmconnection")


def test_the_connection_belongs_to_the_card_that_booted(cp2: Host, w1: Host, engine: Engine):
    several = replace(w1, macs=cp2.macs)

    assert "mac-address=52:54:00:AA:BB:12\n" in connection_of(engine, cp2, cp2.macs[1])
    assert "mac-address=52:54:00:AA:BB:02\n" in connection_of(engine, cp2, None)
    assert "mac-address=52:54:00:AA:BB:12\n" in connection_of(engine, several, several.macs[1])
    assert "mac-address" not in connection_of(engine, several, None)


def test_the_connection_of_an_infiniband_port_names_no_hardware_address(cp2: Host, engine: Engine):
    guid = Mac.parse("b8:ce:f6:03:00:31:33:3e")

    connection = connection_of(engine, cp2, guid)

    assert "type=infiniband\n" in connection
    assert "[infiniband]\ntransport-mode=datagram\n" in connection
    assert "mac-address" not in connection
    assert "ethernet" not in connection


def test_the_ready_unit_has_one_plain_command(host: Host, engine: Engine):
    document = json.loads(overlay(engine, host, version="3.4.0", ready_url=READY))
    (unit,) = [unit for unit in document["systemd"]["units"] if unit["name"] == "netboot-ready.service"]

    assert unit["enabled"] is True
    assert re.findall(r"^ExecStart.*$", unit["contents"], re.MULTILINE) == [
        "ExecStart=/bin/sh /etc/netboot/report-ready"
    ]
    assert "/report/" not in unit["contents"]  # anyone may read a unit


@contextmanager
def served(documents: dict[str, bytes]) -> Iterator[int]:
    """Serve what `documents` holds at that moment, below /ign/TOKEN, on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = documents[self.path.removeprefix(f"/ign/{TOKEN}")]
            self.send_response(200)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield httpd.server_port
        finally:
            httpd.shutdown()
            thread.join()


@pytest.mark.integration
def test_the_real_ignition_merges_role_and_overlay(
    host: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]
):
    documents: dict[str, bytes] = {}
    with served(documents) as port:
        documents |= the_three(engine, host, f"http://127.0.0.1:{port}", version="3.3.0")
        (tmp_path / "wrapper.ign").write_bytes(documents[""])
        fetched = subprocess.run(
            [
                tool("ignition"), "--platform=file", "--stage=fetch", f"--root={tmp_path}", "--log-to-stdout",
                f"--config-cache={tmp_path}/merged.json", f"--state-file={tmp_path}/state.json",
                f"--neednet={tmp_path}/neednet",
            ],
            check=False, capture_output=True, text=True, timeout=60,
            env=os.environ | {"IGNITION_CONFIG_FILE": str(tmp_path / "wrapper.ign")},
        )  # fmt: skip

    assert fetched.returncode == 0, fetched.stdout
    merged = json.loads((tmp_path / "merged.json").read_bytes())
    (user,) = [user for user in merged["passwd"]["users"] if user["name"] == "ocne"]
    paths = {file["path"] for file in merged["storage"]["files"]}
    units = {unit["name"] for unit in merged["systemd"]["units"]}
    assert {"/etc/hostname", "/etc/kubernetes/kubeadm.conf", "/etc/netboot/report-ready"} <= paths
    assert {"ocne.service", "kubelet.service", "netboot-ready.service"} <= units
    assert set(host.ssh_keys) <= set(user["sshAuthorizedKeys"])
    assert user["passwordHash"]
