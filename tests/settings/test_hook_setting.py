import re
from pathlib import Path

import pytest

from netboot.model.hook import CommandTarget, Hook, WebTarget
from netboot.model.host.host import HostName
from netboot.model.install.event_names import EVENT_NAMES
from netboot.model.install.install import InstallState

EVENTS = Path(__file__).parents[2] / "docs" / "events.md"
A_URL = "url: 'https://h.example.org/x'"
NO_TARGET = "hooks[0]: needs either url or command; write one of the two"


def test_a_hook_has_its_values_and_files_beside_the_settings(site):
    site.write(
        "netboot.yaml",
        """\
        hooks:
          - name: pager
            url: https://[2001:db8::1]:8443/services/T00?token=a%20b
            secret_file: pager.secret
            ca_file: /etc/ca.pem
            events: [install.moved, boot.*]
            states: [ready, failed]
            hosts: [cp1]
            timeout_s: 5
          - {name: inventory, command: [/usr/local/bin/update, --port, 22], events: ["*"]}
        """,
    )

    assert [each.hook() for each in site.load().settings.hooks] == [
        Hook(
            "pager",
            WebTarget(
                "https://[2001:db8::1]:8443/services/T00?token=a%20b",
                site.directory / "pager.secret",
                Path("/etc/ca.pem"),
            ),
            ("install.moved", "boot.*"),
            states=frozenset({InstallState.READY, InstallState.FAILED}),
            hosts=frozenset({HostName("cp1")}),
            timeout_s=5,
        ),
        Hook("inventory", CommandTarget(("/usr/local/bin/update", "--port", "22")), ("*",)),
    ]


@pytest.mark.parametrize(
    ("hook", "fault"),
    [
        (
            f"{A_URL}, events: [install.move]",
            "hooks[0].events[0]: no such event 'install.move'; did you mean install.moved?",
        ),
        (f"{A_URL}, events: [boots.*]", "hooks[0].events[0]: no such event 'boots.*'; did you mean boot.*?"),
        (
            f"{A_URL}, events: [hooks.deliveries_lost]",
            "hooks[0].events[0]: events about hooks are not delivered by hooks; "
            "remove it; netboot hooks list and the log show what hooks lack",
        ),
        (f"{A_URL}, events: []", "hooks[0].events: names no event; write one at least, as [install.moved]"),
        (f"{A_URL}", "hooks[0].events: is missing; write it, as events: [install.moved]"),
        ("events: ['*']", NO_TARGET),
        (f"{A_URL}, command: [/bin/true], events: ['*']", NO_TARGET),
        (
            "command: [notify], events: ['*']",
            "hooks[0].command: does not begin with an absolute path; write it as [/usr/local/bin/notify]",
        ),
        (
            "command: /bin/true, events: ['*']",
            "hooks[0].command: must be a list; write it in brackets: [first, second]",
        ),
        (
            f"command: [/bin/true, {'a' * 3000}], events: ['*']",
            "hooks[0].command[1]: has 3000 characters; write 2048 at most",
        ),
        (
            "command: [/bin/true], secret_file: x, events: ['*']",
            "hooks[0].secret_file: is for a url only; remove it",
        ),
        (
            "url: 'http://h/', ca_file: x, events: ['*']",
            "hooks[0].ca_file: is for an https URL only; remove it, or correct url",
        ),
        (
            f"{A_URL}, states: [ready], events: [boot.*]",
            "hooks[0].states: needs install.moved among the events; add install.moved to events",
        ),
        (
            f"{A_URL}, states: [done], events: ['*']",
            "hooks[0].states[0]: 'done' is none of its values; "
            "use registered, offered, loading, installing, installed, ready or failed",
        ),
        (f"{A_URL}, timeout_s: 60, events: ['*']",
         "hooks[0].timeout_s: 60 is out of range; write a whole number from 1 to 25"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_line_and_cure(site, hook: str, fault: str):
    site.write("netboot.yaml", f"hooks:\n  - {{name: pager, {hook}}}\n")

    (found,) = site.faults()

    assert re.fullmatch(rf"netboot\.yaml:2:\d+: {re.escape(fault)}", found), found


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.org/XYZZY",
        "ftp://h/XYZZY",
        "file:///etc/XYZZY",
        "https://user:XYZZY@h/",
        "https://h/#XYZZY",
        "https://h/XYZZY x",
        "https://h:70000/XYZZY",
        "https://h:0/XYZZY",
        "https:///XYZZY",
        "https://[::1/XYZZY",
        "https://[:::::]/XYZZY",
        "https://hé/XYZZY",
        "https://h/" + "XYZZY" * 500,
    ],
)
def test_a_url_that_no_request_can_use_is_refused_and_not_shown(site, url: str):
    site.write("netboot.yaml", f'hooks:\n  - {{name: pager, events: ["*"], url: "{url}"}}\n')

    (fault,) = site.faults()

    assert "hooks[0].url: is not a URL of http or https; write it as https://hooks.example.org/netboot" in fault
    assert "XYZZY" not in fault


def test_two_hooks_of_one_name_are_refused(site):
    hook = f"{{name: a, {A_URL}, events: ['*']}}"
    site.write("netboot.yaml", f"hooks: [{hook}, {hook}]\n")

    assert site.faults() == ["netboot.yaml:1:8: hooks: a is named 2 times; give each hook its own name"]


def test_more_hooks_than_are_served_are_refused(site):
    hooks = ", ".join(f"{{name: a{number}, {A_URL}, events: ['*']}}" for number in range(17))
    site.write("netboot.yaml", f"hooks: [{hooks}]\n")

    assert site.faults() == ["netboot.yaml:1:8: hooks: has 17 entries; declare 16 hooks at most"]


def test_the_settings_show_neither_url_nor_command(site):
    site.write(
        "netboot.yaml",
        "hooks: [{name: a, url: 'https://h/XYZZY', events: ['*']}, {name: b, command: [/b, XYZZY], events: ['*']}]\n",
    )

    assert "XYZZY" not in repr(site.load().settings)


def test_every_event_that_is_documented_can_be_named_except_those_about_hooks():
    section = EVENTS.read_text().partition("## Events\n")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `([a-z0-9]+\.[a-z0-9_]+)` \|", section, re.MULTILINE)

    assert [name for name in sorted(documented) if not name.startswith("hooks.")] == list(EVENT_NAMES)
