"""The directory of a dead lab is removed by the next lab; that of a running one is not."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from netboot.lab.records import work_directory

HOLD = (
    "import sys, time; from pathlib import Path; from netboot.lab.records import work_directory\n"
    "with work_directory(Path(sys.argv[1]), 'ended') as work:\n"
    "    (work / 'disk').write_text('x'); print(work, flush=True); time.sleep(60)\n"
)


def test_labs_of_one_name_have_directories_of_their_own_and_remove_them(tmp_path: Path):
    with work_directory(tmp_path / "labs", "ended") as first, work_directory(tmp_path / "labs", "ended") as second:
        assert first != second
        assert sorted((tmp_path / "labs").iterdir()) == sorted([first, second])

    assert list((tmp_path / "labs").iterdir()) == []


def test_a_killed_labs_directory_is_removed_by_the_next_lab_and_a_running_labs_is_not(tmp_path: Path):
    # In a PID namespace of its own, as the tests run: its process number has no meaning here.
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", HOLD, str(tmp_path / "labs")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())

        with work_directory(tmp_path / "labs", "next"):
            assert [path.name for path in held.iterdir()] == ["disk"]

        os.kill(holder.pid, signal.SIGKILL)
        holder.stdout.read()  # its end: the lab's process is gone too

    with work_directory(tmp_path / "labs", "next") as work:
        assert list((tmp_path / "labs").iterdir()) == [work]
