"""A file that cannot be opened for lack of a descriptor is neither missing nor damaged."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.no_descriptor import no_descriptor_left

from netboot.boot.documents.host_content import content_problem
from netboot.boot.documents.role_files import read_record
from netboot.content.bootfiles.bootfile_cache import BootFileCache
from netboot.content.bootfiles.directories import BootFile, BootFiles
from netboot.content.library.disk import cannot_read
from netboot.content.media.boot_media import installer_major, medium_architecture
from netboot.content.ostree.object_table import ObjectTable
from netboot.content.ostree.repository import named_commit, read_release, summary_fault
from netboot.content.serving.index import ContentIndex
from netboot.errors import ContentError, DescriptorsError, lacks_descriptor, raise_without_descriptor
from netboot.render.template_engine import Engine

MESSAGE = (
    "this appliance has no free file descriptor; "
    "set LimitNOFILE=65536 in the unit of netboot, or find who holds many connections: ss -tn"
)


def reads(directory: Path) -> dict[str, Callable[[], object]]:
    """List what reads a file for a machine; each reads it where descriptors are left."""
    release, loader = directory / "ostree/ock-1", directory / "snponly.efi"
    loader.write_bytes(b"loader")
    (directory / "kickstart").mkdir()
    (directory / "kickstart/a.j2").write_text("text\n")
    (directory / "role.ign.taken").write_text("{}")
    engine, file = Engine([directory]), BootFile(loader, 6, loader.name)
    return {
        "boot file": lambda: BootFileCache().read(file),
        "boot files": lambda: BootFiles([directory]),
        "changed boot files": lambda: BootFiles([directory]).is_changed(),
        "release": lambda: read_release(directory, "ock-1"),
        "commit": lambda: named_commit(release / "refs/heads/ock", "ock-1"),
        "summary": lambda: summary_fault(release),
        "objects": lambda: ObjectTable.read(release, []),
        "index": lambda: ContentIndex(directory).read(),
        "architecture": lambda: medium_architecture(directory, "ol8"),
        "version": lambda: installer_major(directory, "ol8"),
        "template": lambda: engine.render("kickstart/a.j2", subject="cp1", context={}),
        "record": lambda: read_record(directory / "role.ign"),
    }


def test_without_a_descriptor_no_file_is_missing_or_damaged_and_the_message_names_the_cure(content_directory: Path):
    found = {}
    named = reads(content_directory)

    with no_descriptor_left():
        for name, read in named.items():
            try:
                found[name] = f"read: {read()}"
            except DescriptorsError as error:
                found[name] = str(error)
        problem = content_problem(content_directory, None, "ock-1")

    assert found == dict.fromkeys(named, MESSAGE)
    assert isinstance(problem, DescriptorsError)
    for read in named.values():
        read()
    assert content_problem(content_directory, None, "ock-1") is None


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_the_error_is_found_behind_the_one_that_it_caused(code: int):
    first, error = OSError(code, os.strerror(code)), ContentError("cannot open vmlinuz")
    error.__cause__ = first

    assert lacks_descriptor(error)
    with pytest.raises(DescriptorsError):
        raise_without_descriptor(error)
    assert isinstance(cannot_read(Path("/x"), first), DescriptorsError)


def test_another_error_is_none_of_descriptors():
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    assert not lacks_descriptor(missing)
    assert not lacks_descriptor(None)
    raise_without_descriptor(missing)
