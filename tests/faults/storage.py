"""Blobs written behind the command's back, with the MD5 that a listing shows."""

from __future__ import annotations

import hashlib

from azure.storage.blob import ContainerClient, ContentSettings


def put(container: ContainerClient, name: str, content: bytes) -> str:
    """Its ETag."""
    md5 = bytearray(hashlib.md5(content, usedforsecurity=False).digest())
    answer = container.get_blob_client(name).upload_blob(
        content, overwrite=True, content_settings=ContentSettings(content_md5=md5)
    )
    return str(answer["etag"]).strip('"')
