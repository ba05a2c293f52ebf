"""Which hosts get their updates from here, and what their overlay has."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from netboot.boot.documents.ignition_documents import IgnitionDocuments, IgnitionPart
from netboot.boot.documents.node_update_rules import NodeUpdateRules
from netboot.content.assets import assets_directory
from netboot.content.library.record import Record
from netboot.ignition.check import read_ignition
from netboot.ignition.merging import rendered
from netboot.ignition.resource import content_of
from netboot.model.host.host import Host, HostName, HostSet, Role
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens
from netboot.model.release import RemoteRelease
from netboot.render.node_updates import NO_UPDATES, NodeUpdates, UpdateSource
from netboot.render.template_engine import Engine

BASE: Final = "http://192.0.2.10:8080"
TOKENS: Final = Tokens("1" * 32, "2" * 32, "3" * 32, "4" * 32)
HOST: Final = Host(HostName("cp1"), Role.CONTROL_PLANE, (Mac("52:54:00:aa:bb:01"),), release="stable")
SOURCE: Final = UpdateSource("192.0.2.10:8080", "olcne/ock-ostree", "stable")


@pytest.fixture
def rules(tmp_path: Path) -> NodeUpdateRules:
    """The release 1.33 was an image, and `stable` is its alias; `archive` was none, and `odd` has a wrong record."""
    for name, image in (("1.33", f"olcne/ock-ostree@sha256:{'a' * 64}"), ("archive", ""), ("odd", "?")):
        (tmp_path / "ostree" / name).mkdir(parents=True)
        record = Record("file", "", "2026-11-30T00:00:00+00:00", image=image)
        record.write(tmp_path / "ostree" / name)
    (tmp_path / "ostree/stable").symlink_to("1.33")
    return NodeUpdateRules(tmp_path, registry=True, report=True)


def of(rules: NodeUpdateRules, host: Host = HOST, tokens: Tokens = TOKENS) -> NodeUpdates:
    return asyncio.run(rules.of(host, tokens, base_url=BASE))


def test_a_node_follows_the_tag_that_is_its_release_and_reports(rules: NodeUpdateRules):
    assert of(rules) == NodeUpdates(SOURCE, f"{BASE}/node/{'4' * 32}")
    assert rules.problem(HOST) is None


def test_each_setting_has_its_own_part(rules: NodeUpdateRules):
    assert of(replace(rules, report=False)) == NodeUpdates(SOURCE)
    assert of(replace(rules, registry=False)) == NodeUpdates(None, f"{BASE}/node/{'4' * 32}")
    assert of(replace(rules, registry=False, report=False)) == NO_UPDATES
    assert of(rules, tokens=Tokens("1" * 32, "2" * 32, "3" * 32)) == NodeUpdates(SOURCE)


def test_with_tls_the_registry_is_at_its_port_and_its_ca_is_trusted(rules: NodeUpdateRules):
    found = of(replace(rules, tls_port=8443, ca_pem="CA\n", report=False))

    assert found.source == UpdateSource("192.0.2.10:8443", "olcne/ock-ostree", "stable", has_tls=True, ca_pem="CA\n")


@pytest.mark.parametrize(
    ("release", "problem"),
    [
        ("archive", "its release archive was not imported as an image"),
        ("odd", "its release odd was not imported as an image"),
        ("missing", "its release missing was not imported as an image"),
        (
            RemoteRelease("http://192.0.2.1/ostree", "ock"),
            "its release ock of http://192.0.2.1/ostree is on another server",
        ),
    ],
)
def test_a_host_whose_release_is_no_image_of_this_appliance(
    rules: NodeUpdateRules, release: str | RemoteRelease, problem: str
):
    host = replace(HOST, release=release)

    assert of(rules, host).source is None
    assert rules.problem(host) == (
        f"updates.registry has no effect on cp1: {problem}; "
        "netboot content import-image FILE makes a release with its image"
    )
    assert replace(rules, registry=False).problem(host) is None


def test_a_host_without_a_release_is_no_problem_of_updates(rules: NodeUpdateRules):
    assert rules.problem(replace(HOST, release=None)) is None
    assert of(rules, replace(HOST, release=None)).source is None


@pytest.mark.parametrize("is_embedded", [False, True])
def test_the_overlay_of_a_host_has_its_part_also_if_it_is_embedded(
    rules: NodeUpdateRules, hosts: HostSet, *, is_embedded: bool
):
    engine = Engine([assets_directory() / "templates"])
    documents = IgnitionDocuments(engine, lambda: datetime(2026, 11, 30, tzinfo=UTC), updates=rules)
    host = replace(hosts.named("cp1"), release="stable")

    made = asyncio.run(documents.render(host, TOKENS, mac=host.mac, base_url=BASE, is_embedded=is_embedded))

    config = read_ignition(made[IgnitionPart.WRAPPER if is_embedded else IgnitionPart.OVERLAY]).config
    text = json.dumps(rendered(config, lambda resource: read_ignition(content_of(resource) or b"{}").config))
    assert quote("registry: 192.0.2.10:8080/olcne/ock-ostree\ntag: stable\n") in text
    assert quote(f"{BASE}/node/{'4' * 32}") in text
