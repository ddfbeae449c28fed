"""Options on who learns of what happened: log, mail, monitoring, events."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options.kinds import choice, path, text

LOG = (
    path("log-file", "log", "Write the log to this file too; it is rotated."),
    choice(
        "log-level",
        "log",
        "Log messages of this level and above.",
        "",
        "DEBUG INFO WARNING ERROR CRITICAL",
        "INFO",
        "LEVEL",
    ),
)

MAIL = (
    Option(
        "log-recipient",
        Type.TEXT,
        "mail",
        "Mail errors to this address; repeatable. Needs smtp-host.",
        placeholder="ADDRESS",
        repeatable=True,
        commas=True,
    ),
    text("smtp-host", "mail", "Send mail through this server.", placeholder="HOST"),
    Option(
        "smtp-port",
        Type.INTEGER,
        "mail",
        "Connect to the mail server on this port; 0: the usual port for smtp-security.",
        "",
        "0",
        "PORT",
        least=0,
        most=65535,
    ),
    text("smtp-user", "mail", "Log in to the mail server with this user name.", placeholder="NAME"),
    Option(
        "smtp-password",
        Type.TEXT,
        "mail",
        "Log in to the mail server with this password.",
        "Process lists show it if it is given on the command line.",
        placeholder="PASSWORD",
        secret=True,
    ),
    choice(
        "smtp-security",
        "mail",
        "Choose the encryption of mail; auto: by the port.",
        "",
        "auto tls starttls none",
        "auto",
    ),
)

MONITORING = (
    path(
        "metrics-file",
        "monitoring",
        "After each pass, write metrics for Prometheus to this file, named *.prom.",
        "It belongs in the folder of node_exporter's textfile collector.",
    ),
    Option(
        "ping",
        Type.TEXT,
        "monitoring",
        "Report the start and end of each pass to this watchdog, such as healthchecks.io.",
        "URL/start when a pass begins, URL when it succeeded, URL/fail otherwise. A secret; process lists show it if it"
        " is given on the command line.",
        placeholder="URL",
        secret=True,
    ),
)

EVENTS = (
    Option(
        "notify-url",
        Type.TEXT,
        "events",
        "Send each event to this address by a signed POST, in order. Needs notify-key.",
        "Each is sent until it is accepted (docs/events.md). A secret; process lists show it if it is given on the"
        " command line.",
        placeholder="URL",
        secret=True,
    ),
    path(
        "notify-key",
        "events",
        "Sign what is sent to notify-url with the key in this file; the receiver needs it too.",
    ),
    Option(
        "notify-events",
        Type.TEXT,
        "events",
        "Send only these events; repeatable. Without it, all.",
        "run.published, run.changed, run.removed, run.needs_attention.",
        placeholder="EVENT",
        repeatable=True,
        commas=True,
    ),
    Option(
        "keep-events",
        Type.NUMBER,
        "events",
        "Keep events for this many days; 0: only until every consumer has received them.",
        "The command events shows them.",
        "0",
        "DAYS",
        unit="days",
        least=0,
        most=36_500,
    ),
)
