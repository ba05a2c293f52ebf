"""No value of a hosts file leaves its quotation in a document: it is refused, or other parsers find it as one value.

Each document is rendered twice, with a plain value and with a hostile one, and read by a parser of its language. Both
must have the same words, keys and lines, and differ in the value alone.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterable, Mapping
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.errors import RenderError
from netboot.model.boot.offer import InstallPlan, LocalBootPlan, ScriptLanguage, WaitPlan, WaitReason
from netboot.model.host.host import Host
from netboot.registry.host_files import HostsFile, declare
from netboot.registry.hosts import build_hosts
from netboot.render import kernel_line
from netboot.render.boot_script import boot_script
from netboot.render.ignition import overlay
from netboot.render.kickstart import kickstart
from netboot.render.template_engine import Engine
from netboot.yamlfile.faults import Faults

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "assets" / "templates"
BASE_URL: Final = "http://192.0.2.10:8080"
TOKEN: Final = "0" * 32
PLAIN: Final = "qz7x"  # each hostile value begins with it, so that it is nowhere else in a document
MARK: Final = "\N{REPLACEMENT CHARACTER}"
HOSTILE: Final = st.text(st.sampled_from("'\"`$\\;|&<>(){}[]*?#%!~^ \t\n\r\0=,.:/-_@+aA0é\u2028\u200b"), max_size=10)

HOSTS: Final = """\
hosts:
  {name}:
    role: worker
    mac: [52:54:00:aa:bb:01, 52:54:00:aa:bb:02]
    boot_media: {boot_media}
    release: {release}
    disk: {disk}
    timezone: {timezone}
    ntp: [{ntp}]
    kernel_arguments: [{argument}]
    ssh_keys: [{key}]
    hostname: {hostname}
    labels: {{{label_key}: {label}}}
    variables: {{value: {variable}}}
    registries: {{{registry}: [{mirror}]}}
    network: {{address: 192.0.2.101/24, interface: {interface}, search: [{search}], bond: {bond}}}
"""
DEFAULTS: Final = {
    "name": "w1",
    "boot_media": "ol8",
    "release": "ock",
    "disk": "/dev/vda",
    "timezone": "UTC",
    "ntp": "192.0.2.1",
    "argument": "quiet",
    "key": "ssh-ed25519 AAAAC3Nz",
    "hostname": "node1",
    "label_key": "rack",
    "label": "r1",
    "variable": "v",
    "registry": "registry.example.org",
    "mirror": "192.0.2.2:5000",
    "interface": "bond0",
    "search": "example.org",
    "bond": "{mode: active-backup, options: {miimon: 100}}",
}
# The places of a value, with %s for it; it is written as a quoted scalar of YAML.
PLACES: Final[Mapping[str, tuple[str, str]]] = {
    "name": ("name", "%s"),
    "boot medium": ("boot_media", "%s"),
    "release": ("release", "%s"),
    "server of a release": ("release", '{url: "http://%s.example/o", ref: ock}'),
    "path of a release": ("release", '{url: "http://192.0.2.20/%s", ref: ock}'),
    "ref of a release": ("release", '{url: "http://192.0.2.20/o", ref: "%s"}'),
    "path of a disk": ("disk", '"/dev/disk/by-id/%s"'),
    "serial number": ("disk", '{serial: "%s"}'),
    "world-wide name": ("disk", '{wwn: "%s"}'),
    "model": ("disk", '{model: "%s"}'),
    "time zone": ("timezone", "%s"),
    "time server": ("ntp", "%s"),
    "kernel argument": ("argument", "%s"),
    "comment of a key": ("key", '"ssh-ed25519 AAAAC3Nz %s"'),
    "hostname": ("hostname", "%s"),
    "name of a label": ("label_key", "%s"),
    "label": ("label", "%s"),
    "variable": ("variable", "%s"),
    "registry": ("registry", "%s"),
    "path of a registry": ("registry", '"r.example/%s"'),
    "mirror of a registry": ("mirror", "%s"),
    "path of a mirror": ("mirror", '{location: "192.0.2.2:5000/%s", insecure: true}'),
    "interface": ("interface", "%s"),
    "search domain": ("search", "%s"),
    "option of a bond": ("bond", '{mode: active-backup, options: {"%s": 100}}'),
    "value of an option": ("bond", '{mode: active-backup, options: {primary_reselect: "%s"}}'),
}


def declared(place: str, value: str) -> Host | None:
    """Read a hosts file with a value at a place; None if it is refused."""
    key, form = PLACES[place]
    scalar = json.dumps(value)  # YAML reads a string of JSON
    written = scalar if form == "%s" else form.replace('"%s"', scalar).replace("%s", scalar[1:-1])
    faults = Faults()
    text = HOSTS.format(**DEFAULTS | {key: written})
    hosts = build_hosts(declare([HostsFile("hosts.yaml", text)], faults), faults, {}).hosts
    return None if faults else next(iter(hosts))


@pytest.fixture(scope="module")
def site_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Our templates, and those of a site that print variables and labels in each language."""
    own = tmp_path_factory.mktemp("templates")
    values = "{% for name, value in host.labels.items() %}echo {{ name | F }} {{ value | F }}\n{% endfor %}"
    values += "echo {{ host.variables.value | F }}\n"
    for name, head, language in (
        ("ipxe/local.ipxe.j2", "#!ipxe\n", "ipxe_text"),
        ("grub/local.cfg.j2", "", "grub"),
        ("kickstart/post.ks.j2", "%post\n", "shell"),
    ):
        (own / name).parent.mkdir(exist_ok=True)
        (own / name).write_text(head + values.replace("F", language) + ("%end\n" if language == "shell" else ""))
    return Engine([own, TEMPLATES])


