"""python -m tests.recording.compare BEFORE AFTER: the tests whose runs went another way."""

from __future__ import annotations

import collections
import difflib
import json
import pathlib
import sys

Story = dict[tuple[str, str], list[str]]


def read(folder: pathlib.Path) -> Story:
    """By test and run, all that was done, in order."""
    lines = [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    story: Story = collections.defaultdict(list)
    for line in sorted(lines, key=lambda line: line["at"]):
        done = json.dumps([line["facts"], line["action"], line["more"]])
        # Tests may move to another folder.
        story[line["test"].rpartition("/")[2], line["run"]].append(done)
    return story


def main(before: pathlib.Path, after: pathlib.Path) -> int:
    old, new = read(before), read(after)
    both = sorted(old.keys() & new.keys())
    differ = [key for key in both if old[key] != new[key]]
    for key in differ:
        print(*key)
        for line in difflib.unified_diff(old[key], new[key], lineterm="", n=1):
            print("   ", line)
    only = sorted(old.keys() ^ new.keys())
    for key in only:
        print("only", "before" if key in old else "after", *key)
    actions = sum(len(old[key]) for key in both)
    print(f"{len(both)} runs of tests, {actions} actions; {len(differ)} runs differ, {len(only)} in one only")
    return 1 if differ or only else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
