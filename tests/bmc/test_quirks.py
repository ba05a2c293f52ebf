"""Quirks are data: which entries apply to a machine, and which files are refused."""

from pathlib import Path

import pytest

from netboot.bmc.quirks import BootUriWay, KnownQuirks, MachineKind, QuirkSection, SendEnabled, SendMode, read_quirks
from netboot.errors import ConfigError

SHIPPED = Path(__file__).resolve().parents[2] / "assets/bmc/quirks.yaml"
OWN = """\
quirks:
  - {name: my-board, vendor: [contoso], model: [X100], reset_cycle: [PowerCycle]}
  - {name: old-firmware, vendor: [contoso], firmware: ["1.", "2.0"], http_once: false}
"""


@pytest.fixture
def known(tmp_path: Path) -> KnownQuirks:
    (tmp_path / "own.yaml").write_text(OWN)
    return read_quirks(SHIPPED, tmp_path / "own.yaml")


@pytest.mark.parametrize(
    ("vendor", "model", "firmware", "names"),
    [
        ("Nobody", "X", "", ("standard",)),
        ("", "", "", ("standard",)),
        ("CONTOSO Ltd", "X100-2", "3.1", ("standard", "my-board")),
        ("Contoso", "X100", "2.0.7", ("standard", "my-board", "old-firmware")),
        ("Contoso", "Y", "1.9", ("standard", "old-firmware")),
        ("General Dynamics", "", "", ("standard",)),
        ("American Megatrends Inc.", "", "", ("standard", "ami")),
        ("Hewlett Packard Enterprise", "", "", ("standard", "hpe")),
    ],
)
def test_every_entry_that_matches_applies(
    known: KnownQuirks, vendor: str, model: str, firmware: str, names: tuple[str, ...]
):
    assert known.of(MachineKind(vendor, model, firmware)).names == names


def test_a_later_entry_replaces_single_keys(known: KnownQuirks):
    found = known.of(MachineKind("Contoso", "X100", "1.0"))

    assert found.values.reset_cycle == ("PowerCycle",)
    assert found.values.reset_on == ("On", "ForceOn")
    assert found.values.http_once is False


def test_the_firmware_is_read_only_if_an_entry_names_it(known: KnownQuirks):
    assert known.needs_firmware("contoso", "Y")
    assert not known.needs_firmware("Dell Inc.", "PowerEdge R760")


def test_the_first_shipped_entry_has_each_key():
    first = read_quirks(SHIPPED).entries[0]

    missing = [name for name in QuirkSection.key_names() if getattr(first, name) is None]
    assert missing == ["bios_steps", "remaining"]
    assert (first.vendor, first.model, first.firmware) == ((), (), ())


def test_what_is_shipped_per_vendor():
    known = read_quirks(SHIPPED)
    found = {
        vendor: (quirks.values.boot_uri, quirks.values.send_enabled, quirks.values.send_mode)
        for vendor in ("Supermicro", "AMI", "Dell Inc.", "HPE", "Lenovo", "IBM", "NVIDIA")
        for quirks in [known.of(MachineKind(vendor, "", ""))]
    }

    changed, always = SendEnabled.CHANGED, SendEnabled.ALWAYS
    assert found == {
        "Supermicro": (BootUriWay.HTTP_BOOT_URI, always, SendMode.CURRENT),
        "AMI": (BootUriWay.HTTP_BOOT_URI, always, SendMode.CURRENT),
        "Dell Inc.": (BootUriWay.BIOS, changed, SendMode.NEVER),
        "HPE": (BootUriWay.BIOS, changed, SendMode.NEVER),
        "Lenovo": (BootUriWay.NONE, changed, SendMode.NEVER),
        "IBM": (BootUriWay.HTTP_BOOT_URI, changed, SendMode.NEVER),
        "NVIDIA": (BootUriWay.HTTP_BOOT_URI, changed, SendMode.NEVER),
    }


def test_every_key_is_documented():
    text = (SHIPPED.parents[2] / "docs/bmc.md").read_text()
    table = text.split("## Quirks")[1]

    assert [name for name in QuirkSection.key_names() if f"`{name}`" not in table] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("quirks: [{name: a, reset_on: [Sometimes]}]\n", "quirks[0].reset_on[0]: 'Sometimes' is none of its values"),
        ("quirks: [{vendor: [x]}]\n", "quirks[0].name: is missing; write it, as name: supermicro"),
        ("quirks: [{name: a, rest_on: [On]}]\n", "quirks[0].rest_on: no such key; did you mean reset_on?"),
        ("quirks: [{name: a, retry: [{message: x, times: 99}]}]\n", "times: 99 is out of range"),
        ("- a\n", "must be a table of keys"),
    ],
)
def test_a_faulty_file_names_place_and_cure(tmp_path: Path, text: str, fault: str):
    (tmp_path / "own.yaml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_quirks(SHIPPED, tmp_path / "own.yaml")

    assert fault in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/own.yaml:")


def test_a_missing_file_is_a_fault(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"own\.yaml: cannot be read"):
        read_quirks(SHIPPED, tmp_path / "own.yaml")
