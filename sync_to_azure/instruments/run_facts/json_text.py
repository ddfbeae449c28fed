"""JSON that an instrument wrote: small objects of a known form, and whatever else somebody put in their place."""

from __future__ import annotations

import json
from typing import Any

from sync_to_azure.instruments.run_facts.text import MalformedFile, cached, decode

MOST_BYTES = 4 * 2**20


@cached
def read_object(content: bytes) -> dict[str, Any]:
    """Raises Problem."""
    try:
        found = json.loads(decode(content))
    except (ValueError, RecursionError) as error:
        raise MalformedFile("is no JSON") from error
    if not isinstance(found, dict):
        raise MalformedFile("is no JSON object")
    return found
