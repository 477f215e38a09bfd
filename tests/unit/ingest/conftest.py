"""Binary dumps are read in the process of the tests: one of their own takes half a second each."""

import pytest

from nl2sql_align.tasks.ingest import dumps, format_recognition


@pytest.fixture(autouse=True)
def _no_child_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dumps, format_recognition):
        monkeypatch.setattr(module, "call_in_child", lambda function, *given: function(*given))
