"""Does our key vouch for a receipt? Then its manifest's evidence is our own word, also when the ledger was lost.

The HMAC-SHA256 stands in the receipt. It covers all else of it, and with the checksums there both manifests; and the
account, container, destination and run, so that a document of another place vouches for nothing.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sync_to_azure.settings import evidence_key
from sync_to_azure.manifest import documents
from sync_to_azure.manifest.signature import FIELD, mac
from sync_to_azure.transfer.steps.context import PassContext, RunContext

if TYPE_CHECKING:
    from sync_to_azure.settings.values import DestinationSettings, IdentitySettings

_log = logging.getLogger(__name__)


def signed(context: PassContext, current: RunContext, receipt: Mapping[str, Any]) -> bytes:
    """The receipt's text, with the HMAC if there is a key; the key is made at first use."""
    text = documents.receipt_text(receipt)
    key = _key_to_sign(context)
    values = documents.parse_receipt(text)
    if key is None or values is None:
        return text
    return documents.receipt_text(
        {**receipt, FIELD: mac(values, key, _place(context.settings.destination, current.key))}
    )


def doubt(
    identity: "IdentitySettings", destination: "DestinationSettings", run: str, receipt: Mapping[str, Any]
) -> str:
    """Why it proves nothing; empty if our key vouches for it."""
    path = identity.evidence_key
    key = evidence_key.read(path) if path is not None else None
    told = receipt.get(FIELD)
    if key is None:
        return "there is no evidence-key"
    if told is None:
        return "its receipt has no HMAC"
    expected = mac(receipt, key, _place(destination, run))
    if not isinstance(told, str) or not hmac.compare_digest(
        told.encode("utf-8", "replace"), expected.encode()
    ):
        return "its receipt was not written with this evidence-key, or was changed since"
    return ""


def _place(destination: "DestinationSettings", run: str) -> tuple[str, ...]:
    return destination.storage_account, destination.container_name, destination.destination, run


def _key_to_sign(context: PassContext) -> bytes | None:
    path = context.settings.identity.evidence_key
    if path is None:
        return None
    try:
        key = evidence_key.read_or_make(path)
    except OSError as error:
        if context.ledger.report_once(f"evidence-key:{path}", context.clock.now()):
            _log.warning(
                "evidence-key %s cannot be made (%s): receipts are written without an HMAC; should the state file be"
                " lost, blobs are read back before their source is removed",
                path,
                error.strerror or error,
            )
        return None
    context.ledger.clear_reported(f"evidence-key:{path}")
    return key
