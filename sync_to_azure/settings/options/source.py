"""Options on the runs in the main folder: which, when they are complete, and when they are removed."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options.kinds import choice, flag, path, text

_PROFILES = (
    "auto miseq miseq-i100 miniseq iseq nextseq-500 nextseq-2000 novaseq-6000 novaseq-x hiseq gaiix other-illumina"
    " element ultima singular mgi nanopore nanopore-2018 pacbio pacbio-rs xenium thermo bruker agilent waters sciex"
    " shimadzu proteomics metabolomics generic"
)
CONTINUOUS = ("proteomics", "metabolomics")
"""Profiles of folders that are never done. A test compares both with sync_to_azure.instruments.profiles, which
are not loaded for the sake of a table."""

SOURCE = (
    path(
        "main-folder",
        "source",
        "Upload the runs in this folder, one sub-folder for each run. Required.",
        placeholder="FOLDER",
    ),
    path(
        "samplesheet-folder",
        "source",
        "Before publishing a run, wait for its sample sheet RUN.csv in this folder.",
        placeholder="FOLDER",
    ),
    flag("sheet-optional", "source", "Publish a run even if its sample sheet is missing."),
    Option(
        "exclude",
        Type.TEXT,
        "source",
        "Skip files and folders that match this pattern; repeatable.",
        "A pattern with a slash is compared with the path below the run folder, one without a slash with the name at"
        " any depth.",
        placeholder="GLOB",
        repeatable=True,
    ),
    text("only-run", "source", "Process only runs whose name matches this pattern.", placeholder="GLOB"),
    flag(
        "sample-names",
        "source",
        "Include sample IDs in the receipt, and sample and file names in the report.",
        "They can be personal data.",
    ),
)

COMPLETION = (
    Option(
        "completion-flag",
        Type.TEXT,
        "completion",
        "Treat a run as finished when this file exists in its folder; repeatable.",
        "The instrument writes it last, such as CopyComplete.txt. Of several, all must exist; case is ignored."
        " Overrides the profile. Without it, the profile decides when a run is finished.",
        placeholder="NAME",
        repeatable=True,
        commas=True,
    ),
    choice(
        "profile",
        "completion",
        "Set the instrument family, which decides when a run is finished and how it ended.",
        "auto: recognise the family of each folder. generic: any folder, finished when it stops changing. proteomics,"
        " metabolomics: projects that are never finished, stored by rules of their own.",
        _PROFILES,
        "auto",
        "FAMILY",
    ),
    choice(
        "failed-runs",
        "completion",
        "Choose what to do with a run that its instrument reports as failed or aborted.",
        "upload: publish it with that outcome, report it, and never remove it automatically. hold: do not upload it"
        " until the command accept allows it.",
        "upload hold",
        "upload",
    ),
    Option(
        "completion-delay",
        Type.NUMBER,
        "completion",
        "Upload a run once two scans, this many seconds apart, found it unchanged.",
        "0: one scan is enough. The same applies to its sample sheet.",
        "3600",
        "SECONDS",
        unit="seconds",
        least=0,
    ),
    Option(
        "stale-after",
        Type.NUMBER,
        "completion",
        "Flag a run, once, that is unfinished after this many hours without a change; 0: never.",
        "The folder is scanned eight times during this period.",
        "48",
        "HOURS",
        unit="hours",
        least=0,
    ),
    text(
        "project-glob",
        "completion",
        "Treat matching folders as projects, ignoring case; profile proteomics only.",
        placeholder="GLOB",
        default="prot[0-9]*",
    ),
    text(
        "blank-glob",
        "completion",
        "Treat matching .raw files as blanks, ignoring case; profile proteomics only.",
        placeholder="GLOB",
        default="blank*.raw",
    ),
    Option(
        "min-file-age",
        Type.NUMBER,
        "completion",
        "Upload a file once it is this many seconds old; profiles proteomics and metabolomics only.",
        "Without it, 86400 for proteomics and 3600 for metabolomics.",
        placeholder="SECONDS",
        unit="seconds",
        least=0,
    ),
)

EARLY = (
    flag(
        "incremental",
        "early",
        "Upload unchanged files while the run is still being written.",
        "Only the rest remains when the run is complete. This reads from the share, often the instrument's own"
        " computer, during the run: see source-readers.",
    ),
    Option(
        "stable-for",
        Type.NUMBER,
        "early",
        "With incremental, upload a file once two scans, this many seconds apart, found it unchanged.",
        "",
        "900",
        "SECONDS",
        unit="seconds",
        least=0,
    ),
)

REMOVAL = (
    flag("remove-source", "removal", "Remove a run from the main folder after it is verified and published."),
    Option(
        "remove-after",
        Type.NUMBER,
        "removal",
        "Keep a run for this many days after it is published; fractions are allowed.",
        "",
        "0",
        "DAYS",
        unit="days",
        least=0,
    ),
    flag(
        "remove-rehash",
        "removal",
        "Before removing a run, read all its files again and compare them with the manifest.",
    ),
    Option(
        "read-back-limit",
        Type.NUMBER,
        "removal",
        "Before removing runs, read back at most this many gigabytes of blobs in a pass; 0: no limit.",
        "Only blobs whose upload by this program did not prove them are read back; the next pass continues.",
        "100",
        "GB",
        unit="GB",
        least=0,
        most=1_000_000_000,
    ),
    flag(
        "remove-excluded",
        "removal",
        "With a run, also remove excluded files and junk such as Thumbs.db, which were not uploaded.",
        "Otherwise they keep the run from being removed.",
    ),
)
