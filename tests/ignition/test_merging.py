"""Configurations that are merged here are equal to those that the real Ignition merges."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ignition.faulty import data, document, file, files, packed

from netboot.ignition.check import read_ignition
from netboot.ignition.merging import merged, rendered
from netboot.ignition.problem import Problems
from netboot.ignition.resource import Resources
from netboot.ignition.schema import Json

SAMPLES = Path(__file__).parent / "samples"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"


def sample(name: str) -> bytes:
    """Return a file of ocne with the newest specification of Debian's Ignition."""
    return (SAMPLES / name).read_bytes().replace(b'"3.4.0"', b'"3.3.0"')


def array(level: str, *devices: str) -> bytes:
    return document(storage={"raid": [{"name": "md0", "level": level, "devices": devices, "options": ["-x"]}]})


def user(name: str, *keys: str, **other: Any) -> bytes:
    return document(passwd={"users": [{"name": name, "sshAuthorizedKeys": list(keys), **other}]})


def unit(name: str, **values: Any) -> bytes:
    return document(systemd={"units": [{"name": name, **values}]})


def disk(*partitions: dict[str, Any], **other: Any) -> bytes:
    return document(storage={"disks": [{"device": "/dev/vda", "partitions": list(partitions), **other}]})


def kernel(**lists: list[str]) -> bytes:
    return document(kernelArguments=lists)


def filesystem(*options: str, **other: Any) -> bytes:
    return document(storage={"filesystems": [{"device": "/dev/vda1", "options": list(options), **other}]})


def naming(*children: bytes, **other: Any) -> bytes:
    return document(ignition={"config": {"merge": [{"source": data(child)} for child in children]}}, **other)


LINK = {"path": "/etc/tested", "target": "/etc/other"}
HEADERS = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
MERGES = {
    "role and overlay of the samples": [sample("worker-join.ign"), sample("overlay-node.ign")],
    "the first node and an overlay": [sample("init.ign"), sample("overlay-node.ign")],
    "another file": [files(file("/etc/a")), files(file("/etc/b"))],
    "the contents of a file": [files(file(mode=0o600)), files({"path": "/etc/tested", "mode": 0o644})],
    "a file that inherits its mode": [files({**file(), "mode": 0o600}), files(file(source="data:,other"))],
    "a compression that is inherited": [
        files(file(source=packed(b"text"), compression="gzip")),
        files(file(source=packed(b"other"))),
    ],
    "a compression that is replaced": [
        files(file(source=packed(b"text"), compression="gzip")),
        files(file(source="data:,other", compression="")),
    ],
    "what is appended": [
        files({"path": "/etc/tested", "append": [{"source": "data:,1"}]}),
        files({"path": "/etc/tested", "append": [{"source": "data:,1"}, {"source": "data:,2"}]}),
    ],
    "a link instead of a file": [files(file(), file("/etc/b")), document(storage={"links": [LINK]})],
    "a file instead of a link": [document(storage={"links": [LINK]}), files(file())],
    "a file before a directory": [
        files(file("/etc/a"), directories=[{"path": "/etc/d", "mode": 0o700}]),
        files(file("/etc/d"), directories=[{"path": "/etc/a"}]),
    ],
    "the keys of a user": [user("ocne", f"{KEY} a", f"{KEY} b"), user("ocne", f"{KEY} b", f"{KEY} c")],
    "a user's hash and another user": [user("ocne", passwordHash="x"), user("other"), user("ocne", passwordHash="y")],
    "drop-ins of a unit": [
        unit("a.service", enabled=True, dropins=[{"name": "a.conf", "contents": "[Service]\n"}, {"name": "b.conf"}]),
        unit("a.service", enabled=False, dropins=[{"name": "a.conf", "contents": "[Unit]\n"}, {"name": "c.conf"}]),
    ],
    "units": [unit("a.service", enabled=True), unit("b.service", mask=True), unit("a.service", contents="[Unit]\n")],
    "partitions by number": [disk({"number": 1, "sizeMiB": 5}, {"number": 2}), disk({"number": 1, "label": "one"})],
    "partitions by label": [disk({"label": "a", "sizeMiB": 5}), disk({"label": "a", "sizeMiB": 6}, {"label": "b"})],
    "a wiped table": [disk({"number": 1}, wipeTable=True), disk({"number": 3})],
    "options of a file system": [filesystem("-a", format="xfs"), filesystem("-a", "-b", label="root", format="xfs")],
    "kernel arguments": [
        kernel(shouldExist=["a", "b"]),
        kernel(shouldExist=["b", "c"], shouldNotExist=["a"]),
    ],
    "groups": [
        document(passwd={"groups": [{"name": "a", "gid": 7}]}),
        document(passwd={"groups": [{"name": "a", "system": True}, {"name": "b"}]}),
    ],
    "arrays and their options": [array("raid1", "/dev/a"), array("raid5", "/dev/a", "/dev/b")],
    "headers": [
        files(file(source="http://192.0.2.1/a", httpHeaders=HEADERS)),
        files(file(source="http://192.0.2.1/a", httpHeaders=[{"name": "A"}, {"name": "B", "value": "3"}])),
    ],
    "timeouts and proxy": [
        document(ignition={"timeouts": {"httpTotal": 5}, "proxy": {"noProxy": ["a", "b"]}}),
        document(ignition={"timeouts": {"httpResponseHeaders": 6}, "proxy": {"noProxy": ["b", "c"]}}),
    ],
    "configurations in a configuration": [
        naming(files(file("/etc/a")), naming(files(file("/etc/b", source="data:,inner"))), storage={"links": [LINK]}),
        files(file("/etc/b", source="data:,outer")),
    ],
    "a configuration that replaces another": [
        files(file("/etc/a")),
        document(
            ignition={"config": {"replace": {"source": data(files(file("/etc/b")))}}}, storage={"links": [LINK]}
        ),
    ],
}  # fmt: skip


