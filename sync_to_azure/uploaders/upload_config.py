"""What an uploader has to know; ``transfer.configs`` makes it from the settings."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class UploadConfig:
    """``container``: its name, below ``endpoint``, the address of the storage account without a slash at its end.
    ``timeout``: seconds without a sign of life after which a line is given up. ``tries``: of one request.
    ``concurrency``: requests in flight at once, None to find their number. ``source_readers``: files of the source that
    are read at once.
    ``cap_mbps``: megabits a second of all requests together, None for no limit. ``block_check``: auto, md5 or crc64.
    ``access_tier``: of new blobs, None for the account's own. ``azcopy``: the program, None to look on PATH.
    """

    endpoint: str
    container: str
    timeout: float
    tries: int
    concurrency: int | None
    source_readers: int
    cap_mbps: float | None = None
    block_check: str = "auto"
    access_tier: str | None = None
    azcopy: str | None = None
    azcopy_log_level: str = "INFO"
