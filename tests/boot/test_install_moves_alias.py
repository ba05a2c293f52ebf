"""A release that is an alias: an arming is for the commit that it named."""

import shutil
import subprocess
from pathlib import Path

import pytest
from fixtures.services import BuiltServices, WithServices

from netboot.model.host.host import HostName

CP1 = HostName("cp1")


@pytest.fixture
def content(content: Path, tmp_path: Path) -> Path:
    """Content with two releases, and `prod`, which is an alias of the first."""
    own, releases = tmp_path / "content", tmp_path / "content" / "ostree"
    shutil.copytree(content, own)
    shutil.copytree(releases / "ock-1.31-amd64", releases / "new")
    command = ["ostree", f"--repo={releases / 'new'}", "commit", "--branch=ock", f"--tree=dir={own / 'tree' / 'usr'}"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    (releases / "prod").symlink_to("ock-1.31-amd64")
    return own


def test_a_promoted_alias_ends_the_armings_that_were_for_the_commit_before(with_services: WithServices, content: Path):
    async def scenario(services: BuiltServices) -> tuple[list[HostName], list[HostName], str]:
        services.change_host(CP1, release="prod")
        await services.install_moves.arm_all([CP1], reason="test", attempts=3)
        unchanged = await services.install_moves.end_changed_armings()
        (content / "ostree" / "prod").unlink()
        (content / "ostree" / "prod").symlink_to("new")
        return (
            unchanged,
            await services.install_moves.end_changed_armings(),
            (await services.install_moves.history(CP1))[-1].note,
        )

    unchanged, ended, note = with_services(scenario)

    assert (unchanged, ended) == ([], [CP1])
    assert note.startswith("its release prod named commit ")
