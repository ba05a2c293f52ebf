"""The pages of a host on the whole appliance in one process: what they show, text of machines in them, and refusals."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from ipaddress import IPv4Address

import pytest
from safety import wire
from safety.appliance import Appliance, Response, link_shared, prepare
from safety.declared import A1, AT_FIRST, POOL

from netboot.model.boot.log_line import LogLine, Severity

HEADERS = ("Host: localhost", "Accept: text/html")
ADDRESS = POOL[3]
SCRIPT = f"/boot/{A1.replace(':', '-')}.ipxe"
HOSTILE = "%3Cscript%3Ealert(1)%3C%2Fscript%3E"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance whose cp1 is armed and loads its installer, after a boot of its own disk."""
    shared, directory = tmp_path_factory.mktemp("shared"), tmp_path_factory.mktemp("box")
    prepare(shared)
    link_shared(shared, directory)
    box = Appliance(directory, AT_FIRST.text())
    boot(box, 7)
    box.advance(900)
    assert box.arm("cp1", force=True) == 200
    boot(box, 8)
    box.tftp("\xff\xfe/grubx64.efi", ADDRESS)
    box.advance(5)
    log = box.directory / "records" / "w1" / "20261121T120000.000000Z.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"{each.to_json()}\n" for each in LINES))
    yield box
    box.close()


LINES = [
    LogLine(datetime(2026, 11, 21, 12, 0, number % 60, tzinfo=UTC), IPv4Address(ADDRESS), severity, "anaconda", text)
    for number, (severity, text) in enumerate(
        [*[(Severity.INFO, f"line {number}") for number in range(400)], (Severity.ERROR, "<script>x</script>\u202e")]
    )
]


def boot(box: Appliance, exchange: int) -> None:
    """Announce cp1 as firmware and as iPXE, and request its script with hostile facts."""
    box.dhcp(67, wire.discover(wire.UEFI, A1, exchange))
    box.dhcp(67, wire.discover(wire.UEFI, A1, exchange + 20, is_ipxe=True))
    box.dhcp(67, wire.lan_request(A1, exchange + 20, ADDRESS))
    box.http("GET", f"{SCRIPT}?product={HOSTILE}&serial=%E2%80%AE{'x' * 300}", ADDRESS)


def get(box: Appliance, path: str) -> Response:
    return box.administration("GET", path, headers=HEADERS)


def page(box: Appliance, path: str) -> str:
    response = get(box, path)
    assert response.status == 200, response.body
    return response.body.decode()


