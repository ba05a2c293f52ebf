"""A URL's path becomes names below a directory, or nothing."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netboot.content.serving.url_path import LONGEST_PATH, segments


@pytest.mark.parametrize(
    ("url_path", "expected"),
    [
        ("/content/ol8/vmlinuz", ("content", "ol8", "vmlinuz")),
        ("/content/ol8/vmlinuz?x=/../y", ("content", "ol8", "vmlinuz")),
        ("/content/ol8//images///install.img", ("content", "ol8", "images", "install.img")),
        ("//content/ol8/vmlinuz", ("content", "ol8", "vmlinuz")),
        ("/content/ol8/.treeinfo", ("content", "ol8", ".treeinfo")),
        ("/content/ol8/a%20b%2Bc", ("content", "ol8", "a b+c")),
        ("/content/ol8/%C3%A9", ("content", "ol8", "é")),
        ("/content/ol8/é", ("content", "ol8", "é")),
        ("/content/ol8/a..b", ("content", "ol8", "a..b")),
        ("/content/ol8/a@b:c", ("content", "ol8", "a@b:c")),
    ],
)
def test_a_plain_path_becomes_its_names(url_path: str, expected: tuple[str, ...]) -> None:
    assert segments(url_path) == expected


@pytest.mark.parametrize(
    "url_path",
    [
        "",
        "/",
        "///",
        "content/ol8/vmlinuz",
        "/content/ol8/",
        "/content/../etc/passwd",
        "/content/./ol8",
        "/content/%2e%2e/etc/passwd",
        "/content/%2E./etc/passwd",
        "/content/ol8/..%2f..%2fetc/passwd",
        "/content/ol8%2fvmlinuz",
        "/content/ol8/..\\..\\x",
        "/content/ol8/%5c..%5cx",
        "/content/ol8/vmlinuz%00.txt",
        "/content/ol8/\x00",
        "/content/ol8/%0d%0aX: y",
        "/content/ol8/%ff",
        "/content/ol8/\udcff",
        "/content/.hidden/x",
        "/content/.treeinfo/x",
        "/content/ol8/.discinfo",
        "/ostree/r/.lock",
        "/content/ol8/%2egit",
        "/" + "a" * LONGEST_PATH,
    ],
)
def test_a_path_that_is_not_plainly_below_the_root_is_rejected(url_path: str) -> None:
    assert segments(url_path) is None


@given(st.one_of(st.text(), st.text(alphabet="/.%2eEfF5cC\\ax\0", max_size=40)))
def test_no_path_ever_leads_out_of_its_root(tail: str) -> None:
    names = segments("/content/" + tail)

    if names is not None:
        path = "/root/" + "/".join(names)
        assert os.path.normpath(path) == path
        assert all(name not in ("", ".", "..") and "\0" not in name for name in names)