def shell_words(text: str) -> list[str]:
    """Read a script of a POSIX shell, or of GRUB, whose quotation is the same."""
    words = shlex.shlex(text, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    return list(words)


def merged_text(lines: Iterable[list[str]]) -> list[list[str]]:
    """Join the lines that follow each other and only print: a longer value moves the breaks of the others."""
    read = list[list[str]]()
    for words in lines:
        if words[0] == "echo" and len(words) == 2:
            text = " ".join(words[1].removeprefix("netboot:").split())
            if read and read[-1][0] == "echo":
                read[-1][1] = f"{read[-1][1]} {text}"
            else:
                read.append(["echo", text])
        else:
            read.append(words)
    return read


def grub_words(text: str) -> list[list[str]]:
    return merged_text(words for line in text.splitlines() if (words := shell_words(line)))


def ipxe_words(text: str) -> list[list[str]]:
    """iPXE has no quotation: it splits at blanks, expands ${…} and has three operators."""

    def words(line: list[str]) -> list[str]:
        is_text = line[0] == "echo" and not {"||", "&&", ";"} & set(line) and not any("${" in word for word in line)
        return ["echo", " ".join(line[1:])] if is_text and line[1:2] != ["-n"] else line

    lines = (line.split() for line in text.splitlines() if not line.startswith("# "))
    return merged_text(words(line) for line in lines if line)


def kickstart_words(text: str) -> list[list[str]]:
    """Split commands as pykickstart does; the sections between % and %end are scripts."""
    read, section = list[list[str]](), list[str]()
    for line in text.splitlines():
        if line.startswith("%end"):
            read.append(shell_words("\n".join(section[1:])))
            section = []
        elif section or (line.startswith("%") and not line.startswith("%include")):
            section.append(line)
        else:
            read.append(shlex.split(line, comments=True))
    assert section == []
    return read


def file_structure(path: str, text: str) -> object:
    """Read a file of the overlay by its kind."""
    if path.endswith(".nmconnection"):
        parser = ConfigParser(interpolation=None, strict=True, delimiters="=", comment_prefixes="#")
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read_string(text)
        return {section: dict(parser[section]) for section in parser.sections()}
    if path.endswith("50-mirror.conf"):
        return tomllib.loads(text)
    if path.endswith(("report-ready", "forget-ignition", ".sh")):
        return shell_words(text)
    return [line.split() for line in text.splitlines()]


def overlay_structure(text: bytes) -> object:
    document = json.loads(text)
    for file in document["storage"]["files"]:
        source = file["contents"].pop("source")
        assert source.startswith("data:,")
        file["contents"]["text"] = file_structure(file["path"], unquote(source.removeprefix("data:,")))
    for unit in document["systemd"]["units"]:
        for holder in (unit, *unit.get("dropins", [])):
            if "contents" in holder:
                holder["contents"] = file_structure(holder["name"], holder["contents"])
    return document


def documents(engine: Engine, host: Host) -> dict[str, Callable[[], object]]:
    """Return the reader of each document of a host."""
    mac = host.mac
    plans = {
        "install": InstallPlan(host, TOKEN, mac),
        "local": LocalBootPlan(mac, host),
        **{str(reason): WaitPlan(mac, reason, host) for reason in WaitReason if reason != WaitReason.UNKNOWN_HOST},
    }
    read = {ScriptLanguage.IPXE: ipxe_words, ScriptLanguage.GRUB: grub_words}
    found: dict[str, Callable[[], object]] = {
        f"{language} {name}": lambda plan=plan, language=language: read[language](  # type: ignore[misc]
            boot_script(engine, plan, language, base_url=BASE_URL)
        )
        for name, plan in plans.items()
        for language in ScriptLanguage
    }
    found["kickstart"] = lambda: kickstart_words(
        kickstart(engine, host, mac=mac, base_url=BASE_URL, report_token=TOKEN, ignition_token=TOKEN)
    )
    found["kickstart that embeds"] = lambda: kickstart_words(
        kickstart(
            engine, host,
            mac=mac, base_url=BASE_URL, report_token=TOKEN, ignition_token=TOKEN, embeds_ignition=True,
        )
    )  # fmt: skip
    found["embedded overlay"] = lambda: overlay_structure(
        overlay(engine, host, version="3.4.0", ready_url=BASE_URL, mac=mac, is_embedded=True)
    )
    found["overlay"] = lambda: overlay_structure(overlay(engine, host, version="3.4.0", ready_url=BASE_URL, mac=mac))
    found["kernel line"] = lambda: " ".join(
        kernel_line.installed(host, mac=mac, base_url=BASE_URL, ignition_token=TOKEN)
    ).split()
    return found


def marked(structure: Any, value: str) -> Any:
    """Replace a value by a mark, also as the rule of a disk spells it."""
    match structure:
        case dict():
            return {marked(key, value): marked(each, value) for key, each in structure.items()}
        case list():
            return [marked(each, value) for each in structure]
        case str():
            spelled = {value, " ".join(value.split()), re.sub(r"[ _]+", "_", value.lower()).strip("_")}
            for each in sorted(spelled, key=len, reverse=True):
                structure = structure.replace(each, MARK)
            return re.sub(rf"{MARK} *", MARK, structure)  # blanks at the end of a value
        case _:
            return structure


@pytest.mark.parametrize("place", PLACES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tail=HOSTILE)
def test_a_hostile_value_is_refused_or_is_one_value_in_each_document(place: str, site_engine: Engine, tail: str):
    value = PLAIN + tail
    host = declared(place, value)
    if host is None:
        return
    plain = declared(place, PLAIN)
    assert plain is not None
    usual = documents(site_engine, plain)
    kept = value.removesuffix("/") if place == "path of a release" else value
    for name, read in documents(site_engine, host).items():
        try:
            found = read()
        except RenderError:
            continue  # the value has no quotation in this language; `check` reports it
        assert marked(found, kept) == marked(usual[name](), PLAIN), name


@pytest.mark.parametrize("name", ["ipxe local", "grub local", "kickstart"])
def test_a_template_without_quotation_is_found(name: str, tmp_path: Path):
    for template, head, end in (
        ("ipxe/local.ipxe.j2", "#!ipxe\n", ""),
        ("grub/local.cfg.j2", "", ""),
        ("kickstart/post.ks.j2", "%post\n", "%end\n"),
    ):
        (tmp_path / template).parent.mkdir(exist_ok=True)
        (tmp_path / template).write_text(f"{head}echo {{{{ host.variables.value }}}}\n{end}")
    engine, value = Engine([tmp_path, TEMPLATES]), f"{PLAIN} ; reboot"
    plain, hostile = declared("variable", PLAIN), declared("variable", value)
    assert plain is not None
    assert hostile is not None

    usual, found = (documents(engine, host)[name]() for host in (plain, hostile))

    assert marked(found, value) != marked(usual, PLAIN)


def test_each_place_takes_its_plain_value_and_each_document_can_be_read(site_engine: Engine):
    unnamed = {"time zone"}  # it has to exist

    for place in PLACES.keys() - unnamed:
        host = declared(place, PLAIN)

        assert host is not None, place
        assert all(read() for read in documents(site_engine, host).values())


@pytest.mark.parametrize(
    "value", ["qz7x'; reboot; '", 'qz7x" --url=http://192.0.2.66', "qz7x$(id)", "qz7x`id`", "qz7x\\"]
)
def test_a_variable_with_quotes_reaches_a_sites_script_as_one_word(site_engine: Engine, value: str):
    host = declared("variable", value)
    assert host is not None
    found = documents(site_engine, host)

    assert any(value in words for words in found["kickstart"]())  # type: ignore[attr-defined]
    assert found["grub local"]()[-1][1].endswith(value)  # type: ignore[index]
