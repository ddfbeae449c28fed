"""Two flows and one run at the destination: one uploads, the other writes nothing. A lost ledger costs time only."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import typing

import pytest

from sync_to_azure.core.names import CLAIMS_FOLDER
from sync_to_azure.transfer.steps import claims, neighbours
from sync_to_azure.transfer.steps.claims import OLD, NewestClaim, Whose
from sync_to_azure.manifest.origin import MACHINE_FILES, Origin, machine_of, origin_in
from tests.line import Answer
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, tree, write

HERE = Origin("ours", "machine", "//nas/share", "/miseq", "/mnt/miseq")
DAY = 24 * 3600.0


def seen_from(**other: str | None) -> Origin:
    return Origin(**{**HERE.values(), "flow": "theirs", **other})


@pytest.mark.parametrize(
    "origin, age, expected",
    [
        (seen_from(flow="ours", machine="other", mount="other"), 0, Whose.OURS),
        (seen_from(), 0, Whose.SAME_FOLDER),
        (seen_from(main_folder="/mnt/elsewhere"), 0, Whose.SAME_FOLDER),
        (seen_from(place="/nextseq"), OLD - 1, Whose.OTHERS),
        (seen_from(mount="/dev/sda1"), OLD - 1, Whose.OTHERS),
        (seen_from(machine="other"), OLD - 1, Whose.OTHERS),
        (seen_from(machine="other"), OLD, Whose.OLD),
        (seen_from(machine=None), 0, Whose.OTHERS),
        (None, 10 * OLD, Whose.OTHERS),
    ],
)
def test_whose_a_claim_is(origin: Origin | None, age: float, expected: Whose) -> None:
    assert claims.whose(NewestClaim(1, "etag", origin, age), HERE) is expected


def test_what_nobody_knows_is_not_the_same_folder() -> None:
    unknown = seen_from(machine=None, mount=None, place=None)
    assert not unknown.is_same_folder(unknown)
    assert origin_in({"flow": 5, "machine": ["x"], "mount": "m" * 5000}) == Origin(
        None, None, None, None, None
    )
    assert origin_in(["no", "object"]) == origin_in(None)
    assert origin_in(HERE.values()) == HERE


def test_the_machine_is_a_hash_that_does_not_tell_its_id(tmp_path: pathlib.Path) -> None:
    file, other = tmp_path / "machine-id", tmp_path / "other"
    file.write_text("4c4c4544004d3510805ac7c04f4a3132\n")
    other.write_text("4c4c4544004d3510805ac7c04f4a3133\n")
    told = machine_of([tmp_path / "missing", file])
    assert told == machine_of([file]) != machine_of([other])
    assert told and file.read_text().strip() not in told and len(told) == 32
    file.write_text("uninitialized\n")
    assert machine_of([file]) is None and machine_of([file, other]) == machine_of([other])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("Y.files.jsonl", ("", "Y", "Y.json")),
        ("sub/Y.files.jsonl", ("sub", "Y", "sub/Y.json")),
        (".files.jsonl", None),
        (f"{CLAIMS_FOLDER}/Y/1", ("", "Y", f"{CLAIMS_FOLDER}/Y/1")),
        (f"sub/{CLAIMS_FOLDER}/Y/1", ("sub", "Y", f"sub/{CLAIMS_FOLDER}/Y/1")),
        ("Data/1", None),
    ],
)
def test_which_blobs_below_a_run_may_be_documents_of_another_flow(
    name: str, expected: tuple[str, str, str] | None
) -> None:
    assert name.endswith(neighbours.NOTICED)
    assert neighbours._document(name) == expected


def another(scene: Scene, name: str = "other", **files: str) -> dict[str, object]:
    """The config of another flow to the same destination, with a run R of its own."""
    main = scene.folder / name
    write(main / "R", {"RTAComplete.txt": "", "RunInfo.xml": f"<run of='{name}'/>", **files})
    return scene.config | {"main-folder": main, "state-file": scene.folder / f"{name}.sqlite"}


def other_machine(scene: Scene) -> str:
    """A line of shell: from here on this machine is another one."""
    path = next(each for each in MACHINE_FILES if machine_of([each]) is not None)
    identity = scene.folder / "other-machine-id"
    identity.write_text("0123456789abcdef0123456789abcdef\n")
    return f"mount --bind {shlex.quote(str(identity))} {path}"


def flagged(scene: Scene, code: str) -> str:
    """The run R is flagged so; the one command that is named to solve it."""
    assert scene.state("R") == ("flagged", code)
    told = [" ".join(scene.run(*words).stdout.split()) for words in (["status"], ["explain", "R"])]
    commands = [re.search(r"sync_to_azure accept R --config-file \S+", text) for text in told]
    assert commands[0] and commands[1] and "another flow" in told[0]
    return commands[0][0]


@pytest.mark.parametrize("uploader", ["native", "azcopy"])
def test_a_flow_that_uploads_keeps_all_others_out(uploader: str, scene: Scene, proxy: Proxy) -> None:
    """B is at its first byte when A comes with a run of the same name, which would be published and removed."""
    scene.config |= {"uploader": uploader, "remove-source": "true"}
    theirs = another(scene)
    source = tree(scene.make_run("R"))
    outcomes: list[typing.Any] = []

    def before(method: str, path: str) -> None:
        if method == "PUT" and "/R/" in path and CLAIMS_FOLDER not in path and not outcomes:
            outcomes.append(None)
            outcomes.append(scene.run(expect=1))
            assert not scene.etags()

    proxy.before = before
    ended = scene.run_command(config=theirs | {"blob-endpoint": proxy.endpoint})
    assert ended.returncode == 0, ended.output
    assert len(outcomes) == 2
    flagged(scene, "claimed-by-other-flow")
    assert scene.get("R/RunInfo.xml") == b"<run of='other'/>"
    published = scene.etags()
    # Published, and removed unless it waits for AzCopy's credentials: the receipt says whose it is.
    assert (scene.folder / "other" / "R").exists() is (uploader == "azcopy")
    scene.run("--thorough", expect=1)
    flagged(scene, "other-main-folder")
    assert scene.etags() == published and tree(scene.main / "R") == source


def test_of_two_flows_that_claim_at_the_same_moment_one_goes_on(scene: Scene, proxy: Proxy) -> None:
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    theirs = another(scene) | {"blob-endpoint": proxy.endpoint}

    def before(method: str, path: str) -> None:
        if method == "PUT" and CLAIMS_FOLDER in path:
            proxy.before = lambda *seen: None
            assert scene.run_command(config=theirs).returncode == 0

    proxy.before = before
    scene.run(expect=1)
    flagged(scene, "claimed-by-other-flow")
    assert scene.get("R/RunInfo.xml") == b"<run of='other'/>" and "R/Data/one.bcl" not in scene.etags()


def test_two_machines_whose_main_folders_have_the_same_path(scene: Scene) -> None:
    """Their runs are two, published or not."""
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    first = tree(run)
    scene.run()
    published = scene.etags()
    here = scene.config
    there = scene.folder / "of the other machine"
    write(there / "R", {"RTAComplete.txt": "", "RunInfo.xml": "<other/>", "more.txt": "more"})
    scene.config = here | {"state-file": scene.folder / "theirs.sqlite"}
    mounts = f"{other_machine(scene)}; mount --bind {shlex.quote(str(there))} {shlex.quote(str(scene.main))}"
    outcome = scene.in_namespace(mounts)
    assert outcome.returncode == 1 and scene.state("R") == ("flagged", "other-main-folder"), outcome.stderr
    assert scene.etags() == published
    receipt = json.loads(scene.get("R.json"))["source"]
    assert receipt["main_folder"] == str(scene.main) and receipt["mount"] and receipt["place"]
    assert re.fullmatch("[0-9a-f]{32}", receipt["flow"]) and re.fullmatch("[0-9a-f]{32}", receipt["machine"])
    identity = next(each.read_text().strip() for each in MACHINE_FILES if machine_of([each]) is not None)
    assert identity not in scene.get("R.json").decode()
    scene.config = here
    assert tree(run) == first
    scene.run("--thorough")


def cut_off(scene: Scene, proxy: Proxy) -> list[str]:
    """A pass that is killed when one of its files arrived; blobs that are at the destination."""

    def after(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith("/R/Data/one.bcl"):
            process.kill()
            process.wait()

    scene.config |= {"uploader": "native", "concurrency": 1}
    proxy.after = after
    process = scene.start()
    process.communicate()
    proxy.reset()
    assert "R/Data/one.bcl" in scene.etags() and not scene.is_published("R")
    return list(scene.etags())


def test_the_same_machine_continues_at_once_when_its_ledger_is_lost(scene: Scene, proxy: Proxy) -> None:
    scene.through(proxy).make_run("R")
    there = cut_off(scene, proxy)
    [(first, claim)] = scene.claims("R").items()
    scene.lose_ledger()
    scene.run()
    assert scene.is_published("R")
    sent = {path.split("?")[0].partition(f"/{scene.container.container_name}/")[2] for method, path in proxy.seen
            if method == "PUT"}  # fmt: skip
    assert not sent & set(there)
    [(second, renewed)] = scene.claims("R").items()
    assert first == second == f"{CLAIMS_FOLDER}/R/1"
    assert renewed["source"] == json.loads(scene.get("R.json"))["source"]
    assert renewed["source"]["flow"] != claim["source"]["flow"]
    assert scene.container.get_blob_client(first).get_blob_properties().blob_tier == "Hot"


@pytest.mark.parametrize("unreadable", [False, True], ids=["another machine's", "unreadable"])
def test_a_young_claim_of_another_flow_is_solved_by_one_command(
    unreadable: bool, scene: Scene, proxy: Proxy
) -> None:
    scene.through(proxy).make_run("R")
    scene.config |= {"uploader": "native"}
    if unreadable:
        scene.put(f"{CLAIMS_FOLDER}/R/1", b"{")
    else:
        cut_off(scene, proxy)
        scene.lose_ledger()
        outcome = scene.in_namespace(other_machine(scene))
        assert outcome.returncode == 1, outcome.stderr
        # Back on this machine, it is that of the other machine which would be found.
        assert scene.state("R") == ("flagged", "claimed-by-other-flow")
        source = json.loads(scene.get(f"{CLAIMS_FOLDER}/R/1"))["source"]
        scene.put(
            f"{CLAIMS_FOLDER}/R/1",
            json.dumps(
                {"schema": 1, "claim": "", "source": source | {"machine": "0" * 32, "flow": "1" * 32}}
            ).encode(),
        )
    before = scene.etags()
    scene.run(expect=1 if unreadable else 0)
    assert scene.etags() == before
    command = flagged(scene, "claimed-by-other-flow")
    words = [*shlex.split(command)[1:], "--yes"]
    said = scene.run_command(*words)
    assert said.returncode == 0, said.output
    scene.run()
    assert scene.is_published("R")
    assert (
        scene.claims("R")[f"{CLAIMS_FOLDER}/R/1"]["source"]["flow"]
        == scene.sql("SELECT identity FROM flow")[0][0]
    )
    scene.run("--thorough")


@pytest.mark.parametrize("equal", [True, False], ids=["all is at our source", "not all is"])
def test_an_old_claim_is_taken_over_where_all_that_was_uploaded_is_at_our_source(
    equal: bool, scene: Scene, proxy: Proxy
) -> None:
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    source = seen_from(machine="0" * 32).values()
    scene.put(f"{CLAIMS_FOLDER}/R/1", json.dumps({"schema": 1, "claim": "", "source": source}).encode())
    scene.put("R/Data/one.bcl", b"one" if equal else b"two")
    proxy.age(CLAIMS_FOLDER, DAY - 60)
    scene.run(expect=1)
    before = scene.etags()
    proxy.age(CLAIMS_FOLDER, DAY + 60)
    scene.run()
    assert scene.is_published("R") is equal
    if not equal:
        flagged(scene, "claimed-by-other-flow")
        assert scene.etags() == before


@pytest.mark.parametrize("touched", [False, True], ids=["as they were", "with other times"])
def test_a_main_folder_that_was_moved_takes_its_published_runs_over(touched: bool, scene: Scene) -> None:
    scene.config["uploader"] = "native"
    run = scene.make_run("R")
    other = scene.make_run("OTHER")
    scene.run()
    published = scene.etags()
    (other / "Data" / "one.bcl").write_text("two")
    if touched:
        os.utime(run / "Data" / "one.bcl", (1_000_000_000, 1_000_000_000))
    moved = scene.folder / "moved"
    scene.main.rename(moved)
    scene.main = moved
    scene.config["main-folder"] = moved
    scene.run(expect=1)
    assert scene.state("R") == ("published", None) and scene.state("OTHER") == (
        "flagged",
        "other-main-folder",
    )
    scene.run("--thorough")
    assert scene.etags() == published
    # A person knows that it is the same one. What differs is told as always.
    assert scene.run("accept", "OTHER", "--yes").returncode == 0
    scene.run(expect=1)
    assert scene.state("OTHER") == ("flagged", "changed-after-verification")
    assert scene.etags() == published


def test_claims_that_may_not_be_replaced_get_numbers(scene: Scene, proxy: Proxy) -> None:
    """An immutability policy of the container: 409 for whatever is there already."""
    scene.config["uploader"] = "native"
    scene.through(proxy).make_run("R")
    source = seen_from(flow="1" * 32).values()
    first = json.dumps({"schema": 1, "claim": "", "source": source}).encode()
    scene.put(f"{CLAIMS_FOLDER}/R/1", first)

    def before(method: str, path: str) -> Answer | None:
        name = path.partition(f"/{scene.container.container_name}/")[2].split("?")[0]
        if method == "PUT" and CLAIMS_FOLDER in name and scene.container.get_blob_client(name).exists():
            return Answer(409, "BlobImmutableDueToPolicy")
        return None

    proxy.before = before
    scene.run(expect=1)
    scene.run("accept", "R", "--yes")
    scene.run()
    assert scene.is_published("R") and len(scene.claims("R")) == 2
    assert scene.get(f"{CLAIMS_FOLDER}/R/1") == first
    # One more pass that sends: the claim is young, and no third one is made.
    (scene.main / "R" / "late.txt").write_text("late")
    scene.run()
    assert "R/late.txt" in scene.etags() and len(scene.claims("R")) == 2


def test_the_claim_costs_at_most_five_requests_a_run_and_none_where_nothing_is_sent(
    scene: Scene, proxy: Proxy
) -> None:
    scene.config |= {"uploader": "native", "destination": "seq"}
    scene.through(proxy).make_run("R")
    scene.run()

    def counted() -> int:
        about = [
            path
            for _, path in proxy.seen
            if CLAIMS_FOLDER in path or path.split("?")[0].endswith("/seq.json")
        ]
        proxy.seen.clear()
        return len(about)

    assert 2 <= counted() <= 5
    scene.run("--thorough")
    assert counted() == 0
    assert list(scene.claims("seq/R")) == [f"seq/{CLAIMS_FOLDER}/R/1"]


@pytest.mark.parametrize("published", [True, False], ids=["published", "claimed"])
def test_a_run_whose_folder_is_the_destination_of_another_flow_is_flagged(
    published: bool, scene: Scene, proxy: Proxy
) -> None:
    scene.config["uploader"] = "native"
    theirs = another(scene) | {"destination": "X/deeper"}
    assert scene.run_command(config=theirs).returncode == 0
    if not published:
        for suffix in (".sync", ".json", ".md5", ".files.jsonl"):
            scene.container.delete_blob(f"X/deeper/R{suffix}")
    before = scene.etags()
    scene.make_run("X", {"deeper/R/RunInfo.xml": "not theirs", "deeper/R.sync": "nor this"})
    scene.make_run(
        "Y", {"deeper/R.json": "{}", "deeper/R.files.jsonl": "what instruments write says nothing"}
    )
    scene.run(expect=1)
    assert scene.state("X") == ("flagged", "destination-of-other-flow")
    assert {name: etag for name, etag in scene.etags().items() if name.startswith("X")} == before
    assert scene.is_published("Y")


def test_a_destination_inside_a_run_of_another_flow_is_refused(scene: Scene) -> None:
    scene.config["uploader"] = "native"
    scene.config |= {"destination": "a"}
    scene.make_run("b")
    scene.run()
    before = scene.etags()
    theirs = another(scene) | {"destination": "a/b/c"}
    ended = scene.run_command(config=theirs)
    assert ended.returncode == 2 and "inside run b" in ended.stderr, ended.output
    assert scene.etags() == before
    # A copy of the container elsewhere, or what a person put there, is nobody's.
    receipt = json.loads(scene.get("a/b.json"))
    receipt["destination"]["container"] = "another"
    scene.put("a/b.json", json.dumps(receipt).encode())
    assert scene.run_command(config=theirs).returncode == 0


IMPATIENT = "import sys; from sync_to_azure import cli; from sync_to_azure.transfer.steps import claims; "
IMPATIENT += "claims.RENEWED_EVERY = 0; sys.argv[0] = 'sync_to_azure'; sys.exit(cli.main())"


@pytest.mark.parametrize("taken_over", [False, True], ids=["renewed", "taken over"])
def test_a_claim_is_renewed_during_a_long_upload_which_ends_when_another_flow_took_it_over(
    taken_over: bool, scene: Scene, proxy: Proxy, start_command: typing.Any
) -> None:
    scene.config |= {"uploader": "native", "concurrency": 1}
    scene.through(proxy).make_run("R", {f"{number}.bcl": "x" * number for number in range(20)})
    name, flows = f"{CLAIMS_FOLDER}/R/1", set()

    def before(method: str, path: str) -> None:
        if method == "PUT" and path.split("?")[0].endswith(".bcl"):
            flows.add(scene.container.get_blob_client(name).get_blob_properties().etag)
            if taken_over:
                scene.put(name, b"{}")

    proxy.before = before
    path = scene.folder / "impatient.cfg"
    path.write_text("".join(f"{key} = {value}\n" for key, value in scene.config.items()), encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "--config-file", str(path)],
        env=start_command.clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == int(taken_over), ended.stderr
    assert scene.is_published("R") is not taken_over
    assert ("took it over" in ended.stderr) is taken_over


def test_no_run_has_a_name_of_claims(scene: Scene) -> None:
    scene.make_run(CLAIMS_FOLDER)
    scene.make_run("R")
    scene.run(expect=1)
    assert scene.state(CLAIMS_FOLDER) == ("flagged", "bad-run-name") and scene.is_published("R")
    assert not [name for name in scene.etags() if name.startswith(f"{CLAIMS_FOLDER}/RunInfo")]
