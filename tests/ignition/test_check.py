"""Our verdict beside that of ignition-validate and of Ignition itself, on the same files."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ignition import faulty
from ignition.faulty import PLAIN, Judge, data, document, file, files, packed
from ignition.faulty_disks import FAULTY_DISKS, SOUND_DISKS

from netboot.ignition import resource
from netboot.ignition.check import check_merged, read_ignition
from netboot.ignition.problem import MOST_PROBLEMS

FAULTY = faulty.FAULTY | FAULTY_DISKS
SOUND = faulty.SOUND | SOUND_DISKS

SAMPLES = Path(__file__).parent / "samples"

FILES = sorted(path.name for path in SAMPLES.glob("*.ign"))


def refusal_by_validate(data: bytes, directory: Path, tool: Callable[[str], str]) -> str:
    """Return the output of Debian's ignition-validate (2.14: spec 3.4 is experimental) for a file; empty: no fault."""
    path = directory / "config.ign"
    path.write_bytes(data.replace(b'"3.4.0"', b'"3.4.0-experimental"'))
    judged = subprocess.run([tool("ignition-validate"), path], check=False, capture_output=True, text=True, timeout=20)
    return "" if judged.returncode == 0 else judged.stderr or "refused"


def refusal_by_ignition(data: bytes, directory: Path, tool: Callable[[str], str]) -> str:
    """Return the CRITICAL lines of the real Ignition, which fetches and installs a file into an almost empty root.

    The last step of the files stage relabels for SELinux, whose programs are not here: what gets there was installed.
    """
    path, root = directory / "config.ign", directory / "root"
    path.write_bytes(data.replace(b'"3.4.0"', b'"3.4.0-experimental"'))
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\n")
    (root / "etc" / "shadow").touch()
    for stage in ("fetch", "files"):
        ran = subprocess.run(
            [
                tool("ignition"), "--platform=file", f"--stage={stage}", f"--root={root}", "--log-to-stdout",
                f"--config-cache={directory}/cache.json", f"--state-file={directory}/state.json",
                f"--neednet={directory}/neednet",
            ],
            check=False, capture_output=True, text=True, timeout=60,
            env=os.environ | {"IGNITION_CONFIG_FILE": str(path)},
        )  # fmt: skip
        if ran.returncode != 0:
            critical = [line for line in ran.stdout.splitlines() if "CRITICAL" in line] or ["refused"]
            return "" if "failed to handle relabeling" in critical[-1] else "\n".join(critical)
    return ""


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_file_is_refused_with_place_and_cure_where_ignition_refuses_it(
    name: str, tmp_path: Path, tool: Callable[[str], str]
):
    refused = FAULTY[name]

    assert [str(problem) for problem in read_ignition(refused.data).problems][:1] == [refused.reason]
    assert bool(refusal_by_validate(refused.data, tmp_path, tool)) == (refused.judge is Judge.VALIDATE)


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_file_is_taken_as_ignition_takes_it(name: str, tmp_path: Path, tool: Callable[[str], str]):
    assert [str(problem) for problem in read_ignition(SOUND[name]).problems] == []
    assert refusal_by_validate(SOUND[name], tmp_path, tool) == ""


@pytest.mark.integration
@pytest.mark.parametrize("name", [name for name, each in FAULTY.items() if each.judge is Judge.IGNITION])
def test_the_real_ignition_fails_at_what_its_validator_does_not_see(
    name: str, tmp_path: Path, tool: Callable[[str], str]
):
    assert refusal_by_ignition(FAULTY[name].data, tmp_path, tool) != ""


@pytest.mark.integration
@pytest.mark.parametrize("name", faulty.SOUND)  # for the others it needs the disks
def test_the_real_ignition_installs_the_sound_files(name: str, tmp_path: Path, tool: Callable[[str], str]):
    assert refusal_by_ignition(faulty.SOUND[name], tmp_path, tool) == ""


@pytest.mark.parametrize("name", FILES)
def test_what_ocne_writes_is_taken_and_what_the_field_sent_is_not(name: str):
    is_sound = name in ("controlplane-join.ign", "init.ign", "overlay-node.ign", "worker-join.ign", "wrapper.ign")

    assert (read_ignition((SAMPLES / name).read_bytes()).problems == ()) == is_sound


