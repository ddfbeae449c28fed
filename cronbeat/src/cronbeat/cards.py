"""A message as the receiver wants it: Teams' Adaptive Card, Teams' old MessageCard, or plain JSON. Pure.

Texts of tasks go where Teams reads no Markdown: into a RichTextBlock (its TextRuns know none), or escaped.
Teams takes at most 28 KB a message, and a MessageCard at most 10 sections.
"""

from __future__ import annotations

import html
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

LARGEST = 24_000
"""Bytes of a card: below Teams' 28 KB."""
LARGEST_JSON = 256_000
"""Bytes; above, only the last failure of each task is sent with its lines. A receiver that refused it would get it for
ever."""
SECTIONS = 10
COLOURS = {"good": "2EB886", "warning": "DAA038", "attention": "A30200"}
OLD_HOSTS = (".webhook.office.com", "outlook.office.com", "outlook.office365.com")
WORKFLOW_HOSTS = (".logic.azure.com", ".powerplatform.com", ".powerautomate.com", ".flow.microsoft.com")


def format_of(url: str, wanted: str) -> str:
    """``auto`` goes by the host: adaptive, messagecard, or json for all that is not Microsoft's."""
    if wanted != "auto":
        return wanted
    host = (urllib.parse.urlsplit(url).hostname or "").lower()
    if any(host == each or host.endswith(each) for each in OLD_HOSTS):
        return "messagecard"
    if any(host.endswith(each) for each in WORKFLOW_HOSTS):
        return "adaptive"
    return "json"


def body(message: Mapping[str, Any], form: str) -> bytes:
    """The bytes to send; a card that is too large loses last lines first, then entries, and says how many."""
    if form == "json":
        data = json.dumps(message).encode()
        if len(data) > LARGEST_JSON:
            data = json.dumps(
                {**message, "entries": [_short(entry) for entry in message["entries"]]}
            ).encode()
        return data
    make = _adaptive if form == "adaptive" else _message_card
    entries = message["entries"]
    card = json.dumps(make(message, entries, 0)).encode()
    if len(card) > LARGEST:
        entries = [entry | {"lines": []} for entry in entries]
    shown = len(entries)
    while len(card) > LARGEST and shown > 1:
        card = json.dumps(make(message, entries[:shown], len(entries) - shown)).encode()
        shown -= max(shown // 8, 1)
    return card


def _short(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "failures"}


def refusal(text: str) -> int | None:
    """The status behind an old connector's 200, which tells an error of Teams only in its text."""
    marker = "endpoint returned HTTP error "
    if marker in text:
        number = text.partition(marker)[2][:3]
        return int(number) if number.isdecimal() else 500
    return None


def _adaptive(
    message: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], left_out: int
) -> dict[str, Any]:
    blocks = [_rich(message["title"], weight="Bolder", size="Medium", color=message["tone"])]
    for entry in entries:
        blocks.append(
            {
                "type": "RichTextBlock",
                "separator": True,
                "inlines": [
                    {
                        "type": "TextRun",
                        "text": entry["task"],
                        "weight": "Bolder",
                        "color": entry["tone"].capitalize(),
                    },
                    {"type": "TextRun", "text": f"  {entry['text']}"},
                ],
            }
        )
        blocks += [
            _rich(line, fontType="Monospace", size="Small") | {"spacing": "None"} for line in entry["lines"]
        ]
    if left_out:
        blocks.append(_rich(_more(left_out)))
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": message["title"],
        "body": blocks,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}


def _rich(text: str, **look: str) -> dict[str, Any]:
    look = {key: value.capitalize() if key == "color" else value for key, value in look.items()}
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}


def _message_card(
    message: Mapping[str, Any], entries: Sequence[Mapping[str, Any]], left_out: int
) -> dict[str, Any]:
    facts = [{"name": html.escape(entry["task"]), "value": html.escape(entry["text"])} for entry in entries]
    if left_out:
        facts.append({"name": "…", "value": _more(left_out)})
    sections: list[dict[str, Any]] = [{"facts": facts, "markdown": False}]
    for entry in entries:
        if entry["lines"] and len(sections) < SECTIONS:
            lines = "<br>".join(html.escape(line) for line in entry["lines"])
            sections.append(
                {
                    "activityTitle": html.escape(entry["task"]),
                    "text": f"<pre>{lines}</pre>",
                    "markdown": False,
                }
            )
    return {
        "@type": "MessageCard",
        "@context": "http://schema.org/extensions",
        "themeColor": COLOURS[message["tone"]],
        "summary": message["title"],
        "title": html.escape(message["title"]),
        "sections": sections,
    }


def _more(count: int) -> str:
    return f"and {count} more, see: cronbeat list"
