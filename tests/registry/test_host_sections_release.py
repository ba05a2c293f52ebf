"""`release`: the name of one of this appliance, or the archive of another server."""

import pytest
from fixtures.site import CLUSTER, Site

from netboot.model.release import RemoteRelease


def release_of(site: Site, text: str) -> object:
    site.write("hosts.yaml", f"defaults: {{release: {text}}}\n{CLUSTER}")
    [first, second] = site.load().hosts
    assert first.release == second.release
    return first.release


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("ock-1.33", "ock-1.33"),
        ("1.30", "1.30"),
        ("{name: ock}", "ock"),
        ("{url: http://192.0.2.20/ostree/, ref: ock}", RemoteRelease("http://192.0.2.20/ostree", "ock")),
        (
            "{url: 'https://os.example.com:8443', ref: ock/1.33}",
            RemoteRelease("https://os.example.com:8443", "ock/1.33"),
        ),
    ],
)
def test_a_name_or_an_archive_with_its_ref_is_taken(site: Site, text: str, release: object):
    assert release_of(site, text) == release


def test_an_archive_replaces_the_inherited_name_as_a_whole(site: Site):
    archive = "release: {url: http://192.0.2.20/ostree, ref: ock}"
    site.write("hosts.yaml", f"defaults: {{release: ock-1.33}}\n{CLUSTER}".replace("w1: {", f"w1: {{{archive}, "))

    assert [host.release for host in site.load().hosts] == [
        "ock-1.33",
        RemoteRelease("http://192.0.2.20/ostree", "ock"),
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "{}",
            "1:21: defaults.release: is empty; "
            "write the name of a release, or {url: http://192.0.2.20/ostree, ref: ock}",
        ),
        ("{url: http://192.0.2.20/ostree}", "1:22: defaults.release.url: has no ref; add ref: ock"),
        ("{ref: ock}", "1:22: defaults.release.ref: has no url; add url: http://192.0.2.20/ostree"),
        (
            "{name: a, url: http://192.0.2.20/o, ref: ock}",
            "1:28: defaults.release.name: names a release of this appliance already; remove name, or url and ref",
        ),
        (
            "{url: 'http://user:secret@192.0.2.20/o', ref: ock}",
            "1:27: defaults.release.url: 'http://user:secret@192.0.2.20/o' is not the URL of an archive; "
            "write http://HOST[:PORT]/PATH or https://…, without user, query and fragment",
        ),
        (
            "{url: ftp://192.0.2.20/o, ref: ock}",
            "1:27: defaults.release.url: 'ftp://192.0.2.20/o' is not the URL of an archive; "
            "write http://HOST[:PORT]/PATH or https://…, without user, query and fragment",
        ),
        (
            "{url: http://192.0.2.20/o, ref: ../ock}",
            "1:53: defaults.release.ref: '../ock' is not a ref of an OSTree archive; "
            "write it as ostree refs lists it, as ock",
        ),
    ],
)
def test_what_names_no_release_is_refused(site: Site, text: str, fault: str):
    site.write("hosts.yaml", f"defaults: {{release: {text}}}\n{CLUSTER}")

    assert site.faults() == [f"hosts.yaml:{fault}"]
