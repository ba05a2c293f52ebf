"""The script of the overlay on a node of the real `ostree`: what it reports before, during and after an update."""

import subprocess
from pathlib import Path

import pytest
from fixtures.kickstart_machine import reports_answered_with
from fixtures.ock_node.installed_node import InstalledNode, node_tree
from fixtures.ostree_images.commits import Commit, commit_tree, ostree

from netboot.content.assets import assets_directory
from netboot.model.host.host import Host, HostName, Role
from netboot.model.host.mac import Mac
from netboot.model.node_report import NodeReport, read_node_report
from netboot.render.node_updates import SCRIPT, NodeUpdates, UpdateSource, update_files
from netboot.render.template_engine import Engine

pytestmark = pytest.mark.integration

SOURCE = UpdateSource("192.0.2.10:8080", "olcne/ock-ostree", "1.33")
TOKEN = "ab" * 16
HOST = Host(HostName("cp1"), Role.CONTROL_PLANE, (Mac("52:54:00:aa:bb:01"),))


@pytest.fixture
def commits(tmp_path: Path) -> list[Commit]:
    """Two releases in one repository; the ref names the first one."""
    repo = tmp_path / "repo"
    found = []
    for release, version in (("A", "1.33-1"), ("B", "1.33-2")):
        tree = node_tree(tmp_path / f"tree-{release}", release, version=version)
        found.append(commit_tree(repo, tree, version=version))
    ostree("refs", f"--repo={repo}", "--create=ock", "--force", found[0].checksum)
    return found


@pytest.fixture
def node(tmp_path: Path, commits: list[Commit]) -> InstalledNode:
    node = InstalledNode(tmp_path / "disk")
    node.install(commits[0].repo.as_uri())
    return node


def reported(node: InstalledNode, *, status: int = 200) -> tuple[NodeReport, str]:
    """Run the script as its unit does; return what it sent, and what it printed as an error."""
    with reports_answered_with(status) as server:
        updates = NodeUpdates(SOURCE, f"{server.url}/node/{TOKEN}")
        files = update_files(Engine([assets_directory() / "templates"]), HOST, updates, anchors="/etc/pki")
        node.add_files({each.path: each.text for each in files})
        ended = node.start("/bin/bash", SCRIPT)
    assert ended.returncode == 0
    [(path, body)] = server.reports
    assert path == f"/node/{TOKEN}"
    return read_node_report(body), ended.stderr


def test_the_script_follows_an_update(node: InstalledNode, commits: list[Commit]):
    first, second = (each.checksum for each in commits)
    started = int(subprocess.check_output(["awk", "/^btime/ {print $2}", "/proc/stat"]))

    report, errors = reported(node)
    assert errors == ""
    assert (report.booted, report.staged, report.pending) == (first, first, "")
    assert (report.registry, report.tag) == ("192.0.2.10:8080/olcne/ock-ostree", "1.33")
    assert report.booted_date == report.staged_date is not None
    assert report.booted_at is not None
    assert abs(report.booted_at.timestamp() - started) <= 1

    ostree("pull-local", f"--repo={node.disk / 'ostree/repo'}", commits[0].repo, second)
    node.run("ostree", "refs", second, "--create=ock:ock", "--force")
    report, _ = reported(node)
    assert (report.booted, report.staged, report.pending) == (first, second, "")

    node.run("ostree", "admin", "deploy", "ock:ock")
    report, _ = reported(node)
    assert (report.booted, report.staged, report.pending) == (first, second, second)

    node.restart()
    report, _ = reported(node)
    assert (report.booted, report.staged, report.pending) == (second, second, "")


def test_a_report_that_is_not_taken_is_no_failure_of_the_unit(node: InstalledNode):
    _, errors = reported(node, status=404)

    assert errors == "netboot did not take the report (HTTP status 404); the next one is due in ten minutes\n"


def test_where_no_deployment_runs_nothing_is_reported(tmp_path: Path):
    with reports_answered_with(200) as server:
        updates = NodeUpdates(None, f"{server.url}/node/{TOKEN}")
        [script] = update_files(Engine([assets_directory() / "templates"]), HOST, updates, anchors="/etc/pki")
        ended = subprocess.run(["bash", "-c", script.text], check=False, capture_output=True, text=True, timeout=30)

    assert (ended.returncode, ended.stderr) == (0, "no deployment of ostree runs here: nothing is reported\n")
    assert server.reports == []
