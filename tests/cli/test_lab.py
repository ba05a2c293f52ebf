"""A lab's name is also that of a directory, which is emptied, so it must not lead elsewhere."""

import pytest
from click.testing import CliRunner

from netboot.cli.commands.lab import lab


@pytest.mark.parametrize("name", ["../x", "/etc", "", ".", "bad name!", "-x", "a" * 33, "Lab"])
@pytest.mark.parametrize("command", ["up", "boot", "down"])
def test_a_name_that_could_lead_elsewhere_is_wrong_use(command: str, name: str):
    printed = CliRunner().invoke(lab, [command, f"--name={name}"])

    assert printed.exit_code == 2
    assert "use lower-case letters, digits and hyphens" in printed.output
