import os
from pathlib import Path

import pytest

from netboot.yamlfile.faults import Faults, Place
from netboot.yamlfile.files import SIZE_LIMIT_BYTES, read_text


def fault_of(path: Path, *, place: Place | None = None) -> str:
    faults = Faults()
    assert read_text(path, faults, place=place or Place("f.yaml")) is None
    [problem] = faults.problems
    return str(problem)


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_byte_order_mark_is_no_text():
    Path("f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")

    assert read_text(Path("f.yaml"), Faults(), place=Place("f.yaml")) == "a: 1\n"


def test_bytes_that_are_not_utf_8_are_reported_with_their_place():
    Path("f.yaml").write_bytes("ä: 1\nü: ".encode() + b"\xfc\n")

    assert fault_of(Path("f.yaml")) == "f.yaml:2:4: is not UTF-8 (byte 0xfc); save the file as UTF-8"


def test_utf_16_is_not_utf_8():
    Path("f.yaml").write_bytes("a: 1\n".encode("utf-16"))

    assert fault_of(Path("f.yaml")) == "f.yaml:1:1: is not UTF-8 (byte 0xff); save the file as UTF-8"


def test_a_file_that_is_not_there_is_one_clear_fault():
    assert fault_of(Path("f.yaml")) == (
        "f.yaml: cannot be read (No such file or directory); write the file, or correct the name"
    )


def test_a_fault_names_the_file_when_another_file_refers_to_it():
    assert fault_of(Path("a.ign"), place=Place("hosts.yaml", 3, 4)) == (
        "hosts.yaml:3:4: a.ign cannot be read (No such file or directory); write the file, or correct the name"
    )


def test_a_directory_is_no_file():
    Path("f.yaml").mkdir()

    assert fault_of(Path("f.yaml")) == "f.yaml: cannot be read (Is a directory); name a file that can be read"


def test_a_fifo_in_place_of_a_file_does_not_hang():
    os.mkfifo("f.yaml")

    assert fault_of(Path("f.yaml")) == "f.yaml: is not a regular file; name a file"


def test_a_file_beyond_four_mebibytes_is_refused():
    Path("f.yaml").write_bytes(b"#" * (SIZE_LIMIT_BYTES + 1))

    assert fault_of(Path("f.yaml")) == "f.yaml: is larger than 4 MiB; name the file that was meant"


def test_a_file_that_this_user_may_not_read_names_the_right_that_is_missing():
    Path("f.yaml").touch(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        fault = fault_of(Path("f.yaml"))
    finally:
        os.seteuid(user)

    assert fault == "f.yaml: cannot be read (Permission denied); run with sudo, or join group netboot"


def test_a_name_that_no_file_can_have_is_a_fault():
    assert fault_of(Path("f\0.yaml"), place=Place("hosts.yaml", 1, 1)).endswith("; name a file that can be read")
