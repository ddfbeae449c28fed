"""A share where renaming, unlinking and removing folders fail as they do on CIFS and NFS. After each pass every byte is
at the source or, identical, at the destination; trouble is told once; the passes after it end the job."""

from __future__ import annotations

import pytest

from tests.passes.proxy import Proxy
from tests.passes.scene import FLAG, Scene, tree
from tests.passes.removing.conftest import ASIDE, Contents, Share

FILES = {
    "Data/one.bcl": "one",
    "Data/two.bcl": "two",
    "Data/Deep/three.bcl": "three",
    "RunInfo.xml": "<run/>",
}


def made(scene: Scene, contents: Contents, *names: str) -> None:
    for name in names:
        scene.make_run(name, FILES)
    contents.take(*names)


def ended(scene: Scene, *names: str) -> None:
    assert list(scene.main.iterdir()) == []
    for name in names:
        assert scene.state(name) == ("removed", None)
        scene.check_sums(name)


def twice(code: str) -> int:
    """For two passes: of a stale handle the kernel asks once more by itself."""
    return 4 if code == "ESTALE" else 2


RENAMES = {
    "EBUSY": "Device or resource busy",
    "ETXTBSY": "Text file busy",
    "EACCES": "Permission denied",
    "EPERM": "Operation not permitted",
    "EXDEV": "Invalid cross-device link",
    "EROFS": "Read-only file system",
    "EIO": "Input/output error",
    "ESTALE": "Stale file handle",
    "EHOSTDOWN": "Host is down",
    "ENOTEMPTY": "Directory not empty",
}


def test_a_folder_that_cannot_be_moved_aside(scene: Scene, share: Share, contents: Contents) -> None:
    made(scene, contents, *RENAMES, "LIAR", "FINE")
    share.rules(
        *({"op": "rename", "match": f"^{name} ->", "errno": name, "times": twice(name)} for name in RENAMES),
        {"op": "rename", "match": "^LIAR ->", "errno": "EIO", "act": "done", "times": 1},
    )
    told = scene.run(expect=1).stderr
    assert len(set(share.strikes())) == len(RENAMES) + 1
    contents.check()
    for name, text in RENAMES.items():
        assert f"{name} cannot be moved aside for removal ({text}); it is retried" in told
        assert tree(scene.main / name).keys() == {*FILES, FLAG}
    assert not (scene.main / "FINE").exists()
    assert not (scene.main / "LIAR").exists() and scene.state("LIAR") == (
        "removed",
        None,
    ), "renamed all the same"
    second = scene.run(expect=0)
    assert len(set(share.strikes())) == len(RENAMES) and "ERROR" not in second.output
    contents.check()
    scene.run(expect=0)
    ended(scene, *RENAMES, "LIAR", "FINE")


def test_a_refused_rename_costs_no_listing_each_time(
    scene: Scene, share: Share, contents: Contents, proxy: Proxy
) -> None:
    made(scene, contents, "R")
    scene.through(proxy)
    share.rules({"op": "rename", "match": "^R ->", "errno": "EBUSY", "times": 2})
    scene.run(expect=1)
    assert [path for _, path in proxy.seen if "prefix=R/" in path]
    proxy.seen.clear()
    scene.run()
    assert share.strikes() and not [path for _, path in proxy.seen if "prefix=R/" in path]
    scene.run()
    ended(scene, "R")


UNLINKS = ["EBUSY", "ETXTBSY", "EACCES", "EPERM", "EIO", "ESTALE", "EHOSTDOWN", "EROFS"]


def test_files_that_cannot_be_unlinked(scene: Scene, share: Share, contents: Contents) -> None:
    """Half-way: the folder is aside, some files went, one does not."""
    made(scene, contents, *UNLINKS, "LIAR", "FINE")
    share.rules(
        *(
            {"op": "unlink", "match": f"-{name}/Data/one", "errno": name, "times": twice(name)}
            for name in UNLINKS
        ),
        {"op": "unlink", "match": "-LIAR/Data/one", "errno": "EIO", "act": "done", "times": 1},
    )
    told = scene.run(expect=1).stderr
    assert len(set(share.strikes())) == len(UNLINKS) + 1
    contents.check()
    assert not (scene.main / "FINE").exists()
    for name in UNLINKS:
        assert (
            f"{name}: removal stopped: Data/one.bcl: " in told and told.count(f"{name}: removal stopped") == 1
        )
        left = tree(scene.main / f"{ASIDE}{name}").keys()
        assert "Data/one.bcl" in left and "Data/Deep/three.bcl" not in left, "in order, and some went"
        assert scene.state(name) == ("removing", "unlink-refused")
    second = scene.run(expect=0)
    assert "ERROR" not in second.output
    assert f"{UNLINKS[0]}: its removal was interrupted and continues" in second.output
    assert len(set(share.strikes())) == len(UNLINKS)
    contents.check()
    scene.run(expect=0)
    ended(scene, *UNLINKS, "LIAR", "FINE")


