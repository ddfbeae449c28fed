"""Short ways to write down an option of each kind."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type


def path(key: str, group: str, summary: str, details: str = "", placeholder: str = "FILE") -> Option:
    return Option(key, Type.PATH, group, summary, details, placeholder=placeholder)


def text(
    key: str,
    group: str,
    summary: str,
    details: str = "",
    placeholder: str = "TEXT",
    default: str | None = None,
) -> Option:
    return Option(key, Type.TEXT, group, summary, details, default, placeholder)


def flag(key: str, group: str, summary: str, details: str = "") -> Option:
    """A switch; off unless given."""
    return Option(key, Type.FLAG, group, summary, details, "false")


def choice(
    key: str,
    group: str,
    summary: str,
    details: str = "",
    choices: str = "",
    default: str | None = None,
    placeholder: str = "",
) -> Option:
    """``choices``: separated by spaces. ``placeholder``: where they are too many to be shown as A|B|C."""
    return Option(
        key, Type.CHOICE, group, summary, details, default, placeholder, choices=tuple(choices.split())
    )


def obsolete(key: str, advice: str) -> Option:
    """A key of the predecessor that means nothing any more. ``advice``: what to do about it."""
    return Option(key, Type.TEXT, "obsolete", advice, obsolete=True)
