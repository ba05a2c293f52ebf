"""Rules for all tests: a skip fails; no network namespace remains, and no file of an installed appliance.

Fixtures that several directories use.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import postgresql
import pytest
import structlog
from pyroute2 import netns
from xdist.workermanage import WorkerController

pytest_plugins = [
    "distribution",
    "fixtures.appliance",
    "fixtures.captures",
    "fixtures.command_line",
    "fixtures.installed_node",
    "fixtures.site",
    "fixtures.store",
    "fixtures.watched_boots",
]

# A test that may be skipped, and the only reason that it may be skipped for.
PERMITTED_SKIPS: Final = {
    "tests/integration/test_packet.py::test_a_vlan_is_answered_in_its_tag_by_its_own_interface_alone": (
        "this kernel has no 8021q"
    ),
    "tests/reliability/test_store_disk.py::test_a_disk_that_the_kernel_makes_read_only_after_an_error": (
        "no loop device can be used here"
    ),
}


# Where an installed appliance has its files by default. A test that writes there changes the computer that runs it.
OF_AN_APPLIANCE: Final = (Path("/var/lib/netboot"), Path("/etc/netboot"))

_BEFORE: Final = pytest.StashKey[frozenset[str]]()
_LEFT: Final = pytest.StashKey[set[str]]()


def remains() -> frozenset[str]:
    """Return what a test must not leave: network namespaces, and files of an installed appliance."""
    files = (path for directory in OF_AN_APPLIANCE if directory.is_dir() for path in directory.iterdir())
    return frozenset([*(f"network namespace {name}" for name in netns.listnetns()), *map(str, files)])


def pytest_sessionstart(session: pytest.Session) -> None:
    """Record what exists before the tests."""
    session.stash[_BEFORE] = remains()
    session.config.stash[_LEFT] = set()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if something of its tests remains, and name it."""
    left = session.config.stash[_LEFT]
    left |= remains() - session.stash[_BEFORE]
    if hasattr(session.config, "workeroutput"):  # one of several processes: the first fails the run
        session.config.workeroutput["left"] = sorted(left)
    elif left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        terminal = session.config.pluginmanager.getplugin("terminalreporter")
        terminal.write_line(f"FAILED: the tests left: {', '.join(sorted(left))}", red=True)


def pytest_testnodedown(node: WorkerController) -> None:
    """Keep what one of several processes left; a process that crashed has no output, and its test has failed."""
    node.config.stash[_LEFT] |= set(getattr(node, "workeroutput", {}).get("left", []))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes the golden files again."""
    parser.addoption("--golden", action="store_true", help="write the golden files anew instead of comparing")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped, except for its permitted reason."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _refuse_skip(report, PERMITTED_SKIPS.get(item.nodeid.partition("[")[0]))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a whole file that is skipped."""
    report = yield
    if report.skipped:
        _refuse_skip(report, None)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, permitted: str | None) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason != permitted:
        report.outcome = "failed"
        report.longrepr = (
            f"skipped: {reason}; provide what is missing, or add it to PERMITTED_SKIPS in tests/conftest.py"
        )


@pytest.fixture(autouse=True, scope="session")
def uncached_loggers() -> Iterator[None]:
    """Keep a logger that one test's daemon set up from escaping another test's `capture_logs`."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            structlog, "configure", lambda **settings: configure(**settings | {"cache_logger_on_first_use": False})
        )
        yield


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    """Undo what a test set up for the process's log."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """Run Debian's PostgreSQL; a test calls `new_database()` for an empty database of its own."""
    with postgresql.running_server() as server:
        yield server
