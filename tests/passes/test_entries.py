"""Every entry under a run is accounted for: carried as it is named, noted with a reason, or told and held up for."""

from __future__ import annotations

import os

from tests.passes.scene import Scene, tree, write

ODD_NAMES = [
    "with space.txt",
    " leading and trailing ",
    "hash#percent%20plus+.txt",
    "question?star*colon:quote\"'.txt",
    "newline\nin name.txt",
    "carriage\rreturn.txt",
    "Größe-日本語.txt",
    "nfd-u\u0308.txt",
    "[brackets]{braces}&amp;.txt",
    "-rf",
    "{",
    "\ufeffbom.txt",
    "folder with space /deep%41/#/file",
    "a.vhd",
]


def test_odd_names_arrive(scene: Scene) -> None:
    run = scene.make_run("R", {name: f"content of {name!r}" for name in ODD_NAMES})
    scene.run()
    assert tree(scene.download("R") / "R") == tree(run)
    _, rows, receipt, _ = scene.documents("R")
    assert {row["path"] for row in rows} == set(tree(run))
    assert receipt["weakest_evidence"] == "validated"
    scene.check_sums("R")
    assert scene.container.get_blob_client("R/a.vhd").get_blob_properties().blob_type == "BlockBlob"
    before = scene.etags()
    scene.lose_ledger()
    scene.run("--thorough")
    assert scene.etags() == before


def test_what_holds_nothing_up_is_noted_with_a_reason(scene: Scene) -> None:
    scene.config["exclude"] = ["*.tmp", "Thumbnail_Images"]
    run = scene.make_run(
        "R",
        {
            "Thumbs.db": "junk",
            "Data/.nfs000123": "junk",
            "Data/~$sheet.xlsx": "junk",
            ".DS_Store": "junk",
            "Data/half.tmp": "excluded",
            "Thumbnail_Images/L001/s_1.jpg": "excluded",
        },
    )
    (run / "Empty" / "Deeper").mkdir(parents=True)
    (run / "link").symlink_to("Data/one.bcl")
    (run / "folder-link").symlink_to(run / "Data")
    scene.run()
    _, rows, receipt, _ = scene.documents("R")
    assert {row["path"] for row in rows} == {"Data/one.bcl", "RunInfo.xml", "RTAComplete.txt"}
    not_carried = receipt["not_uploaded"]
    assert not_carried["counts"] == {"empty-folder": 1, "excluded": 2, "junk": 4, "symlink": 2}
    noted = {entry["path"]: (entry["kind"], entry["detail"]) for entry in not_carried["entries"]}
    assert noted["link"] == ("symlink", "to Data/one.bcl")
    assert noted["folder-link"][0] == "symlink"
    assert noted["Empty/Deeper"][0] == "empty-folder"
    assert noted["Data/half.tmp"] == ("excluded", "*.tmp")
    assert noted["Thumbnail_Images/L001/s_1.jpg"] == ("excluded", "Thumbnail_Images")
    assert set(not_carried["reasons"]) >= set(not_carried["counts"])


def test_what_cannot_be_carried_is_told_by_name_and_holds_publishing_up(scene: Scene) -> None:
    outside = scene.folder / "outside.txt"
    outside.write_text("not part of the run")
    run = scene.make_run("R")
    (run / "leaves").symlink_to(outside)
    (run / "dangling").symlink_to(scene.folder / "nowhere")
    (run / "climbs").symlink_to("../../outside.txt")
    os.mkfifo(run / "pipe")
    bad = [b"Data/back\\slash.txt", b"latin-\xe9.txt", b"bell\x07.txt", b"folder-\xff/inside.txt"]
    for name in bad:
        path = os.path.join(os.fsencode(run), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as handle:
            handle.write(b"x")

    outcome = scene.run(expect=1)
    told = outcome.stderr
    for name in (
        "leaves",
        "dangling",
        "climbs",
        "pipe",
        "back\\slash.txt",
        "latin-\\xe9.txt",
        "folder-\\xff",
    ):
        assert name in told, name
    assert "bell" in told and "\x07" not in told
    assert set(scene.etags()) == {
        "R/Data/one.bcl",
        "R/RunInfo.xml",
        "R/RTAComplete.txt",
    }, "the rest is carried"
    assert scene.state("R") == ("flagged", "uncarried")

    before, jobs = scene.etags(), scene.azcopy_jobs()
    scene.run(expect=0)
    assert (scene.etags(), scene.azcopy_jobs()) == (
        before,
        jobs,
    ), "known trouble is not news, and nothing is sent"

    for name in ("leaves", "dangling", "climbs", "pipe"):
        (run / name).unlink()
    for name in bad:
        path = os.path.join(os.fsencode(run), name)
        os.rename(path, os.path.join(os.fsencode(run), f"solved-{bad.index(name)}".encode()))
    scene.run()
    assert tree(scene.download("R") / "R") == tree(run)
    scene.check_sums("R")
    assert scene.documents("R")[2]["not_uploaded"]["counts"] == {"empty-folder": 1}


def test_a_symlink_as_run_is_left_alone(scene: Scene) -> None:
    elsewhere = scene.folder / "elsewhere"
    write(elsewhere, {"RTAComplete.txt": "", "secret.txt": "not in the main folder"})
    (scene.main / "LINKED").symlink_to(elsewhere)
    scene.make_run("R")
    (scene.main / "notes.txt").write_text("stray")
    first, second = scene.run(), scene.run()
    assert "LINKED" in first.stderr and "notes.txt" in first.stderr
    assert "LINKED" not in second.output and "notes.txt" not in second.output
    assert not [name for name in scene.etags() if "LINKED" in name or "secret" in name]


def test_runs_whose_names_cannot_stand_are_flagged_and_stop_no_other(scene: Scene) -> None:
    names = ["R.sync", "R.json", "R.md5", "R.files.jsonl", "dot.", "line\nbreak", "back\\slash"]
    for name in names:
        scene.make_run(name)
    os.rename(scene.make_run("latin"), os.path.join(os.fsencode(scene.main), b"latin-\xe9"))
    scene.make_run("Z")
    outcome = scene.run(expect=1)
    assert outcome.stderr.count("rename the folder") == len(names) + 1
    assert "latin-\\xe9" in outcome.stderr
    assert {name[0] for name in scene.etags()} == {"Z"}
    scene.run(expect=0)


def test_never_a_run(scene: Scene) -> None:
    for name in (".snapshot", "~snapshot", "$RECYCLE.BIN", "System Volume Information", "@eaDir"):
        scene.make_run(name)
    assert "holds no runs" in scene.run().stderr
    assert scene.etags() == {}


def test_unreadable_for_us_holds_up(scene: Scene) -> None:
    run = scene.make_run("R", {"Closed/in.txt": "x", "private.txt": "y"})
    (run / "private.txt").chmod(0)
    (run / "Closed").chmod(0)
    told = scene.run(expect=1, unprivileged=True).stderr
    assert "private.txt" in told and "Closed" in told
    assert not scene.is_published("R")
    (run / "private.txt").chmod(0o600)
    (run / "Closed").chmod(0o700)
    scene.run(unprivileged=True)
    assert tree(scene.download("R") / "R") == tree(run)


def test_a_run_that_holds_nothing_to_carry_is_not_published(scene: Scene) -> None:
    del scene.config["completion-flag"]
    scene.config["profile"] = "generic"
    (scene.main / "R" / "Data").mkdir(parents=True)
    outcome = scene.run()
    assert "R: waiting: the folder contains no file" in outcome.stderr
    assert scene.etags() == {}
