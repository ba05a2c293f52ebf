"""`netboot check` names everything that one host's documents lack, not only the first fault."""

import asyncio
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.nobody import as_nobody

from netboot.boot.documents.documents import Documents
from netboot.boot.documents.host_content import HostContent
from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.content.assets import assets_directory
from netboot.content.ostree.repository import commit_named
from netboot.errors import ContentError, RenderError
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.install.token import Tokens
from netboot.render.template_engine import Engine


def problems(content: Path, *, release: str | None) -> list[str]:
    host = Host(HostName("w1"), Role.WORKER, (Mac.parse("52:54:00:aa:bb:11"),), release=release)
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(content))
    return [str(problem) for problem in asyncio.run(documents.problems(host))]


def test_a_release_that_is_not_there_hides_no_missing_disk(tmp_path: Path):
    reported = problems(tmp_path, release="ock-1.31-amd64")

    assert [line.rpartition("; ")[2] for line in reported] == [
        "netboot content import-archive FILE --name ock-1.31-amd64",
        "set roles.worker.ignition to what ocne cluster start or join wrote",
        "set hosts.w1.disk",
        "set hosts.w1.boot_media",
    ]


def test_a_release_that_this_user_cannot_read_is_a_reason_and_ends_neither_start_nor_reload(tmp_path: Path):
    host = Host(HostName("w1"), Role.WORKER, (Mac.parse("52:54:00:aa:bb:11"),), release="ock-1.31-amd64")
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(tmp_path))
    (tmp_path / "ostree" / "ock-1.31-amd64").mkdir(parents=True)
    (tmp_path / "ostree").chmod(0)
    with as_nobody():
        asyncio.run(documents.content.warm([host]))
        commit = commit_named(tmp_path, "ock-1.31-amd64")
        with pytest.raises(ContentError) as caught:
            asyncio.run(documents.content.release(host))

    cure = "let this user read it, or use sudo"
    assert str(caught.value) == f"cannot read {tmp_path}/ostree/ock-1.31-amd64: Permission denied; {cure}"
    assert commit is None


def test_a_host_without_a_release_is_reported_once(tmp_path: Path):
    reported = problems(tmp_path, release=None)

    assert [line for line in reported if "release" in line] == ["w1 has no release to install; set hosts.w1.release"]


ROLE_FILES = assets_directory() / "examples" / "ign"
MAC = Mac.parse("52:54:00:aa:bb:11")
IGNITION_VALIDATE = shutil.which("ignition-validate") or "/usr/lib/dracut/modules.d/30ignition/ignition-validate"
TOKENS = Tokens("a" * 32, "b" * 32, "c" * 32)


def ignition_of(role_file: Path, *, templates: Path | None = None) -> None:
    host = Host(HostName("w1"), Role.WORKER, (MAC,), ignition=role_file)
    directories = [assets_directory() / "templates"]
    documents = Documents(
        Engine([templates, *directories] if templates else directories), HostContent(role_file.parent)
    )
    asyncio.run(documents.ignition.render(host, TOKENS, mac=MAC, base_url="http://192.0.2.10:8080"))


def test_the_wrapper_of_a_held_host_is_one_that_older_ignition_reads(tmp_path: Path):
    """Its role's file, and the version of that, are not known yet."""
    host = Host(HostName("w1"), Role.WORKER, (MAC,))
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(tmp_path))
    base_url, file = "http://192.0.2.10:8080", tmp_path / "wrapper.ign"

    file.write_bytes(asyncio.run(documents.ignition.render_held(host, TOKENS, mac=MAC, base_url=base_url)))

    config = json.loads(file.read_text())["ignition"]
    assert config["version"] == "3.3.0"
    assert [(part["source"], part["verification"]) for part in config["config"]["merge"]] == [
        (f"{base_url}/ign/{TOKENS.ignition}/{part}", {}) for part in ("role", "overlay")
    ]
    judged = subprocess.run([IGNITION_VALIDATE, file], check=False, capture_output=True, text=True, timeout=20)
    assert (judged.returncode, judged.stderr) == (0, "")


