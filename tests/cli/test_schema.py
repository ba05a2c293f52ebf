"""The printed JSON Schema accepts what netboot accepts and refuses the mistakes that an editor can show."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fixtures.files import HOSTS, OPEN_SETTINGS, SETTINGS
from jsonschema import Draft202012Validator

from netboot.cli.main import cli
from netboot.yamlfile.faults import Faults
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table
from netboot.yamlfile.positions import parse

REPOSITORY = Path(__file__).parents[2]
POOL = "address_pools: {{p: {{subnet: 192.0.2.0/24, addresses: {}}}}}"
HOST = "hosts: {{w1: {{role: worker, mac: 52:54:00:12:34:56, {}}}}}"


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["schema", "--json"])
    assert (done.exit_code, done.stderr) == (0, "")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def as_json(node: Node | None) -> object:
    """A file as an editor reads it: the core schema of YAML 1.2."""
    match node:
        case Table():
            return {name: as_json(entry.value) for name, entry in node.entries.items()}
        case Listing():
            return [as_json(item) for item in node.items]
        case Scalar() if node.is_null:
            return None
        case Scalar():
            typed = node.as_boolean() if node.as_boolean() is not None else node.as_integer()
            return _float(node) if typed is None else typed
    raise AssertionError("not YAML")


def _float(node: Scalar) -> object:
    try:
        return float(node.text) if node.plain else node.text
    except ValueError:
        return node.text


def faults(schema: dict[str, Any], text: str) -> list[str]:
    validator = Draft202012Validator(schema)
    return sorted(
        ".".join(map(str, error.absolute_path)) for error in validator.iter_errors(as_json(parse(text, "f", Faults())))
    )


def examples() -> list[tuple[str, str]]:
    """Every example of the documentation and of the package, and the files of the tests."""
    blocks = [
        block.partition("```")[0] for block in (REPOSITORY / "docs/settings.md").read_text().split("```yaml\n")[1:]
    ]
    shipped = REPOSITORY / "assets/examples"
    return [
        *(("hosts.yaml" if block.startswith("cluster: {name") else "netboot.yaml", block) for block in blocks),
        *((name, (shipped / name).read_text()) for name in ("netboot.yaml", "hosts.yaml")),
        ("netboot.yaml", SETTINGS),
        ("netboot.yaml", OPEN_SETTINGS),
        ("hosts.yaml", HOSTS),
    ]


def test_the_groups_of_a_host_are_names_of_groups(schemas: dict[str, Any]):
    groups = schemas["hosts.yaml"]["$defs"]["HostSection"]["properties"]["groups"]

    assert groups["items"]["title"] == "name of a group"


@pytest.mark.parametrize("name", ["netboot.yaml", "hosts.yaml"])
def test_a_schema_is_valid_itself_and_describes_every_key(schemas: dict[str, Any], name: str):
    schema = schemas[name]
    tables = [schema, *schema["$defs"].values()]

    Draft202012Validator.check_schema(schema)
    assert json.loads(CliRunner().invoke(cli, ["schema", name]).stdout) == schema
    assert [
        key
        for table in tables
        for key, described in table["properties"].items()
        if "description" not in described and "$ref" not in described
    ] == []


@pytest.mark.parametrize(("name", "text"), examples())
def test_files_that_netboot_accepts_are_valid(schemas: dict[str, Any], name: str, text: str):
    assert faults(schemas[name], text) == []


@pytest.mark.parametrize(
    "written",
    [
        "release: 1.30",
        "mac: [52:54:00:12:34:56]",
        "ignition: own.ign",
        "ignition: {init: a.ign}",
        "network: {}",
        "network: ",
        "ntp: [192.0.2.1, time-1]",
        "network: {address: 192.0.2.5/24}",
    ],
)
def test_values_in_every_accepted_form_are_valid(schemas: dict[str, Any], written: str):
    text = f"hosts: {{w1: {{role: worker, {written}}}}}" if written.startswith("mac") else HOST.format(written)

    assert faults(schemas["hosts.yaml"], text) == []


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("netboot.yaml", "htpp: {port: 1}", ""),
        ("netboot.yaml", "http: {prot: 1}", "http"),
        ("netboot.yaml", "http: {port: 65536}", "http.port"),
        ("netboot.yaml", "http: {port: '80'}", "http.port"),
        ("netboot.yaml", "http: {listen: 192.0.2.1}", "http.listen"),
        ("netboot.yaml", "dhcp: {mode: prox}", "dhcp.mode"),
        ("netboot.yaml", "tftp: {single_port: no}", "tftp.single_port"),
        ("netboot.yaml", "network: {interfaces: [{}]}", "network.interfaces.0"),
        ("netboot.yaml", "content: {url: mirror}", "content.url"),
        ("hosts.yaml", "host: {}", ""),
        ("hosts.yaml", "roles: {manager: {}}", "roles"),
        ("hosts.yaml", "hosts: {w1: {role: worker}}", "hosts.w1"),
        ("hosts.yaml", "hosts: {w1: {role: wroker, mac: a}}", "hosts.w1.role"),
        ("hosts.yaml", HOST.format("disk: sda"), "hosts.w1.disk"),
        ("hosts.yaml", HOST.format("disk: {serial: S3, max_size: 2}"), "hosts.w1.disk.max_size"),
        ("hosts.yaml", HOST.format("disk: {choose: any}"), "hosts.w1.disk.choose"),
        ("hosts.yaml", HOST.format("kernel_arguments: [a b]"), "hosts.w1.kernel_arguments.0"),
        ("hosts.yaml", "defaults: {network: {address: 192.0.2.5/24}}", "defaults.network"),
        ("hosts.yaml", "defaults: {mac: 52:54:00:12:34:56}", "defaults"),
        ("hosts.yaml", "address_pools: {p: {subnet: 192.0.2.0/24}}", "address_pools.p"),
        ("hosts.yaml", POOL.format("192.0.2.4x"), "address_pools.p.addresses"),
        ("hosts.yaml", POOL.format("[192.0.2.40, {}]"), "address_pools.p.addresses"),
    ],
)
def test_a_mistake_is_found_where_it_is(schemas: dict[str, Any], name: str, text: str, where: str):
    assert faults(schemas[name], text) == [where]


def test_a_removed_setting_is_valid(schemas: dict[str, Any]):
    assert faults(schemas["netboot.yaml"], "content: {workers: 3}") == []
