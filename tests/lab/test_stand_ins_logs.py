"""The lab's installer sends its notes to the receiver that inst.syslog names, as a real one does."""

import re
import socket
import subprocess

import pytest

from netboot.content.assets import assets_directory
from netboot.wire.syslog.framing import MessageStream
from netboot.wire.syslog.syslog_message import syslog_message

ANACONDA = (assets_directory() / "lab/installer/anaconda").read_text()


def forwarded(server: str, *texts: str) -> subprocess.CompletedProcess[str]:
    found = re.search(r"^forward\(\) \{\n.*?^\}\n", ANACONDA, re.MULTILINE | re.DOTALL)
    assert found is not None
    calls = "\n".join(f"forward '{text}'" for text in texts)
    script = f"set -eE\ntrap 'echo failed' ERR\nargument() {{ printf %s '{server}'; }}\n{found[0]}{calls}\necho ended\n"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.integration
def test_each_note_is_a_message_of_its_own():
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = forwarded(f"127.0.0.1:{server.getsockname()[1]}", "kickstart read", "%pre")
        messages = []
        for _ in range(2):
            connection, _ = server.accept()
            with connection:
                messages += MessageStream().feed(connection.recv(4096))

    read = [syslog_message(message) for message in messages]
    assert ended.stdout == "ended\n"
    assert [(each.severity, each.program, each.text) for each in read if each] == [
        ("info", "anaconda", "kickstart read"),
        ("info", "anaconda", "%pre"),
    ]


@pytest.mark.integration
@pytest.mark.parametrize("server", ["", "127.0.0.1:1"])
def test_without_a_receiver_the_install_goes_on(server: str):
    assert forwarded(server, "text").stdout == "ended\n"
