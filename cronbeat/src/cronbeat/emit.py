"""`emit`: tell the webhook how all runs went that were not told yet."""

from __future__ import annotations

import logging
import time

from cronbeat import prune, summary
from cronbeat.deliver import Delivery, deliver
from cronbeat.errors import ConfigurationError
from cronbeat.place import prepare
from cronbeat.settings import Settings
from cronbeat.state import State, mark_told

logger = logging.getLogger("cronbeat")


def emit(settings: Settings) -> int:
    """0: nothing waits any more (or another process delivers); 3: something does."""
    if not settings.webhook:
        raise ConfigurationError(
            "no webhook is set", "put 'webhook = https://…' into ~/.cronbeat.ini, and chmod 600 that file"
        )
    for notice in settings.notices:
        logger.warning("%s", notice)
    state = State(prepare(settings.cache))
    try:
        state.find_lost()
        result = deliver(state, settings, more=lambda: gather(state))
        prune.prune(settings, state)
    finally:
        state.close()
    return told(result)


def gather(state: State) -> bool:
    """Make one message of all runs that are in none. While a summary waits, no other is made: it would only pile up."""
    with state.transaction() as database:
        if database.execute("SELECT 1 FROM messages WHERE kind = 'summary' AND delivered IS NULL").fetchone():
            return False
        runs = database.execute(
            "SELECT * FROM runs WHERE message IS NULL AND outcome != 'running' ORDER BY id"
        ).fetchall()
        if not runs:
            return False
        message = summary.of_runs([dict(run) for run in runs], time.time())
        state.add_message(database, message)
        mark_told(database, (run["id"] for run in runs), message["id"])
    return True


def told(result: Delivery) -> int:
    if result.busy:
        logger.info("webhook: another cronbeat is delivering; what it does not take, the next one does")
        return 0
    if result.waiting:
        count = f"{result.waiting} message" + ("" if result.waiting == 1 else "s")
        logger.error("webhook: %s not delivered, kept for the next time: %s", count, result.problem)
        return 3
    return 0
