"""`netboot support` without a daemon; tests/daemon has it with one."""

import io
import json
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from fixtures.command_line import CommandLine

from netboot.errors import NetbootError, UnknownHostError

NO_DAEMON = "no daemon runs: what only a daemon has is missing: status, health, metrics"


def files_in(archive: Path | io.BytesIO) -> dict[str, str]:
    packed = io.BytesIO(archive.read_bytes()) if isinstance(archive, Path) else archive
    with tarfile.open(fileobj=packed) as opened:
        return {
            member.name.partition("/")[2]: archive_file.read().decode()
            for member in opened
            if (archive_file := opened.extractfile(member)) is not None
        }


def test_an_archive_of_a_host_has_what_files_and_store_have(netboot: CommandLine):
    netboot.printed("install", "arm", "w1", "--force", "--reason", "test")

    done = netboot("support", "w1", "-o", str(netboot.directory / "w1.tar.gz"))
    files = files_in(netboot.directory / "w1.tar.gz")

    assert done.exit_code == 0, (done.output, done.exception)
    assert stat.S_IMODE((netboot.directory / "w1.tar.gz").stat().st_mode) == 0o600
    assert list(netboot.directory.glob(".netboot-support-*")) == []
    assert f"missing: {NO_DAEMON}\n" in done.stderr
    assert files["errors.txt"] == f"{NO_DAEMON}\n"
    assert json.loads(files["host/install.json"])["state"] == "registered"
    assert json.loads(files["host/history.json"])[0]["reason"] == "test"
    assert json.loads(files["host/boots.json"]) == []
    assert [each["name"] for each in json.loads(files["appliance/loaders.json"])] == ["snponly.efi"]
    assert {each["name"] for each in json.loads(files["appliance/content.json"])} == {"ol8u10-x86_64", "ock-1.31-amd64"}
    assert json.loads(files["appliance/versions.json"])["python_packages"]["aiohttp"]
    assert "lo" in json.loads(files["appliance/interfaces.json"])
    assert "ignition-role.ign" not in " ".join(files)
    assert files["host/plan/script.ipxe"].startswith("#!ipxe\n")
    assert any(value["key"] == "boot_media" for value in json.loads(files["host/explain.json"])["values"])
    readme = files["README.txt"]
    assert [name for name in files if name != "README.txt" and f"  {name} " not in readme] == []


def test_the_configuration_has_known_values_only(netboot: CommandLine):
    netboot.config.write_text(netboot.config.read_text() + "# a comment with s1\nwrong: s2\ntftp: {port: s7}\n")
    netboot.hosts.write_text(
        netboot.hosts.read_text().replace(
            'mac: "02:00:00:00:00:02"}',
            'mac: "02:00:00:00:00:02", variables: {any: s3}, wrong: s4, '
            "kernel_arguments: [console=ttyS0, quiet, my.thing=s5, S6]}",
        )
    )

    done = netboot("support", "-o", str(netboot.directory / "a.tar.gz"))
    files = files_in(netboot.directory / "a.tar.gz")
    configuration = {name: text for name, text in files.items() if name.startswith("configuration/")}
    shown = "\n".join(configuration.values())

    assert done.exit_code == 0, (done.output, done.exception)
    assert [secret for secret in ("s1", "s2", "s3", "s4", "s5", "S6", "s7") if secret in shown] == []
    assert "any: hidden" in shown
    assert "- console=ttyS0\n    - quiet\n    - my.thing=hidden\n    - hidden\n" in shown
    assert "wrong: no such setting" in configuration["configuration/faults.txt"]
    assert "port: 'hidden'" in configuration["configuration/faults.txt"]
    assert "host/host.json" not in files


