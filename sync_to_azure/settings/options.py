"""The table of the options of a pass: command line, environment, config file, documents and `settings` follow it."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type

DEFAULT_CONFIG_FILE = "azsync.cfg"

GROUPS = {
    "source": "Source",
    "completion": "When a run is complete",
    "early": "Early upload",
    "removal": "Removal from the source",
    "destination": "Destination",
    "identity": "Identity",
    "upload": "Upload",
    "mode": "The pass",
    "state": "State",
    "log": "Log",
    "mail": "Mail",
    "monitoring": "Monitoring",
    "events": "Events and webhook",
    "general": "General",
    "obsolete": "Obsolete",
}


def _path(key: str, group: str, text: str, placeholder: str = "FILE") -> Option:
    return Option(key, Type.PATH, group, text, placeholder=placeholder)


def _text(key: str, group: str, text: str, placeholder: str = "TEXT", default: str | None = None) -> Option:
    return Option(key, Type.TEXT, group, text, default, placeholder)


def _flag(key: str, group: str, text: str) -> Option:
    return Option(key, Type.FLAG, group, text, "false")


def _obsolete(key: str, text: str) -> Option:
    return Option(key, Type.TEXT, "obsolete", text, obsolete=True)


def _choice(key: str, group: str, text: str, choices: str, default: str | None = None) -> Option:
    return Option(key, Type.CHOICE, group, text, default, choices=tuple(choices.split()))


_PROFILES = (
    "auto miseq miseq-i100 miniseq iseq nextseq-500 nextseq-2000 novaseq-6000 novaseq-x hiseq gaiix other-illumina"
    " element ultima singular mgi nanopore nanopore-2018 pacbio pacbio-rs xenium thermo bruker agilent waters sciex"
    " shimadzu proteomics metabolomics generic"
)
CONTINUOUS = ("proteomics", "metabolomics")
"""Profiles of folders that are never done. A test compares both with sync_to_azure.instruments.profiles, which
are not loaded for the sake of a table."""

OPTIONS: tuple[Option, ...] = (
    _path("main-folder", "source", "The folder that holds one sub-folder for each run. Required.", "FOLDER"),
    _path(
        "samplesheet-folder",
        "source",
        "The folder that holds a sample sheet NAME.csv for each run NAME; a run is not published before its sheet"
        " is there.",
        "FOLDER",
    ),
    _flag("sheet-optional", "source", "Publish a run also before its sample sheet is there."),
    Option(
        "exclude",
        Type.TEXT,
        "source",
        "Pattern of files and folders that are not carried; repeatable. With a slash it is a path below the run folder,"
        " without one a name at any depth.",
        placeholder="GLOB",
        repeatable=True,
    ),
    _text("only-run", "source", "Look only at runs whose name matches; all others are left alone.", "GLOB"),
    _flag(
        "sample-names",
        "source",
        "Ids of samples stand in the receipt too, and names of samples and files in the report; they can be personal"
        " data.",
    ),
    Option(
        "completion-flag",
        Type.TEXT,
        "completion",
        "Name of a file that the instrument writes into the run folder when it is done, such as CopyComplete.txt;"
        " repeatable, all must be there. Names are compared without case. The last word on finished; without it,"
        " profile says.",
        placeholder="NAME",
        repeatable=True,
        commas=True,
    ),
    Option(
        "profile",
        Type.CHOICE,
        "completion",
        "The family of instruments that writes the runs: it says when a run is finished where no completion-flag"
        " does, and how it ended. auto: each folder is recognised by itself. generic: any folder, finished when"
        " nothing moves. proteomics, metabolomics: projects that are never done, placed by rules of their own.",
        "auto",
        choices=tuple(_PROFILES.split()),
    ),
    _choice(
        "failed-runs",
        "completion",
        "What becomes of a run that its instrument says failed or ended early. upload: it is published with that,"
        " told, and never removed by itself. hold: it is not carried until a person accepts it.",
        "upload hold",
        "upload",
    ),
    Option(
        "completion-delay",
        Type.NUMBER,
        "completion",
        "A run is carried after it was found unchanged in two looks so far apart; with 0 one look is enough."
        " Its sample sheet, too.",
        "3600",
        "SECONDS",
        unit="seconds",
        least=0,
    ),
    Option(
        "stale-after",
        Type.NUMBER,
        "completion",
        "A run that stands still for so long without being finished is flagged, once; 0: never. It is walked eight"
        " times meanwhile.",
        "48",
        "HOURS",
        unit="hours",
        least=0,
    ),
    _text(
        "project-glob",
        "completion",
        "Of profile proteomics: which folders of the main folder are projects, in any case.",
        "GLOB",
        "prot[0-9]*",
    ),
    _text(
        "blank-glob",
        "completion",
        "Of profile proteomics: which .raw files are blanks, in any case.",
        "GLOB",
        "blank*.raw",
    ),
    Option(
        "min-file-age",
        Type.NUMBER,
        "completion",
        "Of profiles proteomics and metabolomics: a file is carried when it was written so long ago; without it, a day"
        " and an hour.",
        placeholder="SECONDS",
        unit="seconds",
        least=0,
    ),
    _flag(
        "incremental",
        "early",
        "Carry files that stand still while the run goes on, so that only the tail remains when it is complete. It"
        " reads from the share, often the instrument's own computer, while the instrument writes: see source-readers.",
    ),
    Option(
        "stable-for",
        Type.NUMBER,
        "early",
        "With incremental: a file is carried early after two looks found it unchanged so far apart.",
        "900",
        "SECONDS",
        unit="seconds",
        least=0,
    ),
    _flag(
        "remove-source", "removal", "Remove a run from the main folder after it is verified and published."
    ),
    Option(
        "remove-after",
        Type.NUMBER,
        "removal",
        "Remove a run only when it has been published for so long; fractions count.",
        "0",
        "DAYS",
        unit="days",
        least=0,
    ),
    _flag(
        "remove-rehash",
        "removal",
        "Before a run is removed, read every file of it once more and compare it with the manifest.",
    ),
    Option(
        "read-back-limit",
        Type.NUMBER,
        "removal",
        "Before runs are removed, read back at most so many gigabytes of blobs in one pass, where no answer to an"
        " upload of ours proves them; the next pass goes on. 0: without a limit.",
        "100",
        "GB",
        unit="GB",
        least=0,
        most=1_000_000_000,
    ),
    _flag(
        "remove-excluded",
        "removal",
        "Remove with a run also what exclude names, and junk such as Thumbs.db: neither is in the lake. Otherwise they"
        " keep a run from being removed.",
    ),
    _text(
        "storage-account",
        "destination",
        "Name of the storage account. This or blob-endpoint is required.",
        "NAME",
    ),
    _text(
        "blob-endpoint",
        "destination",
        "Address of the blob service, where it is not https://ACCOUNT.blob.core.windows.net: private endpoints,"
        " sovereign clouds, emulators.",
        "URL",
    ),
    _text("container-name", "destination", "The container. Required; it must exist.", "NAME"),
    _text("destination", "destination", "Folder in the container under which runs are put.", "PREFIX", "/"),
    _flag(
        "allow-plain-http",
        "destination",
        "Accept a blob-endpoint of plain http that is not this machine (an emulator in another container): everybody on"
        " the way can read, and change, what is carried. Never with a login by token.",
    ),
    _text("tenant-id", "identity", "Tenant of the service principal.", "ID"),
    _text(
        "application-id",
        "identity",
        "Application (client) id of the service principal; with auth = default, of the managed or workload identity.",
        "ID",
    ),
    _path(
        "credentials",
        "identity",
        "A file that holds nothing but the secret: a client secret, a SAS or an account key.",
    ),
    _path(
        "evidence-key",
        "identity",
        "A file with the key by which receipts at the destination are known to be ours after the state file was lost;"
        " made at the first publishing. By default the credentials file's name followed by .evidence-key.",
    ),
    Option(
        "secret",
        Type.TEXT,
        "identity",
        "The secret itself, instead of a credentials file; only in the environment, where a vault can put it.",
        secret=True,
        on_command_line=False,
        in_file=False,
    ),
    _choice(
        "auth",
        "identity",
        "How to log in; without it, it follows from what is given. default: managed identity, workload identity or az"
        " login.",
        "service-principal default sas account-key",
    ),
    _text("authority-host", "identity", "Host that gives tokens, in sovereign clouds.", "URL"),
    _choice(
        "uploader",
        "upload",
        "What carries the bytes. azcopy: Microsoft's program. native: our own, one read of each file, every byte"
        " checked by the service.",
        "azcopy native",
        "azcopy",
    ),
    _choice(
        "verify",
        "upload",
        "The least evidence with which a run is published: listed (size and MD5 in the listing), validated (the"
        " service checked every byte as it came; what it did not check is read back), read-back (all is downloaded"
        " and hashed).",
        "listed validated read-back",
        "validated",
    ),
    Option(
        "access-tier",
        Type.CHOICE,
        "upload",
        "Tier of the blobs of a run; without it, the account's default. (Not archive: an archived blob can be neither"
        " read nor overwritten.)",
        choices=("hot", "cool", "cold"),
        refused=(
            (
                "archive",
                "archive is refused: an archived blob can be neither read nor overwritten, so nothing could be verified"
                " or healed; let a lifecycle rule of the account move old runs there",
            ),
        ),
    ),
    Option(
        "concurrency",
        Type.INTEGER,
        "upload",
        "Requests of the native uploader in flight at once, up to 256; auto: it finds the number that serves best.",
        "16",
        "REQUESTS",
        unit="requests",
        word="auto",
        least=1,
        most=256,
    ),
    _choice(
        "block-check",
        "upload",
        "What the native uploader has the service compare each block of a large file with; crc64 takes far less"
        " processor time, and the extra 'fast'. auto: crc64 where that is installed.",
        "auto crc64 md5",
        "auto",
    ),
    _path(
        "azcopy",
        "upload",
        "The AzCopy program; otherwise azcopy or azure-storage-azcopy on the PATH.",
        "PATH",
    ),
    _path(
        "azcopy-logs", "upload", "Folder for AzCopy's logs and plans, cleaned up after each job.", "FOLDER"
    ),
    _choice("azcopy-log-level", "upload", "What AzCopy logs.", "INFO WARNING ERROR NONE DEBUG", "WARNING"),
    Option(
        "cap-mbps",
        Type.NUMBER,
        "upload",
        "Send at most so many megabits a second; without it there is no limit.",
        placeholder="NUMBER",
        unit="Mbit/s",
        above=0,
        most=1_000_000,
    ),
    Option(
        "retry-times",
        Type.INTEGER,
        "upload",
        "How often one run is tried in one pass.",
        "5",
        "TIMES",
        unit="tries",
        least=1,
    ),
    Option(
        "timeout",
        Type.NUMBER,
        "upload",
        "An upload without progress for so long is ended and counts as a try; so long may one answer of the storage (at"
        " most 4 MiB of data) take, and a mail.",
        "300",
        "SECONDS",
        unit="seconds",
        above=0,
        most=1_000_000_000,
    ),
    Option(
        "source-readers",
        Type.INTEGER,
        "upload",
        "How many files of the source are read at once: the share is often the instrument's own computer.",
        "4",
        "FILES",
        unit="files",
        least=1,
        most=256,
    ),
    _flag("dry-run", "mode", "Say what would be done, and do nothing."),
    _flag(
        "thorough", "mode", "Walk and list every published run again, and find what changed at either end."
    ),
    Option(
        "reverify-after",
        Type.NUMBER,
        "mode",
        "Look thoroughly, in each pass, at a few published runs that nobody has looked at for so many days; 0: at"
        " none.",
        "0",
        "DAYS",
        unit="days",
        least=0,
    ),
    _path(
        "state-file",
        "state",
        "The ledger of what was seen and done; otherwise it is kept in the user's state folder.",
    ),
    _path("log-file", "log", "Log into this file too; it is rotated."),
    _choice("log-level", "log", "What is logged.", "DEBUG INFO WARNING ERROR CRITICAL", "INFO"),
    Option(
        "log-recipient",
        Type.TEXT,
        "mail",
        "Mail address that is told of errors; repeatable. Needs smtp-host.",
        placeholder="ADDRESS",
        repeatable=True,
        commas=True,
    ),
    _text("smtp-host", "mail", "The mail server.", "HOST"),
    Option(
        "smtp-port",
        Type.INTEGER,
        "mail",
        "Port of the mail server; 0: the usual one for smtp-security.",
        "0",
        "PORT",
        least=0,
        most=65535,
    ),
    _text("smtp-user", "mail", "User name at the mail server.", "NAME"),
    Option(
        "smtp-password",
        Type.TEXT,
        "mail",
        "Password at the mail server. Process lists show it if it is given on the command line.",
        placeholder="PASSWORD",
        secret=True,
    ),
    _choice("smtp-security", "mail", "Encryption; auto: by the port.", "auto tls starttls none", "auto"),
    _path(
        "metrics-file",
        "monitoring",
        "Write how the pass and the runs stand into this file for Prometheus; *.prom, in the folder of node_exporter's"
        " textfile collector.",
    ),
    Option(
        "ping",
        Type.TEXT,
        "monitoring",
        "Address of a watchdog such as healthchecks.io: URL/start when a pass begins, URL when it went well, URL/fail"
        " otherwise. A secret; process lists show it if it is given on the command line.",
        placeholder="URL",
        secret=True,
    ),
    Option(
        "notify-url",
        Type.TEXT,
        "events",
        "Send each event there by a signed POST, in order, until it is taken (docs/events.md). Needs notify-key. A"
        " secret; process lists show it if it is given on the command line.",
        placeholder="URL",
        secret=True,
    ),
    _path(
        "notify-key",
        "events",
        "File with the key that signs what is sent to notify-url; the receiver has it too.",
    ),
    Option(
        "notify-events",
        Type.TEXT,
        "events",
        "Send only these: run.published, run.changed, run.removed, run.needs_attention; repeatable. Without it, all.",
        placeholder="EVENT",
        repeatable=True,
        commas=True,
    ),
    Option(
        "keep-events",
        Type.NUMBER,
        "events",
        "Keep events for so many days, so that the command events shows them; 0: only until all who wait for them have"
        " had them.",
        "0",
        "DAYS",
        unit="days",
        least=0,
        most=36_500,
    ),
    Option(
        "config-file",
        Type.PATH,
        "general",
        f"The config file; otherwise {DEFAULT_CONFIG_FILE} in the current folder, if it is there.",
        placeholder="FILE",
        in_file=False,
    ),
    _obsolete("pid-file", "a lock of the system keeps two passes apart; remove the key"),
)

BY_KEY = {option.key: option for option in OPTIONS}
