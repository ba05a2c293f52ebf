"""A process that is forked from one that has loaded netboot is as one that is started (tests/fixtures/preloaded.py)."""

import signal
from pathlib import Path

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("--version",), 0, id="succeeds"),
        pytest.param(("host", "list", "--json"), 0, id="from the daemon"),
        pytest.param(("install", "show", "cp9"), 1, id="fails"),
        pytest.param(("install", "shown"), 2, id="usage"),
    ],
)
def test_a_command_prints_and_ends_as_one_that_is_started(
    rack: Rack, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
):
    forked = rack.run(*words)
    monkeypatch.setattr(rack, "is_preloaded", False)
    started = rack.run(*words)

    assert (forked.returncode, forked.stdout, forked.stderr) == (code, started.stdout, started.stderr)


def test_a_daemon_has_its_own_namespace_environment_and_exit_code(rack: Rack):
    process = Path(f"/proc/{rack.pid}")

    assert sorted(each.name for each in (process / "root/sys/class/net").iterdir()) == ["lo", "s0"]
    assert (process / "ns/net").stat().st_ino == Path("/run/netns", rack.server_namespace).stat().st_ino
    rack.signal(signal.SIGKILL)
    assert rack.wait() == -signal.SIGKILL
    rack.start()
    rack.signal(signal.SIGTERM)
    assert rack.wait() == 0
