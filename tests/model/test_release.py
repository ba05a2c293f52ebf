"""A medium and a release have one name each below the content directory."""

from pathlib import Path

from netboot.model.release import EntryKind


def test_a_kind_has_its_word_its_directory_and_the_other_kind():
    kinds = [(kind.word, kind.path(Path("/srv"), "ock"), kind.other) for kind in EntryKind]

    assert kinds == [
        ("boot medium", Path("/srv/media/ock"), EntryKind.RELEASE),
        ("release", Path("/srv/ostree/ock"), EntryKind.MEDIUM),
    ]
