"""Uploads a folder with azure-storage-blob's own upload call and 16 threads: sdk_upload.py CONTAINER_URL FOLDER

As a short script would: each file opened and handed over. No MD5 of any kind (the library's ``validate_content`` would
make it slower still), no listing, no proof.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import sys

from azure.storage.blob import ContainerClient

_THREADS = 16


def main() -> int:
    address, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    paths = [pathlib.Path(where) / name for where, _, names in os.walk(folder) for name in names]
    with ContainerClient.from_container_url(address, connection_pool_size=_THREADS) as container:

        def upload(path: pathlib.Path) -> None:
            with path.open("rb") as file:
                name = f"{folder.name}/{path.relative_to(folder)}"
                container.upload_blob(name, file, length=path.stat().st_size, overwrite=True)

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(upload, paths):
                pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
