"""The image in a container's files: what is read, and each reason for which it is refused."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from content.conftest import Images

from netboot.content.library.progress import NO_PROGRESS
from netboot.content.oci.bundle import directory_parts
from netboot.content.oci.image import layer_chunks, read_image
from netboot.errors import ContentError

Members = dict[str, bytes]


def parts_of(directory: Path, members: Members) -> Any:
    for name, data in members.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory_parts(directory)


def refusal(directory: Path, members: Members) -> str:
    with pytest.raises(ContentError) as caught:
        read_image(parts_of(directory, members), "x.tar")
    return str(caught.value)


def blob_of(members: Members, descriptor: dict[str, Any]) -> Any:
    return json.loads(members["blobs/" + descriptor["digest"].replace(":", "/")])


def add_blob(members: Members, value: object) -> dict[str, Any]:
    data = json.dumps(value).encode()
    digest = hashlib.sha256(data).hexdigest()
    members[f"blobs/sha256/{digest}"] = data
    return {"digest": f"sha256:{digest}", "size": len(data)}


def changed_manifest(members: Members, change: Callable[[dict[str, Any]], object]) -> Members:
    """Change the manifest of an OCI image, and its digest in the index."""
    manifest = blob_of(members, json.loads(members["index.json"])["manifests"][0])
    change(manifest)
    return members | with_index(members, add_blob(members, manifest))


def with_index(members: Members, *descriptors: dict[str, Any]) -> Members:
    return members | {"index.json": json.dumps({"manifests": descriptors}).encode()}


@pytest.fixture
def oci(images: Images) -> Members:
    return images.oci_blobs([b"first layer", b"second layer"])


def test_an_oci_image_has_its_layers_in_order_with_both_digests(tmp_path: Path, oci: Members) -> None:
    image = read_image(parts_of(tmp_path / "x", oci), "x.tar")

    assert image.architecture == "amd64"
    assert image.digest == json.loads(oci["index.json"])["manifests"][0]["digest"]
    assert [b"".join(layer_chunks(layer, "x.tar", NO_PROGRESS)) for layer in image.layers] == [
        b"first layer",
        b"second layer",
    ]
    digests = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (b"first layer", b"second layer")]
    assert [(layer.digest, layer.diff_id) for layer in image.layers] == list(zip(digests, digests, strict=True))


def test_a_docker_archive_has_the_same_layers_without_digests_of_blobs(tmp_path: Path, images: Images) -> None:
    members = images.docker_members([b"first layer"])

    image = read_image(parts_of(tmp_path / "x", members), "x.tar")

    (config,) = (name for name in members if re.fullmatch(r"[0-9a-f]{64}\.json", name))
    assert (image.architecture, image.digest) == ("arm64", f"sha256:{config.removesuffix('.json')}")
    assert [(layer.digest, layer.part.read(100)) for layer in image.layers] == [(None, b"first layer")]


def test_an_index_in_an_index_is_followed_and_an_attestation_is_not_an_image(tmp_path: Path, oci: Members) -> None:
    (descriptor,) = json.loads(oci["index.json"])["manifests"]
    attestation = add_blob(oci, {"layers": []}) | {"platform": {"os": "unknown"}}
    nested = add_blob(oci, {"manifests": [descriptor, attestation]})

    image = read_image(parts_of(tmp_path / "x", with_index(oci, nested)), "x.tar")

    assert image.digest == descriptor["digest"]


def test_several_images_are_refused(tmp_path: Path, oci: Members, images: Images) -> None:
    (descriptor,) = json.loads(oci["index.json"])["manifests"]
    second = add_blob(oci, {"layers": [], "config": {}})
    many = [add_blob(oci, {"number": number}) for number in range(101)]
    docker = images.docker_members([b"layer"])
    twice = json.dumps(json.loads(docker["manifest.json"]) * 2).encode()

    assert refusal(tmp_path / "a", with_index(oci, descriptor, second)) == (
        "x.tar holds 2 images; save one alone: skopeo copy … oci-archive:FILE"
    )
    assert refusal(tmp_path / "b", with_index(oci, *many)) == "x.tar holds more than 100 images; save one alone"
    assert refusal(tmp_path / "c", docker | {"manifest.json": twice}) == (
        "x.tar holds 2 images; save one alone: podman save NAME"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda manifest: manifest["layers"][0].update(mediaType="application/x.tar+encrypted"),
            r"x\.tar: layer sha256:\w+ is encrypted; save the image without encryption",
            id="encrypted",
        ),
        pytest.param(
            lambda manifest: manifest["layers"].pop(),
            r"x\.tar: its manifest has 1 layers, its configuration has 2",
            id="layers",
        ),
        pytest.param(
            lambda manifest: manifest["layers"][0].update(digest="sha512:00"),
            r"x\.tar: 'sha512:00' is not a SHA-256 digest, the only supported kind; copy the archive again, or .*",
            id="algorithm",
        ),
        pytest.param(
            lambda manifest: manifest["layers"][0].update(size=5),
            r"x\.tar: the blob sha256:\w+ has 11 bytes instead of 5; copy the archive again, or .*",
            id="size",
        ),
        pytest.param(
            lambda manifest: manifest.pop("config"), r"x\.tar is not a readable image: KeyError 'config'; .*", id="key"
        ),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused(
    tmp_path: Path, oci: Members, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    assert re.fullmatch(message, refusal(tmp_path / "x", changed_manifest(oci, change)))


def test_a_docker_archive_with_another_configuration_or_without_a_layer_is_refused(
    tmp_path: Path, images: Images
) -> None:
    members = images.docker_members([b"layer"])
    (config,) = (name for name in members if re.fullmatch(r"[0-9a-f]{64}\.json", name))
    (layer,) = (name for name in members if name.endswith("layer.tar"))
    forged = members[config].replace(b"arm64", b"amd64")

    assert refusal(tmp_path / "a", members | {config: forged}).startswith(
        f"x.tar: its configuration {config!r} has the checksum {hashlib.sha256(forged).hexdigest()}; copy"
    )
    assert refusal(tmp_path / "b", {name: data for name, data in members.items() if name != layer}).startswith(
        f"x.tar lacks {layer!r}: it is cut off; copy the archive again"
    )


def test_files_that_are_no_image_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a", {"readme": b""}).startswith("x.tar holds no container image (no index.json, no")
    assert refusal(tmp_path / "b", {"blobs/sha256/00": b""}).startswith("x.tar has blobs but no index.json: it is cut")
