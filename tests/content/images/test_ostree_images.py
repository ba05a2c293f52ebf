"""The exporter of the tests: the real `ostree` reads what it writes, and skopeo copies it."""

import tarfile
from pathlib import Path

import pytest
from fixtures.ostree_images.commits import ostree
from fixtures.ostree_images.exporter import Form
from fixtures.ostree_images.layouts import docker_archive, make_image, pulled_by_ostree, skopeo


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(Form(), id="gzip-chunks"),
        pytest.param(Form(chunks=0, packing="zstd", tar=tarfile.PAX_FORMAT), id="zstd-one-layer"),
        pytest.param(Form(chunks=5, packing="none"), id="plain-chunks"),
    ],
)
def test_ostree_pulls_an_exported_image_as_the_commit_that_it_was(tmp_path: Path, form: Form) -> None:
    made = make_image(tmp_path, "A", form)

    pulled = pulled_by_ostree(made.layout, tmp_path / "pulled", made.commit.checksum)

    assert "no errors found" in ostree("fsck", f"--repo={pulled}")
    assert ostree("ls", "-RCX", f"--repo={pulled}", "ock") == ostree(
        "ls", "-RCX", f"--repo={made.commit.repo}", made.commit.checksum
    )
    assert made.manifest_digest in skopeo("inspect", f"oci-archive:{made.archive}:1.33")


def test_two_releases_share_layers_and_skopeo_writes_a_docker_archive(tmp_path: Path) -> None:
    form = Form(chunks=20)
    a, b = make_image(tmp_path, "A", form), make_image(tmp_path, "B", form)

    archive = docker_archive(a.layout, tmp_path / "docker.tar")

    shared = {each["digest"] for each in a.manifest["layers"]} & {each["digest"] for each in b.manifest["layers"]}
    assert len(shared) > 10
    with tarfile.open(archive) as tar:
        assert len(tar.getnames()) > 20
