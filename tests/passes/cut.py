"""A pass that is killed just before one of its writes: the write does not come through."""

from __future__ import annotations

from tests.conftest import LONG
from tests.passes.proxy import Proxy
from tests.passes.scene import Scene


def killed_at(scene: Scene, proxy: Proxy, end: str) -> None:
    """``end``: of the name of the blob. The proxy is reset afterwards."""

    def kill(method: str, path: str) -> int | None:
        if method != "PUT" or not path.split("?")[0].endswith(end):
            return None
        process.kill()
        process.wait(LONG)
        return 503

    proxy.before = kill
    process = scene.start()
    process.wait(LONG)
    assert process.returncode == -9
    proxy.reset()
