"""`check`: a dead man's switch. Alarms once when a task stays away, reminds, and says when it is well again."""

from __future__ import annotations

import dataclasses
import logging
import socket
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from cronbeat import judge, ping, summary, units
from cronbeat.deliver import deliver
from cronbeat.emit import told
from cronbeat.errors import ConfigurationError
from cronbeat.judge import Problem
from cronbeat.place import prepare
from cronbeat.settings import Settings
from cronbeat.state import State
from cronbeat.tasks import absolute, load

logger = logging.getLogger("cronbeat")


@dataclasses.dataclass(frozen=True, slots=True)
class News:
    """``tone``: attention for an alarm, warning for a reminder, good for an end."""

    subject: str
    tone: str
    text: str


def check(settings: Settings, paths: Sequence[str]) -> int:
    """0: all is well; 1: something is not; 3: and nobody could be told, it is kept for the next time."""
    state = State(prepare(settings.cache))
    try:
        now = time.time()
        state.find_lost()
        if state.clock_went_back(now):
            logger.warning("the clock went back: times that lie in the future now count as now")
        problems = look(state, [*settings.tasks, *paths], now)
        news = tell(state, problems, now, settings)
        for each in news:
            logger.warning("%s %s", each.subject.rpartition("\t")[2], each.text)
        undelivered = told(deliver(state, settings)) if settings.webhook else 0
    finally:
        state.close()
    if settings.check_ping and not undelivered:
        ping.send(settings.check_ping, min(settings.http_timeout, ping.LONGEST_WAIT))
    return undelivered or (1 if problems else 0)


def look(state: State, paths: Sequence[str], now: float) -> list[Problem]:
    """All that is not well: of the files that are given, and of those that a run or an earlier look made known."""
    problems: list[Problem] = []
    promised = {task.file for task in state.watched() if task.expected_every or task.longest}
    given = {absolute(path) for path in paths}
    for path in sorted(given | set(state.files())):
        try:
            file = load(path)
        except ConfigurationError as error:
            if path in given or path in promised:
                problems.append(Problem(path, "file", f"{error}; its tasks are watched as they were"))
            elif "no such file" in str(error):
                state.forget(path)
            continue
        state.register(file, now)
        for name, problem in file.problems.items():
            problems.append(Problem(f"{path}\t{name}", "task", f"cannot be run: {problem}"))
    for task in state.watched():
        problems += judge.problems(task, now)
    return problems


def tell(state: State, problems: Sequence[Problem], now: float, settings: Settings) -> list[News]:
    """What is new since the last look. Remembering it and putting it on its way to the webhook is one transaction."""
    with state.transaction() as database:
        known = {(row["subject"], row["kind"]): row for row in database.execute("SELECT * FROM alarms")}
        news = _news(database, known, problems, now, settings.remind_every)
        watched = {f"{file}\t{name}" for file, name in database.execute("SELECT file, name FROM tasks")}
        for key, row in known.items():
            if not any((problem.subject, problem.kind) == key for problem in problems):
                database.execute("DELETE FROM alarms WHERE subject = ? AND kind = ?", key)
                news.append(News(key[0], "good", _ended(row, key[0] in watched, now)))
        if news and settings.webhook:
            state.add_message(database, _message(news, now))
    return news


def _news(
    database: sqlite3.Connection,
    known: dict[tuple[str, str], sqlite3.Row],
    problems: Sequence[Problem],
    now: float,
    remind_every: float,
) -> list[News]:
    news: list[News] = []
    present = {(problem.subject, problem.kind): problem for problem in problems}
    for key, problem in present.items():
        if key not in known:
            news.append(News(problem.subject, "attention", problem.text))
            database.execute("INSERT INTO alarms VALUES (?, ?, ?, ?, ?)", (*key, problem.text, now, now))
        elif now - known[key]["told"] >= remind_every:
            news.append(News(problem.subject, "warning", f"still {problem.text}"))
            database.execute("UPDATE alarms SET told = ? WHERE subject = ? AND kind = ?", (now, *key))
    return news


def _ended(row: sqlite3.Row, is_watched: bool, now: float) -> str:
    if row["kind"] in ("late", "long") and not is_watched:
        return f"is watched no more (it {row['text']})"
    return f"is well again, after {units.spoken(now - row['since'])}"


def _message(news: Sequence[News], now: float) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for each in news:
        file, _, task = each.subject.partition("\t")
        entries.append(
            {"task": task or file, "file": file, "tone": each.tone, "text": each.text, "lines": []}
        )
    alarms = sum(each.tone != "good" for each in news)
    tone = "attention" if alarms else "good"
    what = f"{alarms} not well" if alarms else "well again"
    names = ", ".join(entry["task"] for entry in entries[:3]) + (", …" if len(entries) > 3 else "")
    return summary.message("check", f"{socket.gethostname()}: {what}: {names}", tone, entries, now)
