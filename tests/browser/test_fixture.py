"""The fixtures of this directory find the faults of a page, and nothing of them remains."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fixtures.browser import SCREENSHOTS, Appearance, Pages, assert_fits, axe, screenshot
from playwright.sync_api import Page

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).resolve().parents[2]
FAULTY = "<html lang=en><title>x</title><main><h1>x</h1><img src=data:,><p style='color: #999'>pale</p></main>"
FAILING = """\
import pytest
def test_it(pages):
    pages.expect("404")  # of the icon
    assert pages.open("/healthz").url == "elsewhere"
"""


def test_axe_lists_each_violation_with_its_place(page: Page):
    page.set_content(FAULTY)

    with pytest.raises(AssertionError) as caught:
        axe(page)

    assert [line.split(" ")[0] for line in str(caught.value).splitlines() if "): " in line] == [
        "color-contrast",
        "image-alt",
    ]
    assert "['p']: <p style" in str(caught.value)


def test_errors_of_scripts_console_and_requests_are_faults(pages: Pages):
    page = pages.context().new_page()
    page.goto("/healthz")
    page.evaluate("console.error('first')")
    page.evaluate("setTimeout(() => { throw new Error('second') })")
    page.evaluate("fetch('/api/v1/hosts/nowhere').then(answer => answer.text())")
    page.evaluate("fetch('http://127.0.0.1:1/').catch(() => 0)")

    found = "\n".join(pages.unexpected())
    pages.expect(".")

    for fault in ("first", "second", "/api/v1/hosts/nowhere: 404", "http://127.0.0.1:1/: net::ERR_"):
        assert fault in found
    assert pages.unexpected() == []


def test_a_page_that_is_too_wide_is_found_with_what_is_too_wide(pages: Pages):
    page = pages.context(Appearance.NARROW).new_page()
    page.set_content("<!doctype html><pre id=long>" + "x" * 500)

    with pytest.raises(AssertionError, match="pre#long"):
        assert_fits(page)


def test_a_screenshot_shows_the_whole_page_and_is_written_again(page: Page):
    page.set_content("<p style='height: 9000px'>high")

    first = screenshot(page, "fixture").read_bytes()
    page.set_content("<p>low")
    second = screenshot(page, "fixture")

    assert (int.from_bytes(first[16:20], "big"), int.from_bytes(first[20:24], "big")) == (1280, 6000)
    assert second == SCREENSHOTS / "fixture.png"
    assert int.from_bytes(second.read_bytes()[20:24], "big") == 900
    second.unlink()


def test_a_failing_test_leaves_no_process_and_no_profile(tmp_path: Path):
    (tmp_path / "test_failing.py").write_text(FAILING)
    plugins = ["-p", "no:cacheprovider", "-p", "conftest", "-p", "browser.conftest"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, f"--rootdir={tmp_path}", str(tmp_path)]
    with TemporaryDirectory(prefix="nb") as short:  # a socket of Chromium is below it
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "tests"), "TMPDIR": short}

        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

        assert ran.stdout.splitlines()[-1].split(" in ")[0] == "1 failed", ran.stdout
        assert processes_with(short) == []
        assert list(Path(short).glob("chromium-*")) == []


def processes_with(text: str) -> list[str]:
    """List the processes with this text in their arguments or environment: driver, browser, daemon."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments, environment = ((process / name).read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            continue
        if text.encode() in arguments + environment:
            found.append(arguments.replace(b"\0", b" ").decode())
    return found
