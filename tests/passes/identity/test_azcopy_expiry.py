"""How long what AzCopy is given can be used: a removal waits for it."""

from __future__ import annotations

import datetime

import pytest

from sync_to_azure.stores.store_config import LoginConfig
from sync_to_azure.stores.login import NEVER, TOKEN_LIFE, identity_for, sas_end

NOON = datetime.datetime(2026, 12, 1, 12, tzinfo=datetime.timezone.utc).timestamp()
MARGIN = 900.0


def login(auth: str, secret: str = "") -> LoginConfig:
    return LoginConfig(auth, "https://account.blob.core.windows.net", "container", "account", secret=secret)


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
    ("config", "expected"),
    [
        (login("service-principal"), (100.0 + TOKEN_LIFE + MARGIN, TOKEN_LIFE + MARGIN)),
        (login("default"), (100.0 + TOKEN_LIFE + MARGIN, TOKEN_LIFE + MARGIN)),
        (login("account-key"), (100.0 + 4 * 3600 + MARGIN, 0.0)),
        (login("sas", "se=2026-12-01T12:00:00Z"), (NOON + MARGIN, 0.0)),
        (login("sas", "si=policy"), (NEVER, 0.0)),
        (login("sas", "se=9999-12-31T23:59:59Z"), (NEVER, 0.0)),
    ],
)
def test_when_what_azcopy_is_given_has_expired(config: LoginConfig, expected: tuple[float, float]) -> None:
    assert identity_for(config).azcopy_expiry(100.0) == expected
