"""The overlay's part for updates: the same bytes as `ocne` writes, accepted by Ignition, skopeo and systemd."""

import base64
import gzip
import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, unquote_to_bytes

import pytest

from netboot.ignition.check import check_merged, read_ignition
from netboot.model.host.host import Host
from netboot.model.host.image_trust import RegistryMirror
from netboot.render.ignition import overlay
from netboot.render.node_updates import NodeUpdates, UpdateSource
from netboot.render.template_engine import Engine

READY: Final = f"http://192.0.2.10:8080/report/{'a' * 32}/ready"
SOURCE: Final = UpdateSource("192.0.2.10:8080", "olcne/ock-ostree", "1.33")
UPDATES: Final = NodeUpdates(SOURCE, f"http://192.0.2.10:8080/node/{'c' * 32}")
CONFIG: Final = "/etc/ocne/update.yaml"
INSECURE: Final = "/etc/containers/registries.conf.d/40-netboot-updates.conf"
MIRRORS: Final = "/etc/containers/registries.conf.d/50-mirror.conf"


def document(engine: Engine, host: Host, updates: NodeUpdates = UPDATES) -> Any:
    written = overlay(engine, host, version="3.4.0", ready_url=READY, updates=updates)
    assert read_ignition(written).problems == ()
    assert host.ignition is not None
    assert not check_merged([read_ignition(host.ignition.read_bytes()), read_ignition(written)])
    return json.loads(written)


def files_of(engine: Engine, host: Host, updates: NodeUpdates = UPDATES) -> Mapping[str, tuple[str, str]]:
    """Return mode and text of each file."""
    return {
        file["path"]: (oct(file["mode"]), unquote(file["contents"]["source"].removeprefix("data:,")))
        for file in document(engine, host, updates)["storage"]["files"]
    }


def units_of(engine: Engine, host: Host, updates: NodeUpdates = UPDATES) -> Mapping[str, Any]:
    return {unit["name"]: unit for unit in document(engine, host, updates)["systemd"]["units"]}


def test_the_overlay_with_updates(cp1: Host, engine: Engine, golden: Callable[[str, str], None]):
    golden("cp1-updates-overlay.json", json.dumps(document(engine, cp1), indent=2, ensure_ascii=False) + "\n")
    golden("cp1-report-updates", files_of(engine, cp1)["/etc/netboot/report-updates"][1])


def test_update_yaml_has_the_form_that_ocne_writes(cp1: Host, engine: Engine):
    [ours] = [file for file in document(engine, cp1)["storage"]["files"] if file["path"] == CONFIG]
    assert cp1.ignition is not None
    role = json.loads(cp1.ignition.read_bytes())
    [theirs] = [file for file in role["storage"]["files"] if file["path"] == CONFIG]

    image = b"container-registry.oracle.com/olcne/ock-ostree"
    assert _content(ours) == _content(theirs).replace(image, b"192.0.2.10:8080/olcne/ock-ostree")
    assert (ours["mode"], ours["overwrite"]) == (theirs["mode"], True) == (0o400, True)


def _content(file: Any) -> bytes:
    head, _, data = file["contents"]["source"].partition(",")
    read = base64.b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
    return gzip.decompress(read) if file["contents"]["compression"] == "gzip" else read


def test_without_tls_the_registry_is_insecure_and_with_tls_its_ca_is_trusted(cp1: Host, engine: Engine):
    plain = files_of(engine, cp1)
    secured = files_of(engine, cp1, NodeUpdates(replace(SOURCE, has_tls=True, ca_pem="CA\n")))
    foreign = files_of(engine, cp1, NodeUpdates(replace(SOURCE, has_tls=True)))

    assert tomllib.loads(plain[INSECURE][1]) == {"registry": [{"location": "192.0.2.10:8080", "insecure": True}]}
    assert plain[INSECURE][0] == "0o644"
    assert secured.keys() - foreign.keys() == {"/etc/pki/ca-trust/source/anchors/netboot-registry.pem"}
    assert secured["/etc/pki/ca-trust/source/anchors/netboot-registry.pem"] == ("0o644", "CA\n")
    assert INSECURE not in secured


