"""What a store and a login have to know."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class StoreConfig:
    """``endpoint``: https://ACCOUNT.blob.core.windows.net, or file:///FOLDER for a store in a folder;
    ``container``: at that account, or below that folder. ``timeout``: seconds within which each answer is there in
    full; ``tries``: how often a request is repeated that met a bad line. ``authority``: who gives tokens, for
    messages."""

    endpoint: str
    container: str
    timeout: float = 300.0
    tries: int = 4
    authority: str = "the login service"


@dataclasses.dataclass(frozen=True, slots=True)
class LoginConfig:
    """``auth``: service-principal, default, sas or account-key. ``secret``: a client secret, a SAS or an account's
    key. ``container``: for which a SAS is made of an account's key."""

    auth: str
    endpoint: str
    container: str
    account: str = ""
    tenant_id: str | None = None
    application_id: str | None = None
    secret: str = dataclasses.field(default="", repr=False)
    authority_host: str | None = None
