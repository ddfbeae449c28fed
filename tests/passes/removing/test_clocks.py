"""Clocks that are wrong, and machines that slept: neither makes a removal come earlier than it was proved."""

from __future__ import annotations

import datetime
import email.utils
import pathlib

import pytest

from embedded.azurite import Azurite
from embedded.tools import PROJECT
from sync_to_azure.transfer.decisions.removal_clocks import Instant, age
from tests.line import Request
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene

MINUTE, DAY = 60, 86400


def ahead(scene: Scene, seconds: float) -> dict[str, str]:
    """The environment in which the command's clock is ahead of the service's, whose answers are Azurite's own."""
    place = scene.folder / "clock"
    place.mkdir(exist_ok=True)
    text = (
        "import sync_to_azure.core.clock as c\nnow = c.Clock.now\n"
        f"c.Clock.now = lambda self: now(self) + {seconds}\n"
    )
    (place / "sitecustomize.py").write_text(text, encoding="utf-8")
    return {"PYTHONPATH": f"{place}:{PROJECT}"}


def published(scene: Scene) -> pathlib.Path:
    run = scene.make_run("R")
    scene.config["remove-source"] = "false"
    scene.run()
    scene.config["remove-source"] = "true"
    return run


def test_nothing_is_removed_while_our_clock_is_wrong(scene: Scene) -> None:
    """Told once for all runs, and shown of each."""
    runs = [scene.make_run("S"), published(scene)]
    scene.config["remove-after"] = 7
    told = scene.run(expect=1, environment=ahead(scene, 10 * DAY))
    text = "nothing is removed: this machine's clock is 10 d ahead of the service's"
    assert text in told.stderr and told.stderr.count("ERROR") == 1
    assert "ERROR" not in scene.run(environment=ahead(scene, 10 * DAY)).output, "no news"
    shown = scene.run_command("status", config=scene.config).stdout
    for run in runs:
        assert run.is_dir() and scene.state(run.name) == ("published", "clocks-differ")
    assert "clock is 10 d ahead" in shown and "removed when they agree" in shown
    scene.run()
    assert scene.state("R") == ("published", "removal-due")
    scene.config["remove-after"] = 0
    scene.run()
    assert list(scene.main.iterdir()) == []
    assert scene.sql("SELECT count(*) FROM reported WHERE key = 'clocks-differ'") == [(0,)]


def test_time_has_to_pass_by_the_services_clock_too(scene: Scene) -> None:
    run = published(scene)
    scene.config["remove-after"] = 3 * MINUTE / DAY
    scene.run(environment=ahead(scene, 4 * MINUTE))
    assert run.is_dir() and scene.state("R") == ("published", "removal-due")
    scene.config["remove-after"] = 0
    scene.run(environment=ahead(scene, 4 * MINUTE))
    assert not run.exists()


@pytest.mark.parametrize(
    ("asked", "boot", "expected"),
    [
        (Instant(110.0, 1010.0), 115.0, 15.0),
        (Instant(110.0, 1400.0), 115.0, 405.0),
        (Instant(500.0, 1010.0), 515.0, 415.0),
        (Instant(110.0, 990.0), 115.0, 15.0),
        (Instant(110.0, None), 115.0, float("inf")),
    ],
    ids=["the same", "the machine was paused", "the machine slept", "the date went back", "no date"],
)
def test_the_age_of_a_proof_is_the_larger_of_two(asked: Instant, boot: float, expected: float) -> None:
    assert age(Instant(100.0, 1000.0), asked, boot) == expected


def test_a_machine_that_is_paused_after_the_listing_asks_the_lake_again(scene: Scene, proxy: Proxy) -> None:
    """Its own clocks stood still; the service's date in the answer just before the first unlink tells it."""
    run = published(scene.through(proxy))
    proxy.reset()

    def headers(request: Request, answer: dict[str, str]) -> None:
        if len(listings()) == 2 and [path for _, path in proxy.seen[listings()[-1] :]].count(marker) == 2:
            later(answer, 400)

    def listings() -> list[int]:
        return [number for number, (_, path) in enumerate(proxy.seen) if "prefix=R/" in path]

    marker = f"/{Azurite.account}/{scene.container.container_name}/R.sync"
    proxy.change_headers(headers)
    scene.run()
    assert not run.exists() and len(listings()) == 3, "before it was moved aside, after that, and once more"


def later(answer: dict[str, str], seconds: float) -> None:
    for name in [name for name in answer if name.lower() == "date"]:
        date = email.utils.parsedate_to_datetime(answer[name]) + datetime.timedelta(seconds=seconds)
        answer[name] = email.utils.format_datetime(date, usegmt=True)
