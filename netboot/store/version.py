"""The newest version of the store that this program knows, for those who do not load SQLAlchemy."""

from typing import Final

from netboot.errors import StoreError

NEWEST_VERSION: Final = 5  # the number of `migrations.MIGRATIONS`; loading them takes half a second


def newer_store(version: int) -> StoreError:
    """Say that a newer program has migrated the store to `version`."""
    return StoreError(
        f"the ledger has shape {version}, this netboot knows up to {NEWEST_VERSION}; "
        "run the version that wrote it, or restore a backup"
    )
