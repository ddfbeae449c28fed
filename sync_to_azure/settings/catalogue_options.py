"""The table of the options of the catalogue."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type

DATABASE = Option(
    "database",
    Type.TEXT,
    "catalogue",
    "The catalogue's database: a file, or postgresql://USER@HOST/DATABASE. Default: catalogue.sqlite in the state"
    " folder.",
    placeholder="DATABASE",
    secret=True,
)
REGION = Option(
    "region",
    Type.TEXT,
    "catalogue",
    "The region of the storage account, such as westeurope. The totals group by it.",
    placeholder="NAME",
)
OPTIONS = (DATABASE, REGION)
