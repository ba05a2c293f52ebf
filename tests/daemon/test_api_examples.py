"""Each curl command in docs/api.md works, in the order of the page, on a rack that is in use."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.image_layouts import Layout
from fixtures.rack import Rack, a_rack
from fixtures.rack_in_use import use, write_rack_in_use

from netboot.content.images.image_import import import_images
from netboot.content.library.library import Library

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[2] / "docs/api.md").read_text()
EXAMPLES = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTIONS = [section for section in PAGE.split("\n## ") if "| request | response |" in section]
# A refusal fails the command.
_SHELL = """set -euxo pipefail
curl() { command curl -sS --fail-with-body --max-time 60 "$@"; }
"""


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """An appliance with the files that the examples send, and an API token in NETBOOT_TOKEN."""
    directory = tmp_path_factory.mktemp("examples")
    write_rack_in_use(directory)
    (directory / "ol9.iso").write_bytes(bytes(1 << 16))
    layout = Layout()
    layout.name(layout.image("ui"), "olcne/ui:1.33")
    import_images(Library(directory / "content"), layout.archive(directory / "ui.tar"))
    (directory / "password").write_text("correct horse battery staple")
    (directory / "worker.ign").write_bytes((directory / "ign/worker-join.ign").read_bytes())
    with a_rack(directory) as rack:
        rack.start()
        use(rack)
        yield rack


@pytest.fixture(scope="module")
def token(rack: Rack) -> str:
    created = rack.api("/api/v1/tokens", "-d", '{"name": "examples", "role": "admin", "expires_in_s": 3600}')
    return str(created["token"])


def run(rack: Rack, example: str, token: str) -> subprocess.CompletedProcess[str]:
    script = _SHELL + example.replace("/run/netboot/control.sock", str(rack.directory / "control.sock"))
    return subprocess.run(
        ["ip", "netns", "exec", rack.server_namespace, "bash", "-c", script],
        cwd=rack.directory,
        env=os.environ | {"NETBOOT_TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_each_section_of_requests_has_examples():
    assert len(SECTIONS) >= 8
    assert [section.partition("\n")[0] for section in SECTIONS if "```sh\ncurl" not in section] == []


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_works(rack: Rack, token: str, example: str):
    done = run(rack, example, token)

    assert done.returncode == 0, (done.stderr[-3000:], done.stdout[-2000:])
