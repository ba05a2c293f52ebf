"""Settings are shown as they can be written, with their place in the file and without secrets."""

from pathlib import Path

from netboot.settings.settings import Settings, read_settings
from netboot.settings.shown_settings import ShownSetting, shown_settings
from netboot.yamlfile.faults import Faults

FILE = """\
network:
  interfaces: [eno2, {name: eno3, advertise: 198.51.100.1}]
dhcp: {mode: reservation,
       pool: [192.0.2.200-192.0.2.220]}
store: {url: "postgresql+asyncpg://netboot:XYZZY-1@db/netboot"}
content: {deltas: false}
hooks:
  - {name: pager, url: "https://chat.example.org/XYZZY-2", events: [install.moved]}
  - {name: local, command: [/bin/notify, XYZZY-3], events: [boot.*]}
"""


def shown(directory: Path, text: str) -> dict[str, ShownSetting]:
    path = directory / "netboot.yaml"
    path.write_text(text)
    faults = Faults()
    settings, tree = read_settings(path, faults)
    assert not faults
    return {each.key: each for each in shown_settings(settings, tree)}


def test_a_value_is_as_it_can_be_written_and_has_the_line_of_its_file(tmp_path: Path):
    found = shown(tmp_path, FILE)

    interfaces, mode, deltas = found["network.interfaces"], found["dhcp.mode"], found["content.deltas"]
    assert interfaces.value == "[{name: eno2}, {name: eno3, advertise: 198.51.100.1}]"
    assert (mode.value, deltas.value) == ("reservation", "false")
    assert [each.place and (each.place.file, each.place.line) for each in (interfaces, mode, deltas)] == [
        (f"{tmp_path}/netboot.yaml", 2),
        (f"{tmp_path}/netboot.yaml", 3),
        (f"{tmp_path}/netboot.yaml", 6),
    ]


def test_a_default_has_no_place_and_what_is_not_set_has_no_value(tmp_path: Path):
    found = shown(tmp_path, FILE)

    assert (found["dhcp.port"].value, found["dhcp.port"].place) == ("67", None)
    assert (found["dhcp.router"].value, found["content.url"].value, found["bootfiles.loaders"].value) == ("", "", "")
    assert found["dhcp.port"].description == "The port of DHCP."


def test_no_secret_is_shown(tmp_path: Path):
    found = shown(tmp_path, FILE)

    assert "XYZZY" not in str(found)
    assert found["store.url"].value == "hidden"
    assert found["hooks"].value == (
        "[{name: pager, events: [install.moved], url: hidden}, {name: local, events: [boot.*], command: hidden}]"
    )


def test_without_a_file_every_setting_has_its_default():
    found = shown_settings(Settings(), None)

    assert {each.place for each in found} == {None}
    assert {each.section for each in found} == set(Settings.model_fields)