def words(html: str) -> str:
    """Return the text of a page in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_a_host_is_shown_with_its_state_its_boot_and_what_was_declared(box: Appliance):
    found = words(page(box, "/hosts/cp1"))

    assert "cp1 control-plane loading armed" in found
    assert "Armed yes, 0 of 1 attempts left: a test" in found
    assert f"MAC {A1}, 52:54:00:aa:bb:02" in found
    assert "Disk /dev/vda" in found
    assert re.search(r"Boot 2 of 2 Began \S+ \S+ \( \S+ s ago \) by 52:54:00:aa:bb:01", found)


def test_the_reasons_of_refused_actions_and_of_the_state_are_those_of_the_api(box: Appliance):
    found = words(page(box, "/hosts/cp1"))

    actions = box.api("GET", "/hosts/cp1/actions").json()
    install = box.api("GET", "/hosts/cp1/install").json()
    refusals = [reason for action in actions if not action["is_forcible"] for reason in action["reasons"]]
    assert refusals
    assert [reason for reason in refusals if " ".join(reason.split()) not in found] == []
    cause = install["cause"]
    assert cause is None or cause["sentence"] in found


def test_an_action_that_is_possible_is_a_link_to_its_confirmation(box: Appliance):
    html = page(box, "/hosts/cp1")

    assert 'href="/hosts/cp1/cancel"' in html
    assert 'href="/hosts/cp1/arm"' not in html


@pytest.mark.parametrize("path", ["/hosts/cp1", "/hosts/cp1/boots/2", "/hosts/cp1/plan", "/hosts/cp1/history"])
def test_text_of_a_machine_is_escaped_and_short(box: Appliance, path: str):
    html = page(box, path)

    assert "<script>" not in html
    assert "\u202e" not in html
    assert "x" * 100 not in html
    assert ("&lt;script&gt;alert(1)&lt;/script&gt;" in html) == (path == "/hosts/cp1")


def test_each_kept_boot_has_a_page(box: Appliance):
    first = words(page(box, "/hosts/cp1/boots/1"))

    assert "Boot 1 of cp1" in first
    assert re.search(r"Boot 1 \S+ \S+ replaced", first)
    assert 'href="/hosts/cp1/boots/1"' in page(box, "/hosts/cp1")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/hosts/nosuch", "no host is called nosuch"),
        ("/hosts/nosuch/plan", "no host is called nosuch"),
        ("/hosts/cp1/boots/9", "no boot 9 of cp1 is kept; there are 2"),
        ("/hosts/cp1/boots/0", "a boot has a number; 1 is the oldest"),
        ("/hosts/cp1/boots/-1", "a boot has a number; 1 is the oldest"),
        ("/hosts/cp1/log?boot=0", "no log of cp1 is kept; see logs.listen"),
        ("/hosts/cp2/boots/1", "no boot 1 of cp2 is kept; there are none"),
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(box: Appliance, path: str, sentence: str):
    response = get(box, path)

    assert (response.status, sentence in words(response.body.decode())) == (404, True)


def test_a_host_that_never_booted_is_shown(box: Appliance):
    found = words(page(box, "/hosts/w1"))

    assert "No boot of this machine is kept." in found
    assert "Nothing happened to this host yet." in found


def test_the_plan_has_the_offers_documents_and_values_without_tokens(box: Appliance):
    found = words(page(box, "/hosts/cp1/plan"))

    assert "UEFI x64, PXE loader " in found
    assert "/ks/KICKSTART-TOKEN" in found
    assert re.search(r"role control-plane \S+/hosts\.yaml:\d+:\d+: hosts\.cp1\.role", found)
    token = box.http("GET", SCRIPT, ADDRESS).body.decode().partition("/ks/")[2][:32]
    assert len(token) == 32
    assert token not in found


def test_faulty_files_hide_the_values_alone(box: Appliance):
    box.edit_hosts("hosts: {cp1: {role: worker, nosuch: 1}}\n")
    try:
        found = words(page(box, "/hosts/cp1/plan"))
    finally:
        box.edit_hosts(AT_FIRST.text())

    assert "Faults of the files" in found
    assert "/ks/KICKSTART-TOKEN" in found


def test_the_history_has_actor_and_reason(box: Appliance):
    found = words(page(box, "/hosts/cp1/history"))

    assert re.search(r"armed registered a test a process on this box api", found)


def test_the_last_lines_of_a_log_are_in_the_page_with_their_severity(box: Appliance):
    html = page(box, "/hosts/w1")

    assert html.count('<span class="severity">') == 300
    assert "line 100" not in html
    assert "line 101" in html
    assert "&lt;script&gt;x&lt;/script&gt;\ufffd" in html
    assert '<li class="red">' in html
    assert "Earlier lines are not shown here." in words(html)
    assert "data-follow" not in html  # this daemon receives no logs


def test_a_log_is_sent_as_a_text_file(box: Appliance):
    response = get(box, "/hosts/w1/log?boot=1")

    lines = response.body.decode().splitlines()
    assert (response.status, len(lines)) == (200, 401)
    assert lines[0] == "2026-11-21T12:00:00+00:00 info anaconda: line 0"
    assert lines[-1] == "2026-11-21T12:00:40+00:00 err anaconda: <script>x</script>\ufffd"
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"] == 'attachment; filename="w1-20261121T120000Z.log"'
