"""A search, from the words that a person types. Pure.

``WORD`` is a whole word, ``WORD*`` the beginning of one, ``*PART*`` any three characters or more. Case does not count,
and all characters but letters and digits separate words: ``S1_L001`` is the two words ``s1 l001``, one after the other.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata

from sync_to_azure.core.errors import ConfigurationError
from sync_to_azure.core.model import Evidence

_SEPARATORS = re.compile(r"[\W_]+")
_ASCII_SEPARATORS = re.compile(r"[^0-9a-z]+")
_CHECKSUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}")
LEAST = 3
"""Characters of a part of a word; fewer are in nearly every name."""
MOST_TERMS = 20


def normalized(text: str) -> str:
    """As text is indexed and compared: small letters and digits, each word between single spaces."""
    if text.isascii():
        return f" {_ASCII_SEPARATORS.sub(' ', text.lower()).strip()} "
    folded = unicodedata.normalize("NFKC", text).casefold()
    return f" {_SEPARATORS.sub(' ', folded).strip()} "


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """``text``: what has to stand in the normalized text, with the spaces that make it a word or a beginning.
    ``checksum``: what it may be instead, "" if it looks like none. ``identity``: likewise, an id."""

    text: str
    checksum: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """``evidence``: at least so strong. Times in seconds since 1970: when the content was last modified."""

    run: str | None = None
    project: str | None = None
    instrument: str | None = None
    flow_cell: str | None = None
    sample: str | None = None
    store: str | None = None
    tier: str | None = None
    evidence: Evidence | None = None
    since: float | None = None
    until: float | None = None
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    terms: tuple[Term, ...] = ()
    filters: Filters = Filters()


def parse(words: tuple[str, ...], filters: Filters = Filters()) -> Query:
    """Raises ConfigurationError for a word that cannot be searched for."""
    terms = [_term(word) for word in words if word.strip()]
    if len(terms) > MOST_TERMS:
        raise ConfigurationError(f"a search takes at most {MOST_TERMS} words, not {len(terms)}")
    return Query(tuple(dict.fromkeys(terms)), filters)


def _term(word: str) -> Term:
    word = word.strip()
    try:
        word.encode("utf-8")
    except UnicodeEncodeError:
        raise ConfigurationError(f"{word!r} is not UTF-8", "nothing of that name can be in a store") from None
    begins, ends = not word.startswith("*"), not word.endswith("*")
    inner = normalized(word.strip("*")).strip()
    if not inner:
        raise ConfigurationError(f"{word!r} has neither letters nor digits", "give a word, or a part of one")
    if not begins and len(inner) < LEAST:
        raise ConfigurationError(
            f"{word!r} is too short: a part of a word needs at least {LEAST} characters",
            f"give more of it, or the beginning of a word: {inner}*",
        )
    text = f"{' ' if begins else ''}{inner}{' ' if ends else ''}"
    is_whole = begins and ends
    return Term(text, inner if is_whole and _CHECKSUM.fullmatch(inner) else "")
