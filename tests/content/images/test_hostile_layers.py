"""Layers with any bytes: an import ends in a release that is sound, or in a sentence; never in a traceback."""

import gzip
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures.ostree_images.commits import Commit, small_commit
from fixtures.ostree_images.exporter import Form, exported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netboot.content.imports.ostree_image.ostree_import import import_ostree_image
from netboot.content.imports.verify import verify
from netboot.content.library.library import Library
from netboot.errors import ContentError

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def commit(tmp_path_factory: pytest.TempPathFactory) -> Commit:
    return small_commit(tmp_path_factory.mktemp("commit"))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new directory for each example."""
    top = tmp_path_factory.mktemp("examples")

    def numbered() -> Iterator[Path]:
        for number in range(1_000_000):
            yield top / str(number)

    return numbered()


_edits = st.lists(
    st.tuples(st.integers(0, 60_000), st.one_of(st.binary(min_size=1, max_size=12), st.just(bytes(512)))),
    min_size=1,
    max_size=4,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=_edits, layer=st.integers(0, 1), keep=st.integers(0, 60_000), packing=st.sampled_from(["none", "gzip"]))
def test_any_tar_is_refused_in_words_or_imported_whole(
    commit: Commit, places: Iterator[Path], edits: list[tuple[int, bytes]], layer: int, keep: int, packing: str
) -> None:
    def edited(data: bytes) -> bytes:
        changed = bytearray(data)
        for at, new in edits:
            at %= len(changed)
            changed[at : at + len(new)] = new
        return bytes(changed[: keep or len(changed)]) if keep % 3 == 0 else bytes(changed)

    image = exported(commit, Form(chunks=2, packing=packing, tar=tarfile.PAX_FORMAT))
    image.layers[layer].edit = edited
    directory = next(places)
    library = Library(directory / "content")

    refused = ""
    try:
        import_ostree_image(library, image.write(directory / "oci"), "ock", now=NOW)
    except ContentError as error:
        refused = str(error)

    assert "netboot has a fault" not in refused
    if refused:
        assert not [path for path in library.directory.rglob("*") if path.is_file() and path.name != ".lock"]
    else:
        assert verify(library.find("ock")).is_sound


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=3000), packs=st.booleans())
def test_a_layer_of_any_bytes_is_refused_in_words(
    commit: Commit, places: Iterator[Path], data: bytes, packs: bool
) -> None:
    image = exported(commit, Form(chunks=1, packing="none"))
    image.layers[1].edit = lambda _: gzip.compress(data, mtime=0) if packs else data
    directory = next(places)

    with pytest.raises(ContentError) as refused:
        import_ostree_image(Library(directory / "content"), image.write(directory / "oci"), "ock", now=NOW)

    assert "netboot has a fault" not in str(refused.value)
