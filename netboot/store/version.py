"""The newest version of the store that this program knows, for modules that do not load SQLAlchemy."""

from typing import Final

from netboot.errors import StoreError

NEWEST_VERSION: Final = 5  # the number of `migrations.MIGRATIONS`; loading them takes half a second


def newer_store(version: int) -> StoreError:
    """Return the error for a store that a newer program migrated to `version`."""
    return StoreError(
        f"the store has version {version}, this netboot supports up to {NEWEST_VERSION}; "
        "run the version that wrote it, or restore a backup"
    )
