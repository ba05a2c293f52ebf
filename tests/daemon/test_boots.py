"""The record of a boot, from outside: it continues after a restart in the middle of the boot, and is followed live."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fixtures.daemon import TIMEOUT_S
from fixtures.rack import Rack, token_in

pytestmark = pytest.mark.integration

CP1 = ("52:54:00:aa:bb:01", "192.0.2.50")


@contextmanager
def watching(rack: Rack, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `netboot install watch` while the body works, and end it by Ctrl-C; its lines are read at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "netboot", "install", "watch", *arguments],
        env=os.environ | {"NETBOOT_CONFIG": str(rack.config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(2.5)
    yield process
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)


def read_until(process: "subprocess.Popen[str]", is_last: Callable[[str], bool]) -> list[str]:
    """Read the lines of a process up to the one that is waited for, or up to its end."""
    assert process.stdout is not None
    end = threading.Timer(TIMEOUT_S, process.kill)
    end.start()
    found = []
    for line in process.stdout:
        found.append(line)
        if is_last(line):
            break
    end.cancel()
    return found


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_a_boot_continues_after_a_restart_of_the_daemon(rack: Rack, stop: signal.Signals):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    token = token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")
    time.sleep(3)  # what a kill would lose is written after a second
    if stop is signal.SIGKILL:
        rack.kill()
    else:
        rack.signal(stop)
        rack.wait()
    rack.start()
    assert [cp1.report(token, event) for event in ("started", "post", "done")] == [200] * 3

    boots = json.loads(rack.netboot("install", "history", "cp1", "--boots", "--json"))
    [listed] = rack.api("/api/v1/installs/cp1/boots")
    running = rack.api("/api/v1/boots")

    [boot] = boots
    steps = [each["step"] for each in boot["steps"]]
    assert steps == ["offer", "script", "kickstart", "installing", "post", "installed"]
    assert (boot["plan"], boot["end"], boot["waits_for"]) == ("install", None, "local-boot")
    assert (listed, [each["host"] for each in running]) == (boot, ["cp1"])
    assert token not in json.dumps(boots)


def test_what_was_acknowledged_directly_before_a_kill_is_in_the_boot_after_it(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")
    cp1.boots()
    time.sleep(3)  # the offer is written
    token = token_in(cp1.get(f"/ks/{token_in(cp1.script(), 'ks')}").body, "report")
    assert [cp1.report(token, event) for event in ("started", "done")] == [200] * 2
    rack.kill()
    rack.start()

    [boot] = json.loads(rack.netboot("install", "history", "cp1", "--boots", "--json"))

    steps = [each["step"] for each in boot["steps"] if each["step"] != "kickstart"]  # may be lost, as its event
    assert steps == ["offer", "script", "installing", "installed"]
    assert (boot["plan"], boot["end"], boot["waits_for"]) == ("install", None, "local-boot")


def test_every_boot_that_runs_is_followed_and_printed_when_it_changes(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")

    with watching(rack, "--all") as lines, watching(rack, "--all", "--json") as objects:
        cp1.boots()
        time.sleep(1.5)
        cp1.script()
        printed = read_until(lines, lambda line: "waits for kernel" in line)
        shown = read_until(objects, lambda line: steps_of(line) == ["offer", "script"])

    _, fault = lines.communicate(timeout=TIMEOUT_S)
    objects.communicate(timeout=TIMEOUT_S)
    assert (lines.returncode, fault) == (130, "")
    assert printed[-1].split()[1:3] == ["cp1", "script"]
    assert "waits for kernel" in printed[-1]
    assert steps_of(shown[-1]) == ["offer", "script"]


def steps_of(line: str) -> list[str]:
    return [each["step"] for each in json.loads(line)["steps"]]


def test_the_watch_of_a_host_says_what_its_boot_waits_for(rack: Rack):
    cp1 = rack.machine(*CP1)
    rack.netboot("install", "arm", "cp1")

    expected = "waits for kernel (usually 2 s, at most 2 min; the default)"
    with watching(rack, "cp1") as watch:
        cp1.boots()
        cp1.script()
        printed = read_until(watch, lambda line: line.strip() == expected)[-1:]

    with watch:
        assert watch.stdout is not None
        printed += watch.stdout.read().splitlines()
    # the event of the script comes by another connection, and may be printed after it
    assert [line.strip() for line in printed if "waits for" in line] == [expected]
