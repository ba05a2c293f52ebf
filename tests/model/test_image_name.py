"""Names of container images, as registries and skopeo write them."""

import pytest

from netboot.model.image_name import ImageName, is_digest, is_repository, is_tag

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("olcne/ock-ostree", ImageName("olcne/ock-ostree")),
        ("olcne/ock-ostree:1.33", ImageName("olcne/ock-ostree", "1.33")),
        ("docker://container-registry.oracle.com/olcne/ock-ostree:1.33", ImageName("olcne/ock-ostree", "1.33")),
        ("192.0.2.10:8080/olcne/ui:v2", ImageName("olcne/ui", "v2")),
        ("localhost/built:latest", ImageName("built", "latest")),
        ("kube-proxy", ImageName("kube-proxy")),
        (f"olcne/etcd@{DIGEST}", ImageName("olcne/etcd", DIGEST)),
        (f"olcne/etcd:3.5@{DIGEST}", ImageName("olcne/etcd", DIGEST)),
    ],
)
def test_a_name_is_read_without_the_host_of_its_registry(text: str, name: ImageName):
    assert ImageName.parse(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' is not the name of a repository"),
        ("Olcne/ui", "'Olcne/ui' is not the name of a repository"),
        ("olcne/../ui", "'olcne/../ui' is not the name of a repository"),
        ("olcne//ui", "'olcne//ui' is not the name of a repository"),
        ("olcne/_repository.json", "'olcne/_repository.json' is not the name of a repository"),
        ("olcne/ui:", "'' is not a tag"),
        ("olcne/ui:.hidden", "'.hidden' is not a tag"),
        ("olcne/ui:" + "a" * 129, f"'{'a' * 129}' is not a tag"),
        ("olcne/ui@sha256:00", "'sha256:00' is not a SHA-256 digest"),
        ("a" * 256, f"'{'a' * 256}' is not the name of a repository"),
    ],
)
def test_a_name_that_no_registry_has_is_refused_with_the_part_that_is_wrong(text: str, reason: str):
    with pytest.raises(ValueError) as refused:
        ImageName.parse(text)

    assert str(refused.value) == reason


@pytest.mark.parametrize("text", ["olcne/ui", "olcne/ui:1", f"olcne/ui@{DIGEST}"])
def test_a_name_is_written_as_it_is_read(text: str):
    assert str(ImageName.parse(text)) == text


def test_a_digest_of_another_algorithm_or_spelling_is_none():
    assert is_digest(DIGEST)
    assert not is_digest(DIGEST.upper())
    assert not is_digest("sha512:" + "0a" * 64)
    assert not is_digest(f"{DIGEST}\n")
    assert not is_tag("1.33\n")
    assert not is_repository("olcne/ui\n")
