"""Blobs written behind the command's back, with the MD5 that a listing shows; also one that is not theirs."""

from __future__ import annotations

import base64
import hashlib
import urllib.parse

from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings

from tests.line import Request


def put(container: ContainerClient, name: str, content: bytes) -> str:
    """Its ETag."""
    md5 = bytearray(hashlib.md5(content, usedforsecurity=False).digest())
    answer = container.get_blob_client(name).upload_blob(
        content, overwrite=True, content_settings=ContentSettings(content_md5=md5)
    )
    return str(answer["etag"]).strip('"')


def forge(container: ContainerClient, name: str, content: bytes, md5: bytes) -> str:
    """Its ETag. ``md5``: what the listing shows; the service compares nothing when blocks become a blob."""
    blob = container.get_blob_client(name)
    blob.stage_block("forged", content)
    answer = blob.commit_block_list(
        [BlobBlock("forged")], content_settings=ContentSettings(content_md5=bytearray(md5))
    )
    return str(answer["etag"]).strip('"')


def stage_over(container: ContainerClient, request: Request, content: bytes) -> None:
    """Another block under the ID that a Put Block had."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(request.raw).query)
    identity = base64.b64decode(query["blockid"][0]).decode()
    container.get_blob_client(request.blob).stage_block(identity, content)


def digest_of(container: ContainerClient, name: str) -> bytes:
    """The MD5 that a listing shows."""
    return bytes(container.get_blob_client(name).get_blob_properties().content_settings.content_md5 or b"")
