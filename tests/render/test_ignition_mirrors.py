"""Mirrors and CAs of the overlay: another TOML parser reads the mirrors, and the real skopeo uses them."""

import hashlib
import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.ignition.check import read_ignition
from netboot.model.host.host import Host
from netboot.model.host.image_trust import CaAnchor, RegistryMirror
from netboot.render.ignition import overlay
from netboot.render.quoting import toml
from netboot.render.template_engine import Engine

READY: Final = f"http://192.0.2.10:8080/report/{'a' * 32}/ready"
MIRRORS: Final = "/etc/containers/registries.conf.d/50-mirror.conf"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


def files_of(engine: Engine, host: Host) -> Mapping[str, tuple[str, str, str]]:
    """Return mode, compression and text of each file of the overlay."""
    written = overlay(engine, host, version="3.4.0", ready_url=READY)
    assert read_ignition(written).problems == ()
    return {
        file["path"]: (
            oct(file["mode"]),
            file["contents"]["compression"],
            unquote(file["contents"]["source"].removeprefix("data:,")),
        )
        for file in json.loads(written)["storage"]["files"]
    }


def test_the_mirrors_of_a_host(cp1: Host, engine: Engine, golden: Callable[[str, str], None]):
    oracle = (RegistryMirror("mirror.example.org:5000/oracle"), RegistryMirror("192.0.2.2:5000", insecure=True))
    itself = (RegistryMirror("192.0.2.3:5000", insecure=True),)
    host = replace(cp1, registries={"container-registry.oracle.com": oracle, "192.0.2.3:5000": itself})

    mode, compression, text = files_of(engine, host)[MIRRORS]

    golden("mirror.conf", text)
    assert (mode, compression) == ("0o644", "")
    assert tomllib.loads(text) == {
        "registry": [
            {
                "prefix": "container-registry.oracle.com",
                "location": "container-registry.oracle.com",
                "mirror": [
                    {"location": "mirror.example.org:5000/oracle"},
                    {"location": "192.0.2.2:5000", "insecure": True},
                ],
            },
            {"prefix": "192.0.2.3:5000", "location": "192.0.2.3:5000", "insecure": True},
        ]
    }


def test_a_registry_that_is_listed_twice_for_itself_makes_one_key(cp1: Host, engine: Engine):
    twice = (RegistryMirror("192.0.2.3:5000", insecure=True),) * 2
    text = files_of(engine, replace(cp1, registries={"192.0.2.3:5000": twice}))[MIRRORS][2]
    expected = {"prefix": "192.0.2.3:5000", "location": "192.0.2.3:5000", "insecure": True}
    assert tomllib.loads(text) == {"registry": [expected]}


@pytest.mark.parametrize("registries", [{}, {"quay.io": ()}])
def test_without_mirror_there_is_no_file(
    registries: Mapping[str, tuple[RegistryMirror, ...]], cp1: Host, engine: Engine
):
    assert MIRRORS not in files_of(engine, replace(cp1, registries=registries))


def test_the_certificates_of_cas_are_files_that_all_can_read(cp1: Host, engine: Engine):
    pem = "-----BEGIN CERTIFICATE-----\nAA+/==\n-----END CERTIFICATE-----\n"

    files = files_of(engine, replace(cp1, ca_anchors=(CaAnchor(Path("/etc/netboot/ca/site.pem"), pem),)))

    assert files["/etc/pki/ca-trust/source/anchors/site.pem"] == ("0o644", "", pem)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])))
def test_a_text_of_toml_is_one_text_again_for_another_parser(value: str):
    assert tomllib.loads(f"key = {toml(value)}\nlast = 1") == {"key": value, "last": 1}


def manifest() -> bytes:
    digest = f"sha256:{hashlib.sha256(CONFIG).hexdigest()}"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(CONFIG)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()


@contextmanager
def registry(requested: list[str]) -> Iterator[int]:
    """Serve one image as an OCI registry does, by HTTP on a loopback port."""
    bodies = {
        "/v2/": b"{}",
        "/v2/oracle/olcne/ock-ostree/manifests/1.33": manifest(),
        f"/v2/oracle/olcne/ock-ostree/blobs/sha256:{hashlib.sha256(CONFIG).hexdigest()}": CONFIG,
        "/v2/oracle/olcne/ock-ostree/tags/list": b'{"name":"oracle/olcne/ock-ostree","tags":["1.33"]}',
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requested.append(self.path)
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", MANIFEST if "/manifests/" in self.path else "application/json")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield httpd.server_port
        finally:
            httpd.shutdown()
            thread.join()


def inspected(skopeo: str, image: str, home: Path, conf: str) -> subprocess.CompletedProcess[str]:
    path = home / ".config" / "containers" / "registries.conf.d" / "50-mirror.conf"  # of a user
    path.parent.mkdir(parents=True)
    path.write_text(conf)
    return subprocess.run(
        [skopeo, "inspect", *(["--no-tags"] if "oracle.com" in image else []), f"docker://{image}"],
        check=False, capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(home)},
    )  # fmt: skip


@pytest.mark.integration
@pytest.mark.parametrize("uses_mirror", [True, False])
def test_the_real_skopeo_inspects_an_image_of_a_mirror_and_of_an_insecure_registry(
    uses_mirror: bool, cp1: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]
):
    requested: list[str] = []
    with registry(requested) as port:
        served = f"127.0.0.1:{port}"
        name, location = ("container-registry.oracle.com", f"{served}/oracle") if uses_mirror else (served, served)
        host = replace(cp1, registries={name: (RegistryMirror(location, insecure=True),)})
        image = f"{name}{'' if uses_mirror else '/oracle'}/olcne/ock-ostree:1.33"

        found = inspected(tool("skopeo"), image, tmp_path, files_of(engine, host)[MIRRORS][2])

    assert (found.returncode, found.stderr) == (0, "")
    shown = json.loads(found.stdout)
    assert (shown["Architecture"], shown["Digest"]) == ("amd64", f"sha256:{hashlib.sha256(manifest()).hexdigest()}")
    assert shown["RepoTags"] == ([] if uses_mirror else ["1.33"])  # skopeo lists tags at the registry itself
    assert "/v2/oracle/olcne/ock-ostree/manifests/1.33" in requested