def test_faulty_settings_leave_what_needs_none(netboot: CommandLine):
    netboot.config.write_text("store: {url: wrong://user:s1-word@host}\nno: [yaml\n")

    done = netboot("support", "w1", "-o", str(netboot.directory / "a.tar.gz"))
    files = files_in(netboot.directory / "a.tar.gz")

    assert done.exit_code == 0, (done.output, done.exception)
    assert "appliance/versions.json" in files
    assert "the store: is missing: " in files["errors.txt"]
    assert "appliance/content.json: is missing: " in files["errors.txt"]
    assert "s1-word" not in "".join(files.values())


def test_a_store_that_cannot_be_read_leaves_the_files(netboot: CommandLine):
    (netboot.directory / "netboot.db").write_text("no database " * 100)

    done = netboot("support", "w1", "-o", str(netboot.directory / "a.tar.gz"))
    files = files_in(netboot.directory / "a.tar.gz")

    assert done.exit_code == 0, (done.output, done.exception)
    assert "host/plan/kickstart.ks" in files
    assert "the store: is missing: " in files["errors.txt"]


def test_an_install_that_cannot_be_read_leaves_no_value_of_the_host_in_the_archive(netboot: CommandLine):
    arguments = 'mac: "02:00:00:00:00:02", kernel_arguments: [my.thing=a-word-that-is-s5]}'
    netboot.hosts.write_text(netboot.hosts.read_text().replace('mac: "02:00:00:00:00:02"}', arguments))
    netboot.printed("install", "arm", "w1", "--force", "--reason", "test")
    with closing(sqlite3.connect(netboot.directory / "netboot.db")) as store, store:
        store.execute("UPDATE installs SET state = 'of a newer version'")

    done = netboot("support", "w1", "-o", str(netboot.directory / "a.tar.gz"))
    files = files_in(netboot.directory / "a.tar.gz")

    assert done.exit_code == 0, (done.output, done.exception)
    assert "my.thing=" in "".join(files.values())
    assert [name for name, text in files.items() if "a-word-that-is-s5" in text] == []
    assert "cannot read the install of w1 in the store" in files["errors.txt"]
    assert json.loads(files["appliance/installs.json"]) == []


def test_an_unregistered_machine_has_its_own_archive(netboot: CommandLine):
    found = json.loads(
        netboot.printed("support", "0A-00-00-00-00-99", "-o", str(netboot.directory / "a.tar.gz"), "--json")
    )

    names = [file["name"] for file in found["files"]]
    assert found["faults"] == [NO_DAEMON]
    assert "host/machine.json" in names
    assert "host/plan/script.ipxe" not in names
    assert found["file"] == "./a.tar.gz"


def test_a_card_of_a_host_is_the_host(netboot: CommandLine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(netboot.directory)

    netboot.printed("support", "02:00:00:00:00:02")

    (made,) = netboot.directory.glob("netboot-support-w1-*.tar.gz")
    assert "host/host.json" in files_in(made)


def test_standard_output_gets_the_archive_alone(netboot: CommandLine):
    done = netboot("support", "w1", "-o", "-")

    assert done.exit_code == 0, (done.output, done.exception)
    assert "host/host.json" in files_in(io.BytesIO(done.stdout_bytes))


def test_what_cannot_be_written_or_is_unknown_is_refused_and_leaves_no_file(netboot: CommandLine):
    before = sorted(netboot.directory.iterdir())

    unknown = netboot("support", "nobody", "-o", str(netboot.directory / "a.tar.gz"))
    nowhere = netboot("support", "-o", str(netboot.directory / "none" / "a.tar.gz"))
    directory = netboot("support", "-o", str(netboot.directory))
    both = netboot("support", "-o", "-", "--json")

    assert isinstance(unknown.exception, UnknownHostError)
    assert isinstance(nowhere.exception, NetbootError)
    assert str(nowhere.exception).endswith("No such file or directory; name another file with -o")
    assert isinstance(directory.exception, NetbootError)
    assert both.exit_code == 2
    new = [path for path in sorted(netboot.directory.iterdir()) if path not in before]
    assert [path for path in new if path.name != "store.key" and "db" not in path.name] == []
