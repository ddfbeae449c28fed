"""The least rights: a proxy works out which Azure action each call needs, and refuses what the role lacks."""

from __future__ import annotations

import collections.abc
import hashlib
import http.client
import pathlib
import re
import urllib.parse

import pytest
from azure.storage.blob import ContainerClient

from embedded.azurite import Azurite
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene, write

PAGE = (pathlib.Path(__file__).parents[3] / "docs" / "security.md").read_text("utf-8")
ACTION = "Microsoft.Storage/storageAccounts/blobServices/containers/"
ROLE = {
    action.removeprefix(ACTION) for action in re.findall(r'^    "(Microsoft[^"]+)"', PAGE, flags=re.MULTILINE)
}
READ, WRITE, ADD = "blobs/read", "blobs/write", "blobs/add/action"


def needed(method: str, target: str, is_there: collections.abc.Callable[[str], bool]) -> set[str]:
    """The actions of which one is enough, by Microsoft's table of permissions for blob service operations."""
    parts = urllib.parse.urlsplit(target)
    query = dict(urllib.parse.parse_qsl(parts.query))
    _, _, _, *name = parts.path.split("/", 3)
    comp = query.get("comp")
    if not name:
        if method == "GET" and comp == "list":
            return {READ}
        return {f"containers of {method} {target}"}
    if method in ("GET", "HEAD") and comp in (None, "blocklist"):
        return {READ}
    if method == "PUT" and comp is None:
        return {WRITE} if is_there(parts.path) else {WRITE, ADD}
    if method == "PUT" and comp == "snapshot":
        return {WRITE, ADD}
    if method == "PUT" and comp in ("block", "blocklist"):
        return {WRITE}
    if method == "DELETE":
        return {"blobs/delete"}
    return {f"unknown: {method} {target}"}


class Rights(Proxy):
    """Answers 403 to what ``role`` does not allow, as the service does."""

    def __init__(self, azurite: Azurite, container: ContainerClient, role: set[str]) -> None:
        super().__init__(azurite.port)
        self.role = role
        self.container = container
        self.used: set[str] = set()
        self.refused: list[str] = []
        self.before = self._judge

    def _judge(self, method: str, path: str) -> int | None:
        found = needed(method, path, self._is_there)
        allowed = found & self.role
        if not allowed:
            self.refused.append(f"{method} {path} wants {sorted(found)}")
            return 403
        self.used |= found if len(found) == 1 else set()
        return None

    def _is_there(self, path: str) -> bool:
        name = path.split("/", 3)[3]
        return bool(self.container.get_blob_client(name).exists())


@pytest.fixture(params=["native", "azcopy"])
def carrying(scene: Scene, request: pytest.FixtureRequest) -> Scene:
    scene.config |= {"uploader": request.param, "retry-times": 1}
    return scene


def test_the_documented_role_is_enough_for_all_that_a_pass_does(carrying: Scene, azurite: Azurite) -> None:
    """Publish, with small files, blocks and names that no list holds; late files; a late sheet; healing; reading back;
    a thorough look; removing at the source. Nothing is refused, nothing else is used, nothing is deleted."""
    assert ROLE == {READ, WRITE, ADD}
    carrying.config["verify"] = "read-back"
    with Rights(azurite, carrying.container, ROLE) as proxy:
        carrying.through(proxy)
        large = bytes(9 * 1024 * 1024)
        run = carrying.make_run("R", {"new\nline.txt": "by the lake itself", "large.raw": large})
        carrying.run()
        assert carrying.is_published("R")
        write(run, {"Data/late.bcl": "late"})
        carrying.run("--thorough")
        sheets = carrying.sheets()
        (sheets / "R.csv").write_text("[Header]\n")
        carrying.run("--thorough")
        (sheets / "R.csv").write_text("[Header]\nreplaced, and the other kept as a snapshot\n")
        carrying.run()
        good = carrying.get("R/Data/late.bcl")
        carrying.put("R/Data/late.bcl", b"wrong bytes, of another hand")
        carrying.run("--thorough")
        assert carrying.get("R/Data/late.bcl") == good
        assert hashlib.md5(carrying.get("R/large.raw")).digest() == hashlib.md5(large).digest()
        carrying.expire_credentials()
        carrying.run("--remove-source")
        assert not run.exists()
    assert proxy.refused == [] and proxy.used <= ROLE and proxy.used >= {READ, WRITE}
    assert "DELETE" not in {method for method, _ in proxy.seen}


def test_a_role_that_cannot_overwrite_publishes_and_replaces_nothing(
    carrying: Scene, azurite: Azurite
) -> None:
    with Rights(azurite, carrying.container, {READ, ADD}) as proxy:
        carrying.through(proxy)
        run = carrying.make_run("R", {f"Data/{number}.bcl": f"{number}" for number in range(20)})
        carrying.run()
        assert carrying.is_published("R") and proxy.refused == []
        before = carrying.etags()
        # A late file is new, the manifest that should name it is not.
        write(run, {"Data/late.bcl": "late"})
        outcome = carrying.run("--thorough", expect=3)
        assert "refuses access" in outcome.stderr and proxy.refused
        after = carrying.etags()
        assert {name: after[name] for name in before} == before, "nothing that was there is replaced"
    # With the right to, the same goes through.
    carrying.config["blob-endpoint"] = azurite.endpoint
    carrying.run("--thorough")
    assert "Data/late.bcl" in {row["path"] for row in carrying.documents("R")[1]}


def test_check_is_content_with_a_role_that_cannot_delete(carrying: Scene, azurite: Azurite) -> None:
    carrying.make_run("R")
    with Rights(azurite, carrying.container, ROLE) as proxy:
        carrying.through(proxy)
        carrying.run("check")
    assert all(line.startswith("DELETE") for line in proxy.refused)


def test_the_proxy_would_see_a_deletion(azurite: Azurite, carrying: Scene) -> None:
    with Rights(azurite, carrying.container, ROLE) as proxy:
        line = http.client.HTTPConnection("127.0.0.1", int(urllib.parse.urlsplit(proxy.endpoint).port or 0))
        line.request("DELETE", f"/{Azurite.account}/{carrying.container.container_name}/x")
        assert line.getresponse().status == 403
        assert proxy.refused and "blobs/delete" in proxy.refused[0]
        line.close()
