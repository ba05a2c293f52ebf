"""The forms of the rack from outside, sent by curl as a browser without scripts does; with the commands' sentences."""

import pytest
from fixtures.html_page import HtmlPage
from fixtures.rack import Answer, Rack

pytestmark = pytest.mark.integration

HTML = ("-H", "Accept: text/html")


def confirm(rack: Rack, path: str, **filled: str) -> Answer:
    """Fill in the form of a confirmation and send it."""
    page = rack.curl_api(*HTML, path)
    assert page.status == 200, page.body
    (form,) = HtmlPage(page.body).forms
    return rack.curl_api(*HTML, "--data-binary", form.body(**filled).decode(), path.partition("?")[0])


def is_armed(rack: Rack) -> dict[str, bool]:
    return {host: rack.install(host)["armed"] for host in ("cp1", "w1")}


def test_all_hosts_are_armed_from_the_form_and_the_history_has_who_did_it(rack: Rack):
    done = confirm(rack, "/installs/arm?host=cp1&host=w1&back=/%3Fsort%3Dmac", reason="a new rack", attempts="2")

    assert done.status == 303
    assert "Location: /?sort=mac" in done.headers
    assert is_armed(rack) == {"cp1": True, "w1": True}
    assert rack.install("w1")["arming"]["attempts"] == 2
    assert "a new rack" in rack.netboot("install", "history", "w1")
    assert "a process on 127.0.0.1" in rack.netboot("install", "history", "w1", "--json")


def test_what_the_command_refuses_the_page_refuses_with_the_same_sentences(rack: Rack):
    hosts = rack.directory / "hosts.yaml"
    hosts.write_text(hosts.read_text().replace("release: ock-1.31-amd64", "release: missing"))
    rack.netboot("reload")

    command = rack.netboot("install", "arm", "cp1", "w1", status=1)
    by_api = rack.api("/api/v1/installs/arm", "--json", '{"hosts": ["cp1", "w1"]}')
    by_page = confirm(rack, "/installs/arm?host=cp1&host=w1")

    shown = HtmlPage(by_page.body).texts("li")
    assert by_page.status == 409
    assert by_api["code"] == "arming-refused"
    for host, reasons in by_api["hosts"].items():
        for reason in reasons:
            assert f"cannot arm {host}: {reason}" in command
            assert f"{host}: {reason}" in shown
    assert is_armed(rack) == {"cp1": False, "w1": False}


def test_a_form_that_is_sent_twice_arms_once(rack: Rack):
    (form,) = HtmlPage(rack.curl_api(*HTML, "/hosts/w1/arm").body).forms
    sent = (*HTML, "--data-binary", form.body().decode(), "/hosts/w1/arm")

    first = rack.curl_api(*sent)
    rack.netboot("install", "cancel", "w1")
    again = rack.curl_api(*sent)

    assert (first.status, again.status) == (303, 422)
    assert "A host changed since this page was made." in again.body
    assert is_armed(rack) == {"cp1": False, "w1": False}


def test_a_refused_form_arms_nothing_when_the_reason_is_gone_and_it_is_sent_again(rack: Rack):
    hosts = rack.directory / "hosts.yaml"
    good = hosts.read_text()
    hosts.write_text(good.replace("release: ock-1.31-amd64", "release: missing"))
    rack.netboot("reload")
    (form,) = HtmlPage(rack.curl_api(*HTML, "/hosts/w1/arm").body).forms
    sent = (*HTML, "--data-binary", form.body().decode(), "/hosts/w1/arm")
    refused = rack.curl_api(*sent)
    (rack.directory / "content" / "ostree" / "missing").symlink_to("ock-1.31-amd64")
    rack.netboot("reload")
    again = rack.curl_api(*sent)

    assert (refused.status, again.status) == (409, 422)
    assert is_armed(rack) == {"cp1": False, "w1": False}


def test_a_form_of_another_run_of_the_daemon_changes_nothing(rack: Rack):
    (form,) = HtmlPage(rack.curl_api(*HTML, "/hosts/w1/arm").body).forms
    rack.kill()
    rack.start()

    refused = rack.curl_api(*HTML, "--data-binary", form.body().decode(), "/hosts/w1/arm")

    assert refused.status == 403
    assert "load the page again" in refused.body
    assert is_armed(rack) == {"cp1": False, "w1": False}