def test_every_problem_of_a_file_is_listed():
    assert [str(problem) for problem in read_ignition((SAMPLES / "spec.ign").read_bytes()).problems] == [
        "/storage/files/0/path: 'etc/relative' is not absolute; write a full, simplified path",
        "/storage/files/0/contents/compression: 'bzip2' is not a compression that Ignition supports; "
        'write "gzip" or ""',
        "/storage/files/0/contents/source: is a URL with 'gopher'; use one of data, http, https, tftp, s3, gs",
    ]


def test_a_problem_shows_nothing_of_the_contents():
    secret = "c2VjcmV0"
    data = document(
        storage={"files": [file(source=f"data:;base64,{secret}", compression="gzip")]},
        passwd={"users": [{"name": "a", "passwordHash": f"{secret}:"}]},
    )

    problems = list(read_ignition(data).problems)

    assert [problem.pointer for problem in problems] == [
        "/storage/files/0/contents/source",
        "/passwd/users/0/passwordHash",
    ]
    assert secret not in "".join(map(str, problems))


def test_contents_that_unpack_without_end_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "UNPACKED_LIMIT_BYTES", 1 << 20)
    half = file("/a", source=packed(bytes(600_000)), compression="gzip")

    assert read_ignition(files(half)).problems == ()
    assert [str(problem) for problem in read_ignition(files(half, {**half, "path": "/b"})).problems] == [
        "/storage/files/1/contents/source: brings the file's contents to more than 1 MiB; "
        "fetch large files after the first boot"
    ]


def test_two_files_that_are_sound_alone_may_be_in_each_others_way():
    role = read_ignition(files(file("/etc/netboot")))
    overlay = read_ignition(files(file("/etc/netboot/report-ready")))
    same = read_ignition(document(storage={"links": [{"path": "/etc/netboot/report-ready", "target": "/a"}]}))

    assert [str(problem) for problem in check_merged([role, overlay])] == [
        "/storage/files/0: '/etc/netboot/report-ready' lies below the file '/etc/netboot' (/storage/files/0); "
        "make '/etc/netboot' a directory, or move one of them"
    ]
    assert check_merged([same, overlay]) == []


def test_a_url_without_host_is_refused_before_ignition_retries_it_without_end():
    assert [str(problem) for problem in read_ignition(files(file(source="http:///x"))).problems] == [
        "/storage/files/0/contents/source: is a URL that has no host; correct it"
    ]


def test_configurations_nested_deeper_than_eight_are_not_read():
    nested = [b"{}"]
    for _ in range(9):
        nested.append(document(ignition={"config": {"merge": [{"source": data(nested[-1])}]}}))

    assert [bool(read_ignition(each).problems) for each in nested] == [True] * 9 + [False]


def test_a_file_lists_its_paths_and_is_kept_without_its_contents():
    read = read_ignition(files(file(), links=[{"path": "/etc/b", "target": "a"}], directories=[{"path": "/etc/c"}]))

    kept = read.without_contents()

    assert (kept.paths, kept.version, kept.nodes) == ({"/etc/tested", "/etc/b", "/etc/c"}, "3.3.0", read.nodes)
    assert kept.config == {}


def test_a_problem_in_a_file_is_placed_by_line_by_pointer_or_by_the_file_alone():
    places = [read_ignition(each).problems[0].in_file("w.ign") for each in (PLAIN[:-1], files({}), b"{}")]

    assert places == [
        "w.ign:1:34: is not JSON (Expecting ',' delimiter)",
        "w.ign: /storage/files/0/path: '' is not a path",
        "w.ign has no ignition.version",
    ]


def test_the_first_problems_of_a_hostile_file_are_listed():
    users = [{"name": f":{n}"} for n in range(10_000)]

    problems = read_ignition(
        json.dumps({"ignition": {"version": "3.3.0"}, "passwd": {"users": users}}).encode()
    ).problems

    assert [problem.pointer for problem in problems] == [f"/passwd/users/{n}/name" for n in range(MOST_PROBLEMS)]
