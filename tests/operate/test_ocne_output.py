"""A file with what `ocne` printed on standard error is recognised, and the whole file in it is named by its line."""

from typing import Final

import pytest
from fixtures.role_files import SAMPLES

from netboot.operate.cluster.ocne_output import standard_error_in

WHOLE: Final = (SAMPLES / "worker-join.ign").read_text().strip("\n")
# ocne 2.3.3 with automaticTokenCreation: false; the token is made up.
WORKER: Final = "Run this command before booting the new node to allow it to join the cluster: kubeadm token create a.b"
CONTROL_PLANE: Final = (
    "Run these commands before booting the new node to allow it to join the cluster:\n"
    '\techo "chroot /hostroot kubeadm init phase upload-certs" | ocne cluster console --node cp1\n'
    "\tkubeadm token create a.b"
)
LOGGED: Final = 'time="2026-11-29T12:00:00Z" level=error msg="connection refused"'
ALONE: Final = "redirect standard output alone: ocne cluster … > FILE, without 2>&1"


@pytest.mark.parametrize("text", [WHOLE, WHOLE + "\n", "", "{", '{"a": "Run this command before booting"}'])
def test_standard_output_alone_has_nothing_of_standard_error(text: str):
    assert standard_error_in(text.encode()) is None


@pytest.mark.parametrize(
    ("text", "printed", "whole"),
    [
        (f"{WHOLE}\n{WORKER}\n", 2, 1),
        (f"{WORKER}\n{WHOLE}\n", 1, 2),
        (f"{CONTROL_PLANE}\n{WHOLE}\n", 1, 4),
        (f"INFO[2026-11-29T12:00:00Z] Waiting\n{WHOLE}\nError: cannot upload\n", 1, 2),
    ],
)
def test_the_whole_file_beside_standard_error_is_named_by_its_line(text: str, printed: int, whole: int):
    assert standard_error_in(text.encode()) == (
        f"line {printed} of FILE is what ocne printed on standard error, and line {whole} the whole file; "
        f"sed -n {whole}p FILE > NEW takes it alone"
    )


@pytest.mark.parametrize(
    "text", [WORKER, CONTROL_PLANE, LOGGED, f"{LOGGED}\n{WHOLE[:-1]}", f"{WHOLE}\n{WHOLE}\n{LOGGED}"]
)
def test_without_exactly_one_whole_file_the_redirection_is_the_cure(text: str):
    printed = 3 if text.startswith(WHOLE) else 1

    assert standard_error_in(text.encode()) == (
        f"line {printed} of FILE is what ocne printed on standard error, "
        f"and not exactly one line is a whole file; {ALONE}"
    )
