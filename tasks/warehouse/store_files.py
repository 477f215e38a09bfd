"""Files on object stores, through fsspec, with a limit on how long a store may be silent."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from nl2sql_align.tasks.base.environment import read_seconds

SECONDS_VARIABLE: Final = "NL2SQL_ALIGN_STORE_SECONDS"
_SECONDS: Final = 60.0
_BYTES_PER_LIMIT: Final = 1 << 24

T = TypeVar("T")


def read_silence_limit() -> float:
    """Return how many seconds a store may be silent.

    Raises:
        ConfigurationError: The limit in the environment is not a number above 0.
    """
    return read_seconds(SECONDS_VARIABLE, _SECONDS)


class StoreFiles:
    """The files of a store, with the methods of its fsspec driver.

    A call raises ``TimeoutError`` if the store is silent for too long. Drivers have limits of their
    own, but not all of them, and some try again for minutes. A download may take longer while its
    local file grows; an upload gets the limit again for every 16 MB.

    Attributes:
        root: The place of the address in the driver's notation.
    """

    def __init__(self, address: str) -> None:
        """Open the store of an address.

        Raises:
            ConfigurationError: The limit in the environment is not a number above 0.
            TimeoutError: The store does not answer.
        """
        from fsspec.core import url_to_fs

        self._seconds = read_silence_limit()
        self._files, self.root = self._call(partial(url_to_fs, address))
        if hasattr(self._files, "auto_mkdir"):  # the drivers of local and similar file systems
            self._files.auto_mkdir = True

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a method of the driver, with the limit."""
        method = getattr(self._files, name)

        def call(*args: Any, **keys: Any) -> Any:
            return self._call(partial(method, *args, **keys))

        return call

    def get_file(self, remote: str, local: Path) -> None:
        """Download a file."""
        self._call(
            partial(self._files.get_file, remote, str(local)),
            lambda: local.stat().st_size if local.exists() else 0,
        )

    def put_file(self, local: Path, remote: str) -> None:
        """Upload a file."""
        n_limits = 1 + local.stat().st_size // _BYTES_PER_LIMIT
        self._call(partial(self._files.put_file, str(local), remote), n_limits=n_limits)

    def _call(
        self,
        function: Callable[[], T],
        measure: Callable[[], int] = lambda: 0,
        n_limits: int = 1,
    ) -> T:
        """Return the result of a function, unless it takes too long.

        Args:
            function: Calls the driver.
            measure: Measures the progress; the limit starts again when it changes.
            n_limits: How many times the limit the function may take.
        """
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(function())
            except BaseException as error:
                outcome.set_exception(error)

        # A thread that is left behind must not keep the program from ending.
        threading.Thread(target=work, daemon=True).start()
        limit = n_limits * self._seconds
        before, since = measure(), time.monotonic()
        while not outcome.done():
            try:
                outcome.exception(max(0.0, since + limit - time.monotonic()))
            except TimeoutError:
                now = measure()
                if now == before and not outcome.done():
                    raise TimeoutError(
                        f"it has been silent for {limit:g} s, the limit in {SECONDS_VARIABLE}"
                    ) from None
                before, since = now, time.monotonic()
        return outcome.result()
