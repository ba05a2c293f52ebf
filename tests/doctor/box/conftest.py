"""A computer for the checks of the box: its files in a directory, its programs as scripts, its interfaces as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from netboot.doctor.box.box_facts import BoxFacts
from netboot.doctor.box.box_inputs import BoxInputs
from netboot.model.host.network import InterfaceAddress
from netboot.serve.net.links import Link
from netboot.settings.settings import Settings, read_settings
from netboot.yamlfile.faults import Faults


def link(*addresses: str, index: int = 2, mtu_bytes: int = 1500, is_up: bool = True) -> Link:
    found = tuple(InterfaceAddress(IPv4Interface(address)) for address in addresses)
    return Link(index, found, mtu_bytes, is_up, has_carrier=is_up)


def settings_of(directory: Path, text: str = "") -> Settings:
    """Return the settings of a file whose boot interface is `s0`; `text` are further sections."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "netboot.yaml").write_text("network: {interfaces: [s0]}\n" + text)
    faults = Faults()
    settings, _ = read_settings(directory / "netboot.yaml", faults)
    assert list(faults.problems) == []
    return settings


@dataclass(frozen=True)
class Computer:
    """`with_file` and `with_program` give it what a check reads; `inputs` are those of the checks."""

    root: Path
    links: dict[str, Link] = field(default_factory=lambda: {"lo": link("127.0.0.1/8"), "s0": link("192.0.2.10/24")})

    def with_file(self, path: str, text: str) -> "Computer":
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return self

    def with_program(self, name: str, script: str) -> "Computer":
        self.with_file(f"bin/{name}", f"#!/bin/sh\n{script}\n")
        (self.root / "bin" / name).chmod(0o755)
        return self

    def inputs(self, *, settings: str = "", links: Mapping[str, Link] | None = None, **others: Any) -> BoxInputs:
        facts = BoxFacts(self.root, f"{self.root}/bin:/usr/bin:/bin")
        return BoxInputs(settings_of(self.root, settings), self.links | dict(links or {}), facts, **others)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path / "computer")