def test_each_part_stands_alone(cp1: Host, engine: Engine):
    nothing = files_of(engine, cp1, NodeUpdates())
    registry = files_of(engine, cp1, NodeUpdates(SOURCE))
    report = files_of(engine, cp1, NodeUpdates(None, UPDATES.report_url))

    assert registry.keys() - nothing.keys() == {CONFIG, INSECURE}
    assert report.keys() - nothing.keys() == {"/etc/netboot/report-updates"}
    assert units_of(engine, cp1, NodeUpdates(SOURCE)) == units_of(engine, cp1, NodeUpdates())
    assert units_of(engine, cp1).keys() - units_of(engine, cp1, NodeUpdates()).keys() == {
        "netboot-updates.service",
        "netboot-updates.timer",
        "netboot-updates.path",
    }


def test_the_token_is_in_a_file_for_root_alone(cp1: Host, engine: Engine):
    found = {path: mode for path, (mode, text) in files_of(engine, cp1).items() if "c" * 32 in text}

    assert found == {"/etc/netboot/report-updates": "0o700"}
    assert not any("c" * 32 in unit.get("contents", "") for unit in units_of(engine, cp1).values())


def test_the_timer_and_the_path_are_enabled_and_the_service_is_not(cp1: Host, engine: Engine):
    units = units_of(engine, cp1)

    assert {name: units[name].get("enabled") for name in units if "updates" in name} == {
        "netboot-updates.service": None,
        "netboot-updates.timer": True,
        "netboot-updates.path": True,
    }


def test_systemd_accepts_the_units(cp1: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]):
    names = [name for name in units_of(engine, cp1) if "updates" in name]
    for name in names:
        (tmp_path / name).write_text(units_of(engine, cp1)[name]["contents"])

    judged = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip

    assert [line for line in judged.stderr.splitlines() if "netboot-updates" in line] == []


def test_ignition_validate_accepts_it(cp1: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]):
    file = tmp_path / "config.ign"
    file.write_text(json.dumps(document(engine, cp1)).replace("3.4.0", "3.3.0"))

    judged = subprocess.run([tool("ignition-validate"), file], check=False, capture_output=True, text=True, timeout=10)

    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash"])
def test_the_script_is_of_bash(shell: str, cp1: Host, engine: Engine):
    script = files_of(engine, cp1)["/etc/netboot/report-updates"][1]

    judged = subprocess.run([shell, "-n"], input=script, check=False, capture_output=True, text=True, timeout=10)

    assert (judged.returncode, judged.stderr) == (0, "")


@pytest.mark.parametrize("mirrored", [{}, {"container-registry.oracle.com": "mirror.example.org:5000"}])
def test_skopeo_reads_our_file_beside_the_mirrors(
    mirrored: dict[str, str], cp1: Host, engine: Engine, tmp_path: Path, tool: Callable[[str], str]
):
    """It requests our registry by HTTP, where without the file it would use TLS alone; nothing listens there."""
    own = {"127.0.0.1:1": (RegistryMirror("127.0.0.1:1", insecure=True),)}
    mirrors = {prefix: (RegistryMirror(location, insecure=True),) for prefix, location in mirrored.items()}
    host = replace(cp1, registries=mirrors | own)
    files = files_of(engine, host, NodeUpdates(replace(SOURCE, registry="127.0.0.1:9")))
    directory = tmp_path / ".config/containers/registries.conf.d"
    directory.mkdir(parents=True)
    for path in (INSECURE, MIRRORS):
        (directory / Path(path).name).write_text(files[path][1])

    found = {image: _inspected(tool("skopeo"), image, tmp_path) for image in ("127.0.0.1:9/x:1", "127.0.0.1:1/x:1")}

    assert {image: "http://" in error for image, error in found.items()} == dict.fromkeys(found, True)


def _inspected(skopeo: str, image: str, home: Path) -> str:
    return subprocess.run(
        [skopeo, "inspect", f"docker://{image}"],
        check=False, capture_output=True, text=True, timeout=60, env=os.environ | {"HOME": str(home)},
    ).stderr  # fmt: skip
