"""An audit finds what was made wrong behind our back, says well again after the healing, and never changes anything."""

from __future__ import annotations

import pathlib
import re
import typing

import pytest

from embedded.azurite import Azurite
from sync_to_azure.transfer.views.audit_text import bytes_of
from sync_to_azure.core.errors import ConfigurationError
from tests.conftest import LONG
from tests.passes.bad_input.faults import told
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, eventually


@pytest.fixture
def native(scene: Scene) -> Scene:
    scene.config["uploader"] = "native"
    return scene


def audit(scene: Scene, *arguments: object, expect: int = 0) -> str:
    """Its output; the container is as it was before."""
    before = scene.etags()
    outcome = scene.run_command("audit", *arguments, config=scene.config)
    assert outcome.returncode == expect, f"exit code {outcome.returncode}\n{outcome.output}"
    assert scene.etags() == before, "an audit changes nothing"
    return str(outcome.output)


def findings(scene: Scene) -> dict[tuple[str, str], str]:
    return {(run, name): kind for run, name, kind in scene.sql("SELECT run, name, kind FROM audit_finding")}


@pytest.mark.parametrize("ledger", ["kept", "lost"])
def test_what_went_wrong_behind_our_back_is_found_and_after_healing_all_is_well(
    native: Scene, ledger: str
) -> None:
    native.config["destination"] = "/dest"
    native.make_run("good")
    native.make_run("R", {f"f{number}": f"content {number}" for number in range(6)})
    native.run()
    assert "2 runs audited, 12 files" in audit(native) and "2 well, 0 wrong" in audit(native)
    native.container.delete_blob("dest/R/f0")
    native.put("dest/R/f1", b"CONTENT 1")
    native.put("dest/R/f2", b"longer than before")
    native.put("dest/R/f3", b"CONTENT 3", md5_of=b"content 3")
    native.put("dest/R/extra", b"nobody knows me")
    native.container.get_blob_client("dest/R/f4").set_standard_blob_tier("Archive")
    if ledger == "lost":
        native.lose_ledger()
    said = audit(native, expect=1)
    assert "1 well, 1 wrong" in said
    assert "1 blob missing: f0" in said and "1 blob with another MD5: f1" in said
    assert "1 blob with another size: f2" in said
    assert "1 blob written again since" in said and "f3" in said
    assert (
        "1 file archived (listed only)" in said
        and "1 blob not listed in any manifest" in said
        and "extra" in said
    )
    assert "--thorough --verify read-back --only-run R" in said
    said = audit(native, "--read-back", expect=1)
    assert "1 blob with other bytes than were published, under the right MD5: f3" in said
    native.container.get_blob_client("dest/R/f4").set_standard_blob_tier("Hot")
    assert "R: what an audit found is solved" in native.run("--thorough", "--verify", "read-back").output
    native.container.delete_blob("dest/R/extra")
    assert "0 wrong" in audit(native, "--read-back")
    assert not findings(native)


def flip_on_disk(folder: pathlib.Path, content: bytes) -> None:
    """One bit of a blob's bytes in the service's own file: neither MD5 nor ETag tell."""
    changed = 0
    for path in folder.rglob("*"):
        if path.is_file() and (at := path.read_bytes().find(content)) >= 0:
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(bytes([content[0] ^ 1]))
            changed += 1
    assert changed == 1


def test_bytes_that_changed_under_a_right_md5_and_etag_are_found_by_reading_back(
    native: Scene, tmp_path: pathlib.Path
) -> None:
    content = b"a content that nobody else has"
    native.make_run("R", {"rotten": content})
    with Azurite(tmp_path / "azurite") as server, server.create_container("rotten") as container:
        native.container = container
        native.config |= {"blob-endpoint": server.endpoint, "container-name": "rotten"}
        native.run()
        flip_on_disk(tmp_path / "azurite", content)
        assert "0 wrong" in audit(native), "a listing cannot see it"
        said = audit(native, "--read-back", expect=1)
        assert "1 blob with other bytes than were published, under the right MD5: rotten" in said
        assert "with other bytes" in audit(native, expect=1), "a listing cannot take it away again"
        native.run("--thorough", "--verify", "read-back")
        assert "0 wrong" in audit(native)
        assert "0 wrong" in audit(native, "--read-back")


