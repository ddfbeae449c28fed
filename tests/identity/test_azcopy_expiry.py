"""How long what AzCopy is given can be used: a removal waits for it."""

from __future__ import annotations

import dataclasses
import datetime
import typing

import pytest

from sync_to_azure.stores.login import NEVER, TOKEN_LIFE, identity_for, sas_end

NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc).timestamp()
MARGIN = 900.0


@dataclasses.dataclass
class Settings:
    auth: str
    secret: str = ""
    storage_account: str = "account"
    container_name: str = "container"
    blob_endpoint: str = "https://account.blob.core.windows.net"


@pytest.mark.parametrize(
    ("sas", "end"),
    [
        ("se=2026-12-01T12%3A00%3A00Z&sig=x", NOON),
        ("?sig=x&se=2026-12-01T13:00:00%2B01:00", NOON),
        ("se=2026-12-01", NOON - 12 * 3600),
        ("si=policy&sig=x", None),
        ("se=&sig=x", None),
        ("se=soon", None),
        ("", None),
    ],
)
def test_the_end_that_a_sas_tells(sas: str, end: float | None) -> None:
    assert sas_end(sas) == end


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings("service-principal"), (100.0 + TOKEN_LIFE + MARGIN, TOKEN_LIFE + MARGIN)),
        (Settings("default"), (100.0 + TOKEN_LIFE + MARGIN, TOKEN_LIFE + MARGIN)),
        (Settings("account-key"), (100.0 + 4 * 3600 + MARGIN, 0.0)),
        (Settings("sas", "se=2026-12-01T12:00:00Z"), (NOON + MARGIN, 0.0)),
        (Settings("sas", "si=policy"), (NEVER, 0.0)),
        (Settings("sas", "se=9999-12-31T23:59:59Z"), (NEVER, 0.0)),
    ],
)
def test_when_what_azcopy_is_given_has_expired(settings: Settings, expected: tuple[float, float]) -> None:
    assert identity_for(typing.cast(typing.Any, settings)).azcopy_expiry(100.0) == expected
