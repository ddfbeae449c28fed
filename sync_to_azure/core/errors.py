"""Every error that a person can meet; one root, each knows its exit code and what to do.

SyncError                       the root; carries message, what to do, exit code
├── ConfigurationError   (2)    usage or configuration is wrong; holds all problems at once
├── UnavailableError    (3)    something around us is not there; trying again later can help
│   ├── SourceUnavailable       the main folder (or the sheet folder)
│   ├── StorageUnavailable      endpoint, container, throttling, network
│   │   ├── Redirected          something on the line answers with a redirect, which is never followed
│   │   └── TokenRefused        a listing cannot go on from there: it has to begin again
│   ├── AccessRefused           credentials, tokens, permissions at the service
│   ├── StateUnavailable        ledger, lock, disk space for them
│   │   └── LockLost            the lock file was deleted or replaced: this pass writes nothing more
│   ├── ToolUnavailable         AzCopy missing, too old
│   └── PassHung                another pass holds the lock and has shown no life for a day
├── RunError             (1)    one run cannot go on in this pass; others can
│   ├── UploadFailed            an uploader ended without having sent all; trying again may help
│   │   └── Overtaken           somebody else wrote a blob since it was listed: the run has to be planned again
│   ├── FilesChanged            files changed during the upload: the quiet time starts over
│   ├── BlobMissing             a blob that should be there is not
│   ├── DocumentTooLarge        a blob beside a run is larger than any document of ours: nothing of it is read
│   ├── BlobReplaced            somebody else wrote a blob between our look at it and our writing
│   ├── BlobRefused             the service refuses one blob for good (lease, immutability policy, its name)
│   ├── ContentDiffers          what was to be written is not what its MD5 and size say: nothing was written
│   └── OutOfRange              a blob has no byte at the offset from which it was to be read
└── Interrupted      (130/143)  a signal asked us to stop
"""

from __future__ import annotations


class SyncError(Exception):
    """Root. ``message`` names the thing and what happened; ``advice`` says what to do."""

    exit_code = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


class ConfigurationError(SyncError):
    """Usage or configuration is wrong. ``problems`` are told together, each naming its source."""

    exit_code = 2

    def __init__(self, problems: list[str] | str, advice: str = "") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems), advice)


class UnavailableError(SyncError):
    exit_code = 3


class SourceUnavailable(UnavailableError):
    pass


class StorageUnavailable(UnavailableError):
    pass


class Redirected(StorageUnavailable):
    """Whoever answers so is not the storage, whatever it answers to other requests: nothing is done in this pass."""

    def __init__(self, endpoint: str, status: int, what: str) -> None:
        super().__init__(
            f"{endpoint} redirects ({status}) while {what}; no redirect is followed",
            "a storage account never redirects: check blob-endpoint, the proxy, and whether the network wants a login",
        )


class TokenRefused(StorageUnavailable):
    pass


class AccessRefused(UnavailableError):
    pass


class StateUnavailable(UnavailableError):
    pass


class LockLost(StateUnavailable):
    pass


class ToolUnavailable(UnavailableError):
    pass


class PassHung(UnavailableError):
    pass


class RunError(SyncError):
    exit_code = 1


class UploadFailed(RunError):
    """``is_try`` is False where nothing failed and the job only has to be started anew (a SAS that runs out)."""

    def __init__(self, message: str, advice: str = "", is_try: bool = True) -> None:
        super().__init__(message, advice)
        self.is_try = is_try


class Overtaken(UploadFailed):
    """Nothing of ours was written over what somebody else wrote."""


class FilesChanged(RunError):
    pass


class BlobMissing(RunError):
    pass


class DocumentTooLarge(RunError):
    def __init__(self, name: str, size: int, most: int) -> None:
        self.size = size
        super().__init__(
            f"{name} has {size:,} bytes, which no document of sync_to_azure has (at most {most:,}); it was not read",
            "find out who wrote it; restore it, or move it away",
        )


class BlobReplaced(RunError):
    pass


class BlobRefused(RunError):
    pass


class ContentDiffers(RunError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} was not written: the data differs in size or MD5 from the announced values",
            "it is read again in the next pass; if this repeats, check this machine's disk and memory",
        )


class OutOfRange(RunError):
    def __init__(self, name: str, offset: int) -> None:
        super().__init__(f"{name} has no byte at offset {offset:,}", "ask for its size first")


class Interrupted(BaseException):
    """Raised by the signal handler in the main thread; not an Exception, so that no handler swallows it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.exit_code = 128 + signal_number
