"""A running daemon answers generated requests as its own description has it, and none with an error of the server.

schemathesis reads /api/v1/openapi.json and sends requests that the description allows, and others that it does not,
also such that change state. The appliance is thrown away.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.rack import Rack

pytestmark = pytest.mark.integration

TESTS = Path(__file__).parents[1]
PROGRAM = Path(sys.executable).with_name("schemathesis")


def schemathesis(rack: Rack, *options: str, timeout_s: float) -> str:
    """Send requests to the daemon with an API token; return the report, and raise an error if a check of it fails."""
    created = rack.api("/api/v1/tokens", "-d", '{"name": "generated", "role": "admin", "expires_in_s": 86400}')
    command = ["ip", "netns", "exec", rack.server_namespace, str(PROGRAM)]
    command += ["--config-file", str(TESTS / "fixtures/schemathesis.toml"), "run"]
    command += ["http://127.0.0.1:8470/api/v1/openapi.json", "--request-timeout", "30", "--warnings", "off", *options]
    command += ["--header", f"Authorization: Bearer {created['token']}"]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "fixtures.schemathesis_hooks", "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        command, cwd=rack.directory, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    return done.stdout


def test_generated_requests_are_answered_as_described(rack: Rack):
    report = schemathesis(rack, "--phases", "fuzzing", "--max-examples", "3", timeout_s=300)

    assert "No issues found" in report
    assert "Traceback" not in rack.log
    assert rack.api("/api/v1/status")["version"]


@pytest.mark.proof
def test_requests_at_every_bound_of_the_description_are_answered_as_described(rack: Rack):
    schemathesis(rack, "--phases", "coverage,fuzzing", "--max-examples", "50", timeout_s=3000)

    assert "Traceback" not in rack.log
