"""The HMAC-SHA256 of a receipt. With it a receipt, and by the checksums in it both manifests, are known to be ours."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

FIELD = "hmac_sha256"
_APPLICATION = "sync_to_azure receipt"


def mac(receipt: Mapping[str, Any], key: bytes, place: tuple[str, ...]) -> str:
    """Over the values, not their bytes: how a receipt is laid out says nothing. ``receipt`` as it was parsed."""
    values = {name: value for name, value in receipt.items() if name != FIELD}
    message = json.dumps(
        [_APPLICATION, *place, values], sort_keys=True, separators=(",", ":"), allow_nan=False
    )
    return hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
