"""Python imports this by itself where the folder is on PYTHONPATH: in the processes that tests start."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types

_STORY = "sync_to_azure.transfer.one_pass"


class _AfterLoading(importlib.abc.MetaPathFinder):
    """Wraps the steps once the module that tells their story was imported, and not before."""

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _STORY:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def and_wrap(module: types.ModuleType) -> None:
            load(module)
            from tests.recording import recorder

            recorder.install()

        spec.loader.exec_module = and_wrap  # type: ignore[method-assign]
        return spec


if "RECORD_STEPS" in os.environ:
    sys.meta_path.insert(0, _AfterLoading())
