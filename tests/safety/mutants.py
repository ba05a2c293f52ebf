"""Runs the model on a copy of netboot into which a fault was seeded.

`python -m safety.mutants SHARED SEED INVARIANT BOXES` is what runs in the subprocess: the model of that invariant, for
one box or for two.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from safety.mutations import Mutation
from safety.oracle import Invariant, ViolationError

REPOSITORY = Path(__file__).resolve().parents[2]
SEED, EXAMPLES = 1, 150
EXAMPLES_OF_TWO, STEPS_OF_TWO = 4, 30  # seconds each
CLEAN = "no invariant is broken"
_TIMEOUT_S = 600


def seeded(mutation: Mutation, directory: Path) -> Path:
    """Copy netboot to `directory` with the fault in it; raise ValueError if its place is not found once."""
    shutil.copytree(REPOSITORY / "netboot", directory / "netboot", ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "assets").symlink_to(REPOSITORY / "assets")
    file = directory / "netboot" / mutation.file
    text = file.read_text()
    if text.count(mutation.before) != 1:
        found = text.count(mutation.before)
        raise ValueError(f"netboot/{mutation.file} has {found} times: {mutation.before!r}; correct mutations.py")
    file.write_text(text.replace(mutation.before, mutation.after))
    return directory


def run_model_on(directory: Path, shared: Path, invariant: Invariant, *, boxes: int = 1) -> str:
    """Run the model of an invariant on the netboot in `directory`; return what it found: its last line."""
    path = os.pathsep.join([str(directory), str(REPOSITORY / "tests")])
    command = [sys.executable, "-W", "ignore", "-m", "safety.mutants", str(shared), str(SEED), invariant.value]
    command.append(str(boxes))
    ran = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout.splitlines()[-1]


def _main(shared: str, seed: str, invariant: str, boxes: str) -> None:
    from postgresql import running_server
    from safety import model, once_model, two_boxes

    import netboot

    assert Path(netboot.__file__).is_relative_to(Path.cwd()), f"the model would run on {netboot.__file__}"
    found = CLEAN
    try:
        if boxes == "2":
            with running_server() as server:
                urls = two_boxes.urls_on(server)
                two_boxes.walk(Path(shared), urls)
                two_boxes.run(Path(shared), urls, seed=int(seed), examples=EXAMPLES_OF_TWO, steps=STEPS_OF_TWO)
        elif invariant in (Invariant.ONCE, Invariant.WIPE):
            once_model.run(Path(shared), seed=int(seed), examples=EXAMPLES)
        else:
            model.walk(Path(shared))
            model.run(Path(shared), seed=int(seed), examples=EXAMPLES)
    except ViolationError as error:
        found = str(error)
    sys.stdout.write(found.replace("\n", " ") + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