def test_a_file_that_is_deleted_but_open_somewhere(scene: Scene, share: Share, contents: Contents) -> None:
    """NFS keeps it under a silly name; CIFS keeps its name, and nobody can look at it."""
    made(scene, contents, "NFS", "CIFS", "GONE")
    rules: list[dict[str, object]] = [
        {"op": "unlink", "match": "-NFS/Data/one", "act": "silly"},
        {"op": "unlink", "match": "-CIFS/Data/one", "act": "pending", "errno": "EBUSY"},
        {"op": "unlink", "match": "-GONE/Data/one", "act": "pending", "errno": "ENOENT"},
    ]
    share.rules(*rules)
    told = scene.run(expect=1).stderr
    assert len(set(share.strikes())) == 3
    contents.check()
    for name in ("NFS", "CIFS", "GONE"):
        assert told.count(f"{name}: removal stopped") == 1 and scene.state(name) == (
            "removing",
            "unlink-refused",
        )
    assert "(deleted, but still open somewhere)" in told and "cannot be accessed" in told
    again = scene.run(expect=0).output
    assert "ERROR" not in again and "put back" not in again
    share.rules()
    for silly in (scene.main / f"{ASIDE}NFS" / "Data").glob(".nfs*"):
        silly.unlink()
    scene.run(expect=0)
    ended(scene, "NFS", "CIFS", "GONE")


FOLDERS = {
    "ENOTEMPTY": "",
    "EBUSY": "busy",
    "EACCES": "denied",
    "EPERM": "not permitted",
    "EIO": "Input/output",
}


def test_folders_that_cannot_be_removed(scene: Scene, share: Share, contents: Contents) -> None:
    made(scene, contents, *FOLDERS, "ROOT", "LIAR")
    share.rules(
        *({"op": "rmdir", "match": f"-{name}/Data$", "errno": name, "times": 3} for name in FOLDERS),
        {"op": "rmdir", "match": "-ROOT$", "errno": "ENOTEMPTY", "times": 3},
        {"op": "rmdir", "match": "-LIAR/Data$", "errno": "EIO", "act": "done", "times": 1},
    )
    told = scene.run(expect=1).stderr
    for name in (*FOLDERS, "ROOT"):
        assert told.count(f"{name}: removal stopped") == 1
        assert scene.state(name) == ("removing", "unlink-refused")
    contents.check()
    assert "ERROR" not in scene.run(expect=0).output
    for _ in range(3):
        scene.run(expect=0)
    ended(scene, *FOLDERS, "ROOT", "LIAR")


@pytest.mark.parametrize("code", ["EIO", "ESTALE", "EHOSTDOWN"])
def test_the_share_dies_in_the_middle(scene: Scene, share: Share, contents: Contents, code: str) -> None:
    made(scene, contents, "R", "S")
    share.rules({"op": "unlink", "match": "-R/", "errno": code, "skip": 2, "act": "dead"})
    scene.run(expect=3)
    assert share.strikes()
    contents.check()
    assert len(tree(scene.main / f"{ASIDE}R")) == len(FILES) + 1 - 2
    assert tree(scene.main / "S").keys() == {*FILES, FLAG}
    scene.run(expect=3)
    share.rules()
    assert "R: its removal was interrupted and continues" in scene.run(expect=0).output
    ended(scene, "R", "S")


def test_the_share_turns_read_only_in_the_middle(scene: Scene, share: Share, contents: Contents) -> None:
    made(scene, contents, "R", "S")
    share.rules({"op": "unlink", "match": "-R/", "errno": "EROFS", "skip": 2, "act": "read-only"})
    told = scene.run(expect=1).stderr
    assert "R: removal stopped: " in told and "Read-only file system" in told
    assert "S cannot be moved aside for removal (Read-only file system)" in told
    contents.check()
    assert "ERROR" not in scene.run(expect=0).output
    assert len(tree(scene.main / f"{ASIDE}R")) == len(FILES) + 1 - 2
    contents.check()
    share.rules()
    scene.run(expect=0)
    ended(scene, "R", "S")


def test_it_cannot_be_put_back_either(scene: Scene, share: Share, contents: Contents) -> None:
    """Moved aside, found changed, and the way back is refused for a while."""
    made(scene, contents, "R")
    scene.config["remove-source"] = "false"
    scene.run()
    (scene.main / "R" / "Data" / "late.bcl").write_text("late")
    contents.take("R")
    scene.config["remove-source"] = "true"
    share.rules({"op": "rename", "match": "^.sync_to_azure", "errno": "EBUSY", "times": 2})
    told = scene.run(expect=1).stderr
    assert "cannot be put back: Device or resource busy" in told
    contents.check()
    assert "ERROR" not in scene.run(expect=0).output
    contents.check()
    scene.run(expect=0)
    contents.check()
    scene.run(expect=0)
    ended(scene, "R")
    assert scene.get("R/Data/late.bcl") == b"late"