def by_ignition(config: bytes, directory: Path, tool: Callable[[str], str]) -> Json:
    """Return the configuration that the real Ignition keeps for its later stages."""
    path = directory / "config.ign"
    path.write_bytes(config)
    subprocess.run(
        [
            tool("ignition"), "--platform=file", "--stage=fetch", f"--root={directory}", "--log-to-stdout",
            f"--config-cache={directory}/cache.json", f"--state-file={directory}/state.json",
            f"--neednet={directory}/neednet",
        ],
        check=True, capture_output=True, timeout=60, env=os.environ | {"IGNITION_CONFIG_FILE": str(path)},
    )  # fmt: skip
    return dict(json.loads((directory / "cache.json").read_bytes()))


def comparable(config: Json) -> Any:
    """Leave out what Go writes for a missing value, the specification, and the configurations that were merged."""
    head = {name: value for name, value in config.get("ignition", {}).items() if name not in ("version", "config")}
    return _without_empty({**config, "ignition": head})


def _without_empty(value: Any) -> Any:
    match value:
        case dict():
            kept = {name: _without_empty(each) for name, each in value.items()}
            return {name: each for name, each in kept.items() if each not in (None, {}, [])}
        case list():
            return [_without_empty(each) for each in value]
        case _:
            return value


def held(resource: Json) -> Json | None:
    content = Resources(3, Problems()).verify(resource, "")
    return None if content is None else read_ignition(content).config


@pytest.mark.parametrize("name", MERGES)
def test_what_is_merged_is_equal_to_what_the_real_ignition_merges(
    name: str, tmp_path: Path, tool: Callable[[str], str]
):
    config = naming(*MERGES[name])
    file = read_ignition(config)
    assert not file.problems

    assert comparable(rendered(file.config, held)) == comparable(by_ignition(config, tmp_path, tool))


def test_a_configuration_that_is_fetched_elsewhere_stays_named():
    there = {"source": "http://192.0.2.1/a.ign"}
    inner = document(ignition={"config": {"merge": [there]}})
    config = read_ignition(naming(inner, files(file("/etc/a")))).config

    assert rendered(config, held)["ignition"] == {"version": "3.3.0", "config": {"merge": [there]}}
    replaced = {"ignition": {"version": "3.3.0", "config": {"replace": there}}}
    assert rendered(replaced, held) == replaced


def test_neither_configuration_is_changed():
    parent, child = (read_ignition(each).config for each in (files(file("/etc/a")), files(file("/etc/b"))))
    before = json.dumps([parent, child])

    merged(parent, child)

    assert json.dumps([parent, child]) == before
