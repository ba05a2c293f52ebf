"""The navigation around each page."""

import base64

import pytest

from netboot.admin.pages.shell import NAVIGATION, Flash, Shell, navigation_at
from netboot.model.install.install import InstallState


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/", ["Rack"]),
        ("/hosts/cp1", ["Rack"]),
        ("/installs/arm", ["Rack"]),
        ("/machines/52:54:00:00:00:01", ["Machines"]),
        ("/content", ["Content"]),
        ("/contents", []),
        ("/login", []),
    ],
)
def test_the_navigation_marks_the_section_of_a_page(path: str, current: list[str]):
    assert [link.label for link in navigation_at(path) if link.is_current] == current
    assert len(navigation_at(path)) == len(NAVIGATION)


def test_a_message_survives_its_cookie():
    flash = Flash("warning", "cp1: „armed“; 2 of 3 <b>")

    assert Flash.of_cookie(flash.cookie()) == flash


@pytest.mark.parametrize("text", ["", "[" * 5_000, '["good"]', '[["good"], "x"]', '["unknown", "x"]', "7"])
def test_a_cookie_that_another_port_of_this_name_set_is_no_message(text: str):
    assert Flash.of_cookie(base64.urlsafe_b64encode(text.encode()).decode()) is None
    assert Flash.of_cookie(text) is None


def test_a_message_that_cannot_be_sent_as_it_is_has_another_sign():
    assert Flash.of_cookie(Flash("bad", "a\ud800b").cookie()) == Flash("bad", "a?b")


def test_each_state_of_an_install_has_its_colour():
    colours = {state.value: Shell.colour_of(state) for state in InstallState}

    assert colours == {
        "registered": "",
        "offered": "blue",
        "loading": "blue",
        "installing": "blue",
        "installed": "blue",
        "ready": "green",
        "failed": "red",
    }
