"""A node updates itself from the registry by the real ostree and skopeo; fixtures/ock_node has what stands in."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.content_listener import Recorder, content_listener
from fixtures.listeners import default_shares
from fixtures.ock_node.installed_node import InstalledNode, node_tree
from fixtures.ostree_images.commits import commit_tree
from fixtures.ostree_images.exporter import MANIFEST, exported
from fixtures.ostree_images.layouts import MadeImage, written

from netboot.content.images.image_store import ImageStore, StoredManifest
from netboot.content.library.library import Library

pytestmark = pytest.mark.integration

REPOSITORY = "olcne/ock-ostree"
TAG = "stable"
UPDATE = ("/etc/ocne/ocne-update.sh", "once")


@dataclass
class Site:
    """A content directory that is served, and a node that was installed from its release A."""

    content: Path
    node: InstalledNode
    images: dict[str, MadeImage]
    registry: str

    @property
    def update_yaml(self) -> str:
        return f"registry: {self.registry}\ntag: {TAG}\ntransport: ostree-unverified-registry\n"

    def offer(self, release: str) -> MadeImage:
        """Move the tag to the image of a release."""
        image, store = self.images[release], ImageStore(self.content)
        manifest = image.layout / "blobs/sha256" / image.manifest_digest.removeprefix("sha256:")
        with Library(self.content).changing() as staging:
            for blob in (image.layout / "blobs/sha256").iterdir():
                staged = staging.directory / blob.name
                shutil.copyfile(blob, staged)
                store.put_blob(staged, f"sha256:{blob.name}")
            known = {image.manifest_digest: StoredManifest(MANIFEST, manifest.stat().st_size)}
            tags = {TAG: image.manifest_digest}
            store.record(REPOSITORY, tags=tags, manifests=known, staging=staging.directory)
        return image


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    content, images = tmp_path / "content", {}
    for release, version in (("A", "1.33"), ("B", "1.34")):
        repository, tree = (
            tmp_path / f"repo-{release}",
            node_tree(tmp_path / f"tree-{release}", release, version=version),
        )
        commit = commit_tree(repository, tree, version=version)
        images[release] = written(exported(commit), commit, tmp_path / f"image-{release}", tag=version)
    shutil.copytree(tmp_path / "repo-A", content / "ostree" / "A", symlinks=True)
    with content_listener(content, Recorder(), shares=default_shares()) as port:
        registry = f"127.0.0.1:{port}/{REPOSITORY}"
        site = Site(content, InstalledNode(tmp_path / "disk"), images, registry)
        site.offer("A")
        site.node.install(f"http://127.0.0.1:{port}/ostree/A")
        site.node.add_files(
            {
                "/etc/ocne/update.yaml": site.update_yaml,
                "/etc/containers/registries.conf": "",
                "/etc/containers/registries.conf.d/netboot.conf": (
                    f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n'
                ),
            }
        )
        yield site


def test_a_node_downloads_the_release_that_its_tag_names_and_runs_it_after_a_restart(site: Site):
    old, node = site.images["A"].commit.checksum, site.node
    node.run(*UPDATE)
    assert node.console == ""  # it has the commit of its tag
    new = site.offer("B").commit.checksum

    node.run(*UPDATE)

    assert node.console == (
        f"netboot-lab: ocne-update: downloads {new} of {site.registry}:{TAG}\n"
        f"netboot-lab: ocne-update: downloaded {new}\n"
    )
    assert node.run("ostree", "rev-parse", "ock:ock") == f"{new}\n"
    node.run("ostree", "fsck", "--quiet")
    assert node.deployments == [f"* ock {old}.0"]

    node.run("ostree", "admin", "deploy", "ock:ock")
    node.restart()

    assert node.deployments == [f"* ock {new}.0", f"  ock {old}.0 (rollback)"]
    assert (node.booted / "etc/ock-release").read_text() == "B\n"
    assert (node.booted / "etc/ocne/update.yaml").read_text() == site.update_yaml  # of the first boot


def test_a_node_takes_nothing_of_an_image_with_a_damaged_layer(site: Site):
    old, node, image = site.images["A"].commit.checksum, site.node, site.offer("B")
    layer = ImageStore(site.content).blob_path(image.manifest["layers"][-1]["digest"])
    sound = layer.read_bytes()
    layer.write_bytes(bytes([*sound[:-1], sound[-1] ^ 1]))

    refused = node.start(*UPDATE)

    assert refused.returncode != 0
    assert "Digest did not match" in refused.stderr
    assert node.run("ostree", "rev-parse", "ock:ock") == f"{old}\n"
    assert node.start("ostree", "log", image.commit.checksum).returncode != 0
