"""For whole passes with either uploader: the scene of tests/passes, and the Azure with logins of tests/identity."""

from __future__ import annotations

from tests.identity.conftest import (
    certificate,
    secure,
    secure_azurite,
    secure_container,
    service_principal,
    token_endpoint,
    trusting,
)
from tests.passes.conftest import azcopy_calls, scene

__all__ = [
    "azcopy_calls",
    "certificate",
    "scene",
    "secure",
    "secure_azurite",
    "secure_container",
    "service_principal",
    "token_endpoint",
    "trusting",
]
