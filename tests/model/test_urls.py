"""Each URL that is published, and the routes that serve them."""

from ipaddress import IPv4Address

import pytest

from netboot.model import urls
from netboot.model.host.mac import Mac
from netboot.model.release import RemoteRelease
from netboot.model.urls import HERE, ContentPlace

BASE = "http://192.0.2.10:8080"
MAC = Mac("52:54:00:aa:bb:01")
HYPHENATED = "52-54-00-aa-bb-01"
TOKEN = "0123456789abcdef" * 2
REMOTE = RemoteRelease("https://ostree.example.org/ock", "ock-1.31")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (urls.base_url(IPv4Address("192.0.2.10"), 8080), BASE),
        (urls.ipxe_script(BASE, MAC), f"{BASE}/boot/{HYPHENATED}.ipxe"),
        (urls.ipxe_script(BASE, None), f"{BASE}/boot/${{mac:hexhyp}}.ipxe"),
        (urls.machine_file(BASE, MAC, "a b/grubx64.efi"), f"{BASE}/boot/{HYPHENATED}/a%20b/grubx64.efi"),
        (urls.boot_file(BASE, "100%.efi"), f"{BASE}/bootfiles/100%25.efi"),
        (urls.kickstart(BASE, TOKEN), f"{BASE}/ks/{TOKEN}"),
        (urls.inspection(BASE, TOKEN), f"{BASE}/inspect/{TOKEN}"),
        (urls.ignition(BASE, TOKEN), f"{BASE}/ign/{TOKEN}"),
        (urls.ignition(BASE, TOKEN, "role"), f"{BASE}/ign/{TOKEN}/role"),
        (urls.report(BASE, TOKEN), f"{BASE}/report/{TOKEN}"),
        (urls.report(BASE, TOKEN, "done"), f"{BASE}/report/{TOKEN}/done"),
        (urls.node_report(BASE, TOKEN), f"{BASE}/node/{TOKEN}"),
        (urls.registry_address(BASE), BASE.removeprefix("http://")),
        (urls.registry_address(BASE, 5000), f"{urls.address_of(BASE)}:5000"),
        (urls.medium("http://cdn", "ol8"), "http://cdn/content/ol8"),
        (urls.releases("http://cdn"), "http://cdn/ostree"),
        (urls.release("http://cdn", "ock-1.31"), "http://cdn/ostree/ock-1.31"),
        (urls.release("http://cdn", REMOTE), "https://ostree.example.org/ock"),
        (urls.ref_of(REMOTE), "https://ostree.example.org/ock/refs/heads/ock-1.31"),
        (urls.page_of_host("https://netboot.example.org", "cp/1"), "https://netboot.example.org/hosts/cp%2F1"),
        (urls.grub_config(BASE, MAC), f"(http,192.0.2.10:8080)/boot/{HYPHENATED}/grub.cfg"),
        (urls.grub_path("http://cdn/content/ol8"), "(http,cdn)/content/ol8"),
    ],
)
def test_a_url_is_written_in_one_way(url: str, expected: str):
    assert url == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"/boot/{HYPHENATED}/a%20b/grubx64.efi", (HYPHENATED, "a b/grubx64.efi")),
        ("/bootfiles/100%25.efi", (None, "100%.efi")),
        (f"/boot/{HYPHENATED}.ipxe", None),
        ("/ks/token", None),
    ],
)
def test_the_path_of_a_boot_file_has_a_machine_and_a_name(path: str, expected: tuple[str | None, str] | None):
    assert urls.boot_file_in(path) == expected


@pytest.mark.parametrize(
    ("place", "url", "loader_url"),
    [
        (HERE, BASE, BASE),
        (
            ContentPlace("http://mirror.example.org/net/"),
            "http://mirror.example.org/net",
            "http://mirror.example.org/net",
        ),
        (ContentPlace("https://cdn.example.org"), "https://cdn.example.org", BASE),
    ],
)
def test_a_place_is_a_url(place: ContentPlace, url: str, loader_url: str) -> None:
    assert (place.url_for(BASE), place.loader_url_for(BASE)) == (url, loader_url)


@pytest.mark.parametrize(
    ("path", "is_of_pull"),
    [
        ("/ostree/ock-1.31-amd64/objects/aa/bb.filez", True),
        ("/ostree/ock-1.31-amd64/deltas/ab/cd/superblock", True),
        ("/ostree/ock-1.31-amd64/config", False),
        ("/content/objects/deltas/vmlinuz", False),
        ("/v2/ock/blobs/sha256:aa", True),
        ("/v2/ock/manifests/latest", False),
    ],
)
def test_objects_and_deltas_are_parts_of_a_pull(path: str, *, is_of_pull: bool) -> None:
    assert urls.is_of_pull(path) is is_of_pull


@pytest.mark.parametrize(
    ("path", "is_of_one_boot"),
    [
        (f"/boot/{HYPHENATED}.ipxe", True),
        (f"/boot/{HYPHENATED}.ipxe?serial=1", True),
        (f"//boot/{HYPHENATED}.IPXE", True),
        (f"/boot/{HYPHENATED}%2Eipxe", True),
        (f"/boot/{HYPHENATED}/grub.cfg", True),
        (f"/bootfiles/grub.cfg-01-{HYPHENATED}", True),
        ("grub.cfg", True),
        (f"/ks/{TOKEN}", True),
        (f"/ign/{TOKEN}/role", True),
        (f"/report/{TOKEN}/started", True),
        (f"/inspect/{TOKEN}", True),
        (f"/node/{TOKEN}", True),
        ("/bootfiles/snponly.efi", False),
        (f"/boot/{HYPHENATED}/snponly.efi", False),
        ("/content/ol8/vmlinuz", False),
        ("/ostree/ock/config", False),
        ("/healthz", False),
    ],
)
def test_a_request_that_can_change_an_install_is_a_script_or_has_a_token(path: str, *, is_of_one_boot: bool) -> None:
    assert urls.is_of_one_boot(path) is is_of_one_boot


def test_the_tokens_of_urls_are_found_in_a_text_also_hidden_ones():
    text = f"{BASE}/ks/{TOKEN} inst.x={BASE}/report/TOKEN-HIDDEN/log {BASE}/content/{TOKEN} /ign/0123"

    assert urls.tokens_in(text) == [("ks", TOKEN), ("report", "TOKEN-HIDDEN")]
