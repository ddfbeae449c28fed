"""Options on where runs are uploaded to, and on the login there."""

from __future__ import annotations

from sync_to_azure.settings.option import Option, Type
from sync_to_azure.settings.options.kinds import choice, flag, path, text

DESTINATION = (
    text(
        "storage-account",
        "destination",
        "Upload to this storage account. Required unless blob-endpoint is given.",
        placeholder="NAME",
    ),
    text(
        "blob-endpoint",
        "destination",
        "Use this blob service instead of https://ACCOUNT.blob.core.windows.net.",
        "For private endpoints, sovereign clouds and emulators.",
        "URL",
    ),
    text(
        "container-name",
        "destination",
        "Upload to this container. Required; it must exist.",
        placeholder="NAME",
    ),
    text(
        "destination",
        "destination",
        "Put runs into this folder of the container.",
        placeholder="PREFIX",
        default="/",
    ),
    flag(
        "allow-plain-http",
        "destination",
        "Accept a blob-endpoint of plain http on another machine, such as an emulator in a container.",
        "Anyone on the network path can read and change the data. Never accepted with a login by token.",
    ),
)

IDENTITY = (
    text("tenant-id", "identity", "Log in to this tenant as a service principal.", placeholder="ID"),
    text(
        "application-id",
        "identity",
        "Log in as the service principal with this application (client) ID.",
        "With auth = default, as the managed or workload identity with this ID.",
        "ID",
    ),
    path(
        "credentials",
        "identity",
        "Read the secret from this file: a client secret, a SAS or an account key, and nothing else.",
    ),
    path(
        "evidence-key",
        "identity",
        "Sign receipts with the key in this file, to recognise them if the state file is lost.",
        "Created when the first run is published. Without it, the credentials file's name followed by .evidence-key.",
    ),
    Option(
        "secret",
        Type.TEXT,
        "identity",
        "Give the secret itself instead of a credentials file; only in the environment.",
        "A vault can put it there.",
        secret=True,
        on_command_line=False,
        in_file=False,
    ),
    choice(
        "auth",
        "identity",
        "Choose how to log in; without it, the other keys decide.",
        "default: managed identity, workload identity or az login.",
        "service-principal default sas account-key",
        placeholder="METHOD",
    ),
    text(
        "authority-host",
        "identity",
        "Request tokens from this host; for sovereign clouds.",
        placeholder="URL",
    ),
)
