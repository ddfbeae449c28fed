"""One trial: a world, its faults, passes while they stand, passes when they are lifted, and what must hold."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import time
import uuid

from embedded.azurite import Azurite
from tests.faults import invariants, links
from tests.faults.faults import BY_NAME
from tests.faults.world import HUNG, HUNG_AFTER, Outcome, Plan, World
from tests.warm_start import WarmServer

_TRIES = 3
"""Passes in which a fault may strike."""

_HEALING = 6
"""Passes after which the full, right state must have come."""

_LOOK_AGAIN = 0.4


@dataclasses.dataclass
class Result:
    """``codes``: of the passes while the faults stood; ``healed_after``: passes after they were lifted, until all was
    right (0: it was at once)."""

    plan: Plan
    struck: list[str]
    codes: list[int]
    healed_after: int
    seconds: float
    violations: list[str]
    story: str = ""

    @property
    def counts(self) -> bool:
        return set(self.struck) == set(self.plan.faults)


def run(plan: Plan, folder: pathlib.Path, azurite: Azurite, warm: WarmServer | None = None) -> Result:
    """The folder is removed if all held, and kept with everything that is needed to understand it otherwise."""
    began = time.monotonic()
    with azurite.create_container(f"faults-{uuid.uuid4().hex[:20]}") as container:
        with World(plan, folder, azurite, container, warm) as world:
            trial = Trial(world)
            try:
                trial.run()
            except Exception as error:
                # Of the harness, not of the product; told as loudly.
                trial.violated(f"the harness itself failed: {type(error).__name__}: {error}")
            finally:
                if azurite.process_id is None:
                    azurite.start()
            story = invariants.told(world)
            if trial.violations:
                _keep(world, trial.violations, story)
        if not trial.violations:
            container.delete_container()
            world.remove()
    return Result(
        plan,
        sorted(world.struck),
        trial.codes,
        trial.healed_after,
        time.monotonic() - began,
        trial.violations,
        story,
    )


def _keep(world: World, violations: list[str], story: str) -> None:
    text = "\n".join([str(world.plan), *violations, "", story])
    (world.folder / "violation.txt").write_text(text, encoding="utf-8")
    for name in world.watch.etags():
        path = world.folder / "blobs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(world.watch.get(name) or b"")


class Trial:
    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = [BY_NAME[name] for name in world.plan.faults]
        self.codes: list[int] = []
        self.healed_after = 0
        self.violations: list[str] = []
        self._struck_before = False

    def violated(self, text: str) -> None:
        self.violations.append(text)

    def run(self) -> None:
        if self.world.plan.shape == "growth":
            self._publish_first()
        with contextlib.ExitStack() as stack:
            # Links are armed last, so that they are lifted first: what another fault brings back lies in the run then.
            for fault in sorted(self.faults, key=lambda fault: fault in links.FAULTS):
                stack.enter_context(fault.arm(self.world, fault))
            self._while_they_stand()
        if not self.violations:
            self._afterwards()

    def _publish_first(self) -> None:
        """A published run that grows."""
        world = self.world
        remove, world.config["remove-source"] = world.config["remove-source"], "false"
        outcome = world.run()
        if outcome.code != 0:
            self.violated(f"the first pass, undisturbed, ended with {outcome.code}")
        world.config["remove-source"] = remove
        world.write("R", {f"Data/L003/{cycle}.bcl": world.noise(300) for cycle in range(4)})
        world.write("R", {"Analysis.xml": world.noise(400)})

    # While they stand

    def _while_they_stand(self) -> None:
        told: set[str] = set()
        for number in range(_TRIES):
            self._stand(told)
            if self.violations:
                return
            if self._all_struck():
                break
        if not self._all_struck():
            return
        again = [fault.again for fault in self.faults if fault.again is not None]
        if again or self.world.chance.random() < 0.3:
            self._stand(told, *(again[0] if again else ()))
        untold = {fault.name for fault in self.faults if fault.told}
        for _ in range(_TRIES):
            if untold - told and not self.violations:
                # A run that changes while it is carried is not looked at any further in that pass, nor one that waits.
                self._wait()
                self._stand(told)
        if told and 1 in self.codes:
            # A run is flagged for one reason at a time; the sheet is looked at when its files can be sent.
            untold -= {fault.name for fault in links.FAULTS}
        if all(code < 0 or code in (3, 143) for code in self.codes):
            # Whoever is killed says nothing, and without share or storage nothing of a single run.
            return
        for name in untold - told:
            self.violated(f"{name}: no pass said {BY_NAME[name].words!r}")

    def _stand(self, told: set[str], *arguments: str) -> None:
        """A pass while the faults stand; ``told`` grows by those of which something was said."""
        if any(fault.expires for fault in self.faults):
            self.world.expire_credentials()
        outcome = self._pass(*arguments)
        self.codes.append(outcome.code)
        self._judge(outcome)
        told |= {
            fault.name for fault in self.faults if fault.words and re.search(fault.words, outcome.output)
        }

    def _all_struck(self) -> bool:
        return self.world.struck >= {fault.name for fault in self.faults}

    def _pass(self, *arguments: str) -> Outcome:
        self._struck_before = self._all_struck()
        outcome = self.world.run(*arguments)
        self._always(outcome)
        return outcome

    def _always(self, outcome: Outcome) -> None:
        if outcome.code == HUNG:
            self.violated(f"hang: a pass had not ended after {HUNG_AFTER:g} s")
        if "Traceback" in outcome.output or "internal error" in outcome.output:
            self.violated("a traceback or internal error was told")
        number = len(self.world.passes)
        self.violations += invariants.nothing_claimed(self.world, f"after pass {number}")
        problems = invariants.nothing_lost(self.world)
        problems += [problem for check in self.world.checks for problem in check()]
        self.violations += [f"after pass {number}: {each}" for each in problems]

    def _judge(self, outcome: Outcome) -> None:
        """Code and words while the faults stand."""
        allowed = {code for fault in self.faults for code in fault.codes}
        if len(self.faults) > 1 or not self._all_struck() or self._struck_before:
            allowed.add(0)
        if outcome.code not in allowed:
            self.violated(f"exit code {outcome.code}; {sorted(allowed)} were to be expected")
        words = "|".join(fault.words for fault in self.faults if fault.words)
        if outcome.code in (1, 3) and not re.search(words or "$^", outcome.output):
            self.violated(f"exit code {outcome.code}, and nothing like {words!r} was said")

    # When they are lifted

    def _afterwards(self) -> None:
        world = self.world
        thorough = world.found_by_thorough or any(fault.thorough for fault in self.faults)
        problems = [""]
        while problems and self.healed_after < _HEALING:
            self._wait()
            for each in world.before_healing:
                each()
            # What others did to blobs is found by a thorough look only; a removal comes in a pass after it.
            arguments = ("--thorough",) if thorough and self.healed_after % 2 == 1 else ()
            world.expire_credentials()
            outcome = self._pass(*arguments)
            self.healed_after += 1
            if self.violations:
                return
            problems = invariants.not_right_yet(world)
            if outcome.code != 0:
                problems.append(f"the last pass ended with {outcome.code}")
        if problems:
            self.violations += [f"not healed after {_HEALING} passes: {problem}" for problem in problems]
            return
        self.violations += [f"in the end: {each}" for check in world.final_checks for each in check()]
        if self.world.chance.random() < _LOOK_AGAIN:
            self._look_again()

    def _look_again(self) -> None:
        """A thorough look finds nothing to do."""
        world = self.world
        before = world.watch.etags()
        self._wait()
        outcome = self._pass("--thorough")
        if outcome.code != 0:
            self.violated(f"all was right, and a thorough look ended with {outcome.code}")
        self.violations += [f"after a thorough look: {each}" for each in invariants.not_right_yet(world)]
        if world.watch.etags() != before:
            changed = {name for name, _ in set(before.items()) ^ set(world.watch.etags().items())}
            self.violated(f"all was right, and a thorough look wrote {sorted(changed)}")

    def _wait(self) -> None:
        if self.world.config["completion-delay"]:
            time.sleep(1.1)
