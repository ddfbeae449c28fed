"""Where notices go; ``transfer.configs`` makes it from the settings."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class MailConfig:
    """Where mails go. ``port`` 0: by ``security`` (auto, tls, starttls, none).

    ``timeout`` in seconds, for every answer of the server; ``whole`` for the whole talk with it.
    """

    host: str
    port: int = 0
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    security: str = "auto"
    recipients: tuple[str, ...] = ()
    timeout: float = 30.0
    whole: float = 300.0
