"""The keys of `storage`, and the deployers, who manage the bucket."""

from dataclasses import dataclass

from stackproof_infra.reader import Section
from stackproof_infra.rules import DAYS, PRINCIPAL


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The keys of `storage`, and the deployers."""

    deployers: tuple[str, ...]
    readers: tuple[str, ...]
    noncurrent_expiration_days: int
    force_destroy: bool


def read_storage(top: Section, storage: Section) -> StorageSettings:
    """Reads the section, and `deployers` above it."""
    settings = StorageSettings(
        deployers=top.texts("deployers", PRINCIPAL, required=True),
        readers=storage.texts("readers", PRINCIPAL),
        noncurrent_expiration_days=storage.whole("noncurrentExpirationDays", DAYS, 30),
        force_destroy=storage.flag("forceDestroy", default=False),
    )
    storage.refuse_unknown()
    return settings
