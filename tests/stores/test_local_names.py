"""Each name has one path below the store's folder, and each such path one name."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from sync_to_azure.stores.local_names import OWN_FOLDER, beginning_of, name_of, parts_of

ODD = strategies.text(strategies.sampled_from("a./%\n+eE2é日"), min_size=1, max_size=30)
ANY = strategies.text(strategies.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)
LONG = strategies.builds(
    lambda one, times, two: one * times + two, ODD | ANY, strategies.integers(1, 60), ODD
)


@hypothesis.given(ODD | ANY | LONG)
def test_there_and_back_and_never_out_of_the_folder(name: str) -> None:
    parts = parts_of(name)
    assert name_of(parts) == name
    assert "".join(beginning_of(part) or "" for part in parts[:-1]) == name[
        : -len(name_of(parts[-1:]) or "")
    ] or (name.endswith("/"))
    for part in parts:
        assert 0 < len(part) <= 255 and part not in (b".", b"..") and not {0, ord("/")} & set(part)
    assert parts[0] != OWN_FOLDER.encode()


@pytest.mark.parametrize(
    "parts",
    [[], [b"x%"], [b"%41"], [b"%2e"], [b"\xff"], [b"a%+"], [b"a%+", b"b"], [b".sync_to_azure-store", b"x"]],
)
def test_what_is_the_path_of_no_name(parts: list[bytes]) -> None:
    assert name_of(parts) is None