def test_a_blob_that_was_only_touched_is_well_once_its_bytes_are_read(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.container.get_blob_client("R/RunInfo.xml").set_blob_metadata({"tag": "x"})
    assert "written again since" in audit(native, expect=1)
    audit(native, "--read-back")
    assert "0 wrong" in audit(native)
    native.container.get_blob_client("R/RunInfo.xml").set_blob_metadata({"tag": "y"})
    audit(native, expect=1)


def test_documents(native: Scene) -> None:
    native.make_run("R")
    native.run()
    kept = {end: native.get(f"R{end}") for end in (".md5", ".files.jsonl", ".json", ".sync")}
    for end, words in {
        ".md5": "R.md5 is missing",
        ".files.jsonl": "R.files.jsonl is missing",
        ".json": "R.json is missing",
        ".sync": "R.sync is missing",
    }.items():
        native.container.delete_blob(f"R{end}")
        assert words in audit(native, expect=1)
        native.put(f"R{end}", kept[end])
        audit(native)
    native.put("R.md5", kept[".md5"].replace(b"a", b"b"))
    said = audit(native, expect=1)
    assert "R.md5 does not say what R.files.jsonl says" in said
    native.put("R.md5", kept[".md5"])
    native.put("R.files.jsonl", b"rubbish\n")
    assert "R.files.jsonl line 1 is no line of a manifest" in audit(native, "--read-back", expect=1)
    native.run("--thorough")
    audit(native)


def test_runs_that_only_the_lake_knows(native: Scene) -> None:
    native.make_run("R")
    native.make_run("S")
    native.run()
    native.lose_ledger()
    native.put("of-another-tool.sync", b"2020-01-01\n")
    native.put("config.json", b"{}")
    native.container.delete_blob("S/RunInfo.xml")
    said = audit(native, expect=1)
    assert "3 runs audited" in said and "1 without a manifest (of another tool)" in said and "1 wrong" in said
    assert "2 runs audited" not in said
    assert "1 run audited" in audit(native, "--run", "R")
    told(native.run_command("audit", "--run", "X*", config=native.config), 2, "no published run matches")


def test_a_reading_back_is_spread_over_nights(native: Scene, proxy: Proxy) -> None:
    for name in "ABC":
        native.make_run(name, {f"{number}": bytes(1000) for number in range(4)})
    native.run()
    native.through(proxy)
    read: list[list[str]] = []
    for _ in range(6):
        proxy.seen.clear()
        audit(native, "--read-back", "--budget", "2.5kB")
        read.append(
            sorted(set(re.findall(r"/([ABC]/\d)(?=\?| |$)", " ".join(path for _, path in proxy.seen))))
        )
    every = sorted(f"{name}/{number}" for name in "ABC" for number in range(4))
    assert sorted(sum(read[:4], [])) == every, "each once before any is read again"
    assert all(len(night) <= 3 for night in read)
    assert set(read[4]) <= {"A/0", "A/1", "A/2"}, "then the one that was read longest ago"
    assert "3 runs not read to the end" in audit(native, "--read-back", "--budget", "1")


def test_an_audit_that_was_stopped_goes_on(native: Scene, proxy: Proxy) -> None:
    native.make_run("R", {f"{number:03}": f"{number}" for number in range(300)})
    native.run()
    native.through(proxy)

    def hold(method: str, path: str) -> None:
        if "/R/250" in path:
            proxy.wait_for_release()

    proxy.before = hold
    process = native.start("audit", "--read-back")
    assert eventually(lambda: native.sql("SELECT 1 FROM audit WHERE cursor >= '199'"))
    process.terminate()
    output = process.communicate(timeout=50)[1]
    assert process.returncode == 143 and "the next audit continues from here" in output, output
    proxy.reset()
    audit(native, "--read-back")
    assert not any("/R/100" in path for _, path in proxy.seen) and any(
        "/R/299" in path for _, path in proxy.seen
    )


def test_beside_a_pass_a_run_in_the_middle_of_being_published_is_no_finding(
    native: Scene, proxy: Proxy
) -> None:
    native.make_run("R")
    native.run()
    (native.main / "R" / "late").write_text("late")
    native.through(proxy)

    def hold(method: str, path: str) -> None:
        if method == "PUT" and "/R.json" in path:
            proxy.wait_for_release()

    proxy.before = hold
    process = native.start("--thorough")
    assert eventually(lambda: any("/R.json" in path for method, path in proxy.seen if method == "PUT"))
    said = audit(native)
    assert "1 being published" in said and "0 wrong" in said
    proxy.hold.set()
    assert process.wait(LONG) == 0
    assert "1 well" in audit(native)


def test_a_run_that_a_person_ignores_is_not_told(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.container.delete_blob("R/RunInfo.xml")
    told(native.run_command("ignore", "R", "--reason", "a test run", config=native.config), 0)
    assert "0 wrong; 1 wrong and ignored by the operator" in audit(native)
    told(native.run_command("release", "R", config=native.config), 0)
    assert "1 wrong" in audit(native, expect=1)


def test_a_damaged_ledger_is_left_to_the_next_pass(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.lose_ledger()
    native.ledger.write_bytes(b"SQLite format 3\0" + b"rubbish" * 1000)
    told(native.run_command("audit", config=native.config), 3, "the next pass rebuilds a damaged one")
    native.run(expect=1)
    audit(native)


def test_two_audits_do_not_meet(native: Scene, proxy: Proxy) -> None:
    native.make_run("R")
    native.run()
    native.through(proxy)
    proxy.before = lambda method, path: proxy.wait_for_release()
    process = native.start("audit")
    assert eventually(lambda: proxy.seen)
    told(native.run_command("audit", config=native.config), 0, "another audit of", "nothing done")
    process.terminate()
    process.communicate(timeout=50)


def test_the_storage_is_not_there(native: Scene) -> None:
    native.make_run("R")
    native.run()
    native.config |= {"container-name": "absent"}
    told(native.run_command("audit", config=native.config), 3, "container absent is not there")
    told(native.run_command("audit", "--budget", "5GB", config=native.config), 2, "give --read-back too")
    told(native.run_command("audit", "--read-back", "--budget", "much", config=native.config), 2, "500GB")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("500GB", 500 * 10**9),
        ("1.5 TB", 1_500 * 10**9),
        ("250GiB", 250 * 2**30),
        ("1000000", 10**6),
        ("7k", 7000),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "GB", "5 X", "0", "1e9", "0.1"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ConfigurationError):
        bytes_of(text)


def test_the_mail_of_an_audit_is_its_own(native: Scene, postbox: typing.Any) -> None:
    native.config |= {
        "log-recipient": "lab@example.org",
        "smtp-host": "127.0.0.1",
        "smtp-port": postbox.port,
        "smtp-security": "none",
    }
    native.make_run("R")
    native.run()
    kept = native.get("R/RunInfo.xml")
    native.container.delete_blob("R/RunInfo.xml")
    audit(native, expect=1)
    [mail] = postbox.mails
    assert "1 run needs attention: R (audit)" in mail["Subject"]
    assert "1 blob missing: RunInfo.xml" in mail.get_content() and "1 run audited" in mail.get_content()
    audit(native, expect=1)
    native.run()
    assert len(postbox.mails) == 1, "no mail twice; and that a pass is well does not solve it"
    native.put("R/RunInfo.xml", kept)
    assert "R: earlier findings are resolved" in audit(native, "--read-back")
    assert "all problems resolved" in postbox.mails[1]["Subject"]
    audit(native)
    assert len(postbox.mails) == 2
