"""Support archives of files alone, and of a running daemon's parts; with faults, and without secrets."""

import asyncio
import io
import json
import re
import tarfile
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from fixtures.files import HOSTS, SETTINGS, write_boot_files, write_files
from structlog.testing import capture_logs

from netboot import __version__
from netboot.app.support.appliance_files import problem_shown
from netboot.app.support.support_archives import RunningParts, SupportArchives
from netboot.errors import StoreError, UnknownHostError
from netboot.operate.support.support_archive import SupportArchive
from netboot.telemetry.health import Health, HealthPart

NOW = datetime(2026, 12, 1, 2, 3, 4, tzinfo=UTC)
NO_STORE = "the store: is missing: it does not answer"
SECRET = "correct-horse-battery"
DECLARED = HOSTS.replace(
    "52:54:00:12:34:56}",
    f"52:54:00:12:34:56, variables: {{token: {SECRET}}}, kernel_arguments: [quiet, site.key={SECRET}]}}",
)
Files = dict[str, str]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An appliance with loaders and a template of its own; no test changes it."""
    directory = tmp_path_factory.mktemp("appliance")
    more = "bootfiles: {directories: [boot]}\nrender: {templates: [templates]}\n"
    write_files(directory, settings=SETTINGS + more, hosts=DECLARED)
    (directory / "boot").mkdir()
    write_boot_files(directory / "boot")
    (directory / "templates").mkdir()
    (directory / "templates" / "site.j2").write_text("ours\n")
    return directory


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with two faults: of a setting and of a host."""
    (tmp_path / "netboot.yaml").write_text(SETTINGS + "tftp: {port: s3cret}\n")
    (tmp_path / "hosts.yaml").write_text("hosts: {w1: {role: worker, mac: none}}\n")
    return tmp_path / "netboot.yaml"


def archives(path: Path, *, running: RunningParts | None = None, faults: Sequence[str] = ()) -> SupportArchives:
    return SupportArchives(path, None, None, running=running, faults=faults, now=lambda: NOW)


def made(source: SupportArchives, name: str | None) -> tuple[SupportArchive, Files]:
    archive = asyncio.run(source.make(name))
    with archive.file, tarfile.open(fileobj=io.BytesIO(archive.file.read())) as opened:
        read = {member.name.partition("/")[2]: opened.extractfile(member) for member in opened}
        return archive, {each: file.read().decode() for each, file in read.items() if file is not None}


def test_of_files_alone_a_host_has_its_plan_and_explanation_and_the_appliance_its_files(directory: Path):
    with capture_logs() as logged:
        archive, files = made(archives(directory / "netboot.yaml", faults=[NO_STORE]), "w1")

    assert archive.name == "netboot-support-w1-20261201T020304Z.tar.gz"
    assert [line for line in logged if line["event"] == "support.archive_made"] == [
        {
            "event": "support.archive_made",
            "log_level": "info",
            "host": "w1",
            "size_bytes": archive.size_bytes,
            "faults": 1,
        }
    ]
    plan = {name for name in files if name.startswith("host/plan/")}
    assert {"host/plan/script.ipxe", "host/plan/kickstart.ks"} <= plan
    assert not {"host/plan/ignition-role.ign", "host/plan/ignition-merged.ign"} & plan
    assert sorted(files.keys() - plan) == [
        "README.txt",
        "appliance/content.json",
        "appliance/interfaces.json",
        "appliance/loaders.json",
        "appliance/templates.json",
        "appliance/versions.json",
        "configuration/faults.txt",
        "configuration/hosts/0001-hosts.yaml",
        "configuration/netboot.yaml",
        "errors.txt",
        "host/explain.json",
    ]
    assert files["errors.txt"] == f"{NO_STORE}\n"
    assert json.loads(files["appliance/versions.json"])["netboot"] == __version__
    assert json.loads(files["appliance/templates.json"]) == [
        {"path": str(directory / "templates" / "site.j2"), "sha256": sha256(b"ours\n").hexdigest()}
    ]