def test_a_role_file_that_was_damaged_after_the_reload_is_never_served(tmp_path: Path):
    file = tmp_path / "w.ign"
    file.write_bytes((ROLE_FILES / "worker-join.ign").read_bytes())
    ignition_of(file)

    file.write_bytes(file.read_bytes()[:-10])

    with pytest.raises(RenderError, match=r"cannot serve the Ignition of w1: .*/w\.ign:1:\d+: is not JSON .*; give"):
        ignition_of(file)


def test_a_role_file_in_the_way_of_the_overlay_is_not_served(tmp_path: Path):
    file = tmp_path / "w.ign"
    file.write_text('{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/etc/netboot"}]}}')

    with pytest.raises(RenderError) as caught:
        ignition_of(file)

    assert str(caught.value) == (
        "cannot render the Ignition of w1: the overlay is refused by Ignition: /storage/files/2: "
        "'/etc/netboot/report-ready' lies below the file '/etc/netboot' (/storage/files/0); "
        f"make '/etc/netboot' a directory, or move one of them (templates ignition/*, {file})"
    )


def test_a_role_file_with_its_own_chrony_conf_keeps_it(tmp_path: Path):
    file = tmp_path / "w.ign"
    file.write_text('{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/etc/chrony.conf"}]}}')
    host = Host(HostName("w1"), Role.WORKER, (MAC,), ignition=file, ntp=("192.0.2.1",))
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(tmp_path))

    made = asyncio.run(documents.ignition.render(host, TOKENS, mac=MAC, base_url="http://192.0.2.10:8080"))

    assert b"chrony" not in made[IgnitionPart.OVERLAY]


def test_an_overlay_from_a_faulty_template_is_not_served(tmp_path: Path):
    (tmp_path / "ignition").mkdir()
    (tmp_path / "ignition" / "netboot-ready.service.j2").write_text("[Unit\n")

    with pytest.raises(RenderError, match="/systemd/units/0/contents: has a section without ]"):
        ignition_of(ROLE_FILES / "worker-join.ign", templates=tmp_path)


@pytest.mark.parametrize(
    ("version", "command"),
    [("8.10", "timezone UTC --utc --ntpservers=192.0.2.1\n"), ("9.6", "timesource --ntp-server=192.0.2.1\n")],
)
def test_the_release_of_the_medium_decides_how_the_kickstart_names_time_servers(
    tmp_path: Path, content: Path, version: str, command: str
):
    medium = tmp_path / "media" / "m"
    medium.mkdir(parents=True)
    (medium / ".treeinfo").write_text(f"[general]\nfamily = Oracle Linux\nversion = {version}\n")
    (tmp_path / "ostree").symlink_to(content / "ostree")
    host = Host(HostName("w1"), Role.WORKER, (MAC,), boot_media="m", release="ock-1.31-amd64", disk="/dev/vda")
    host = replace(host, ntp=("192.0.2.1",))
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(tmp_path))

    written = asyncio.run(documents.kickstart(host, TOKENS, mac=MAC, base_url="http://192.0.2.10:8080"))

    assert command in written


def test_content_that_the_daemon_may_not_read_is_a_problem_and_no_exception(tmp_path: Path, content: Path):
    (tmp_path / "media" / "m").mkdir(parents=True)
    (tmp_path / "media").chmod(0)
    host = Host(HostName("w1"), Role.WORKER, (MAC,), boot_media="m", disk="/dev/vda", ntp=("192.0.2.1",))
    documents = Documents(Engine([assets_directory() / "templates"]), HostContent(tmp_path))

    with as_nobody():
        found = [str(problem) for problem in asyncio.run(documents.problems(host))]

    assert any(
        problem.startswith("cannot read what w1 is installed from: ")
        and problem.endswith("Permission denied; let the user that runs netboot read it")
        for problem in found
    )
