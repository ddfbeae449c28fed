"""Commands beside the pass work on what passes made: the same scene."""

from __future__ import annotations

from tests.passes import conftest as passes
from tests.passes import test_mail

proxy = passes.proxy
azcopy_calls = passes.azcopy_calls
scene = passes.scene
postbox = test_mail.postbox