def test_no_file_has_the_value_of_a_variable_or_of_a_kernel_argument(directory: Path):
    _, files = made(archives(directory / "netboot.yaml"), "w1")

    assert [name for name, text in files.items() if SECRET in text] == []
    shown = files["configuration/hosts/0001-hosts.yaml"]
    assert "quiet" in shown
    assert re.search(r"site\.key=hidden", shown)
    assert [name for name, text in files.items() if "*" * len(SECRET) in text] == ["host/explain.json"]


def test_content_and_loaders_are_listed_with_their_digests(directory: Path):
    _, files = made(archives(directory / "netboot.yaml"), None)

    content = json.loads(files["appliance/content.json"])
    loaders = {each["name"]: each for each in json.loads(files["appliance/loaders.json"])}
    assert [(each["name"], each["alias_of"], each["record"]) for each in content] == [
        ("ol8u10-x86_64", None, None),
        ("ock-1.31-amd64", None, None),
    ]
    path = directory / "boot" / "snponly.efi"
    assert loaders["snponly.efi"] == {
        "name": "snponly.efi",
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "cpu": "x64",
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }
    assert not any(name.startswith("host/") for name in files)
    assert "errors.txt" not in files


def test_the_parts_of_a_daemon_are_in_it_and_one_that_fails_loses_no_other(directory: Path):
    async def status() -> object:
        return {"version": "1", "problems": ["hosts.yaml:3:4: 'secret' is no role; write a role"]}

    async def fails() -> Health:
        raise StoreError("the store failed")

    async def health() -> Health:
        return Health([HealthPart.of("store", "it is away")])

    working = RunningParts(status=status, health=health, metrics=lambda: b"netboot_x 1\n")
    failing = RunningParts(status=status, health=fails, metrics=lambda: b"netboot_x 1\n")
    _, files = made(archives(directory / "netboot.yaml", running=working), None)
    _, without = made(archives(directory / "netboot.yaml", running=failing), None)

    assert json.loads(files["appliance/status.json"]) == {
        "version": "1",
        "problems": ["hosts.yaml:3:4: 'hidden' is no role; write a role"],
    }
    assert json.loads(files["appliance/health.json"]) == {
        "parts": [{"part": "store", "name": "", "state": "failed", "reasons": ["it is away"]}]
    }
    assert files["appliance/metrics.txt"] == without["appliance/metrics.txt"] == "netboot_x 1\n"
    assert without["errors.txt"] == "appliance/health.json: is missing: the store failed\n"
    assert files.keys() - without.keys() == {"appliance/health.json"}


@pytest.mark.parametrize(
    ("name", "subject"),
    [("52:54:00:12:34:56", "w1"), ("52-54-00-00-00-99", "52-54-00-00-00-99"), ("cp1", "cp1")],
)
def test_a_host_is_found_by_its_name_or_mac_and_another_machine_by_its_mac(directory: Path, name: str, subject: str):
    archive, files = made(archives(directory / "netboot.yaml"), name)

    assert archive.name == f"netboot-support-{subject}-20261201T020304Z.tar.gz"
    assert ("host/explain.json" in files) is (subject in ("w1", "cp1"))


def test_a_name_of_no_host_is_refused(directory: Path):
    with pytest.raises(UnknownHostError, match="w9"):
        asyncio.run(archives(directory / "netboot.yaml").make("w9"))


def test_of_faulty_files_the_archive_has_the_faults_without_their_values(config: Path):
    archive, files = made(archives(config), "any-name")

    assert archive.name == "netboot-support-any-name-20261201T020304Z.tar.gz"
    assert "s3cret" not in "".join(files.values())
    faults = files["configuration/faults.txt"].splitlines()
    assert [line.partition(": ")[0].removeprefix(f"{config.parent}/") for line in faults if "tftp.port" in line] == [
        f"netboot.yaml:{len(SETTINGS.splitlines()) + 1}:14"
    ]
    with pytest.raises(UnknownHostError, match=r"\.\./x is neither a host nor a MAC"):
        asyncio.run(archives(config).make("../x"))


def test_a_problem_that_is_of_no_file_is_shown_whole():
    assert problem_shown('a.yaml:1:2: "a b" is no name; it\'s one') == "a.yaml:1:2: 'hidden' is no name; it's one"
    assert problem_shown("the port 'ssh' is in use") == "the port 'ssh' is in use"
