"""Odd names by the hundred through the real pipeline: each arrives byte for byte under its own name, or is refused
before it is sent, with its reason, while the rest is carried and the run is not published."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import secrets

from sync_to_azure.core.names import SHEET_BLOB
from tests.passes.names import odd
from tests.passes.scene import FLAG, Scene

FILES = 200


def test_a_batch_of_odd_names(carrying: Scene) -> None:
    seed = int(os.environ.get("NAMES_SEED") or secrets.randbelow(2**32))
    print(f"NAMES_SEED={seed}")  # pytest shows it when the test fails
    chance = random.Random(seed)
    carrying.config["destination"] = "in box/ü"
    run = carrying.main / "R ü#1"
    base = "in box/ü/R ü#1"
    contents = {path: b"content of " + path for path in odd.paths(chance, FILES)}
    contents |= {FLAG.encode(): b"", SHEET_BLOB.encode(): b"[Header]\n", b"Data/one.bcl": b"one"}
    contents = {
        path: content
        for path, content in contents.items()
        # Another entry may have its place as a folder, or as this very file.
        if path in (FLAG.encode(), SHEET_BLOB.encode())
        or not path.startswith((FLAG.encode() + b"/", b"Data/one.bcl/"))
    }
    for path, content in list(contents.items()):
        try:
            odd.write(run, path, content)
        except OSError:  # in the place of another, or longer than Linux allows
            del contents[path]
    leftovers = {path for path in contents if odd.is_a_leftover(path)}
    good = {path for path in contents if odd.may_be_a_blob(path, base + "/")} - leftovers
    refused = set(contents) - good - leftovers
    assert len(good) > FILES / 4 and len(refused) > FILES / 10, "or the batch says little"

    outcome = carrying.run(expect=1)
    assert stored(carrying, base) == {path.decode(): contents[path] for path in good}
    assert not carrying.is_published(base)
    assert carrying.state("R ü#1") == ("flagged", "uncarried")
    told = {
        bytes(path): (kind, detail)
        for path, kind, detail in carrying.sql("SELECT path, kind, detail FROM uncarried")
    }
    assert {path for path, (kind, _) in told.items() if kind == "bad-name"} == refused
    assert all(detail for kind, detail in told.values() if kind == "bad-name")
    assert f"{len(refused)} entries cannot be uploaded" in outcome.stderr
    assert outcome.output.isprintable() or not set(outcome.output) & set(
        map(chr, (*range(10), 11, 12, *range(14, 32)))
    )

    # The person renames them, as she was told to; then all is published, and each name stands in the manifest.
    for number, path in enumerate(sorted(refused, reverse=True)):
        whole, new = os.path.join(os.fsencode(run), path), b"renamed-%d" % number
        contents[new] = contents.pop(path)
        os.rename(whole, os.path.join(os.fsencode(run), new))
        good.add(new)
    carrying.run()
    expected = {path.decode(): contents[path] for path in good}
    assert stored(carrying, base) == expected
    _, rows, receipt, _ = carrying.documents(base)
    assert {row["path"]: row["md5"] for row in rows} == {
        path: hashlib.md5(content).hexdigest() for path, content in expected.items()
    }
    assert receipt["weakest_evidence"] == "validated"
    carrying.check_sums(base)


def stored(scene: Scene, base: str) -> dict[str, bytes]:
    """Every blob below the run by its name in a listing, read back; its stored MD5 must be that of its bytes."""
    found = {}
    for blob in scene.container.list_blobs(name_starts_with=base + "/"):
        content = scene.get(blob.name)
        md5 = blob.content_settings.content_md5
        assert md5 and bytes(md5) == hashlib.md5(content).digest(), (
            blob.name,
            base64.b64encode(bytes(md5 or b"")),
        )
        found[blob.name.removeprefix(base + "/")] = content
    return found


def test_names_that_differ_in_case_or_normal_form_only_all_go(carrying: Scene) -> None:
    names = {
        form for text in ("Größe É.bcl", "İstanbul ı", "straße", "Ａﬁ①", "Å·Å") for form in odd.forms(text)
    }
    run = carrying.make_run("R", {f"{name}": f"content of {name!r}" for name in names})
    carrying.make_run("r")
    carrying.make_run("Ｒ")
    carrying.run()
    found = stored(carrying, "R")
    assert {name: found[name].decode() for name in names} == {name: f"content of {name!r}" for name in names}
    assert len(found) == sum(path.is_file() for path in run.rglob("*"))
    assert all(carrying.is_published(key) for key in ("R", "r", "Ｒ"))
