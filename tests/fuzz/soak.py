"""Run every fuzz target for a time: `python tests/fuzz/soak.py SECONDS [TARGET…]`; two at once, each in one process.

Prints executions, coverage before and after, and new inputs of each. An input that breaks a rule stays in `build/fuzz`:
add it to the corpus, so that it is a test, and mend what it shows. Exit code 1 if there is one.
"""

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from fuzz.targets import TARGETS  # noqa: E402 - below the path of the tests
from fuzz.test_fuzz import LONGEST  # noqa: E402 - as above

BUILD: Final = HERE.parents[1] / "build" / "fuzz"
GRACE_S: Final = 120  # to load, and to end the last input


def run_target(target: str, seconds: int) -> str:
    """Run one target; return its line of the report."""
    new = BUILD / target
    new.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(HERE / "run.py"), target, str(new), str(HERE / "corpus" / target)]
    limits = [
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST.get(target, 1500)}",
        "-timeout=20",
        "-rss_limit_mb=1024",
    ]
    try:
        ran = subprocess.run(
            [*command, *limits, f"-artifact_prefix={BUILD}/{target}-"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + GRACE_S,
            check=False,
        )
        log, is_sound = ran.stderr, ran.returncode == 0
    except subprocess.TimeoutExpired as expired:
        log, is_sound = (expired.stderr or b"").decode(errors="replace"), False
    (BUILD / f"{target}.log").write_text(log)
    coverage = [int(each) for each in re.findall(r"^#\d+\s+\w+\s+cov: (\d+)", log, re.MULTILINE)] or [0]
    executions = [int(each) for each in re.findall(r"^(?:#|Done )(\d+)\s", log, re.MULTILINE)] or [0]
    found = sorted(path.name for path in BUILD.glob(f"{target}-*"))
    result = "sound" if is_sound else f"BROKEN: {', '.join(found) or 'see its log'}"
    inputs = len(list(new.iterdir()))
    return f"{target:<14}{executions[-1]:>12}{coverage[0]:>8}{coverage[-1]:>8}{inputs:>8}   {result}\n"


def main(seconds: int, targets: list[str]) -> int:
    """Run the targets and print the report; return the exit code."""
    shutil.rmtree(BUILD, ignore_errors=True)
    sys.stdout.write(f"{'target':<14}{'executions':>12}{'before':>8}{'after':>8}{'new':>8}   ({seconds} s each)\n")
    with ThreadPoolExecutor(2) as pool:
        lines = []
        for line in pool.map(lambda target: run_target(target, seconds), targets):
            lines.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
    return 1 if any("BROKEN" in line for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2:] or list(TARGETS)))
