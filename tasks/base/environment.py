"""Settings in environment variables: of this program, its processes, and numerical libraries."""

import os
import re
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final, NoReturn

import nl2sql_align
from nl2sql_align.tasks.base.errors import ConfigurationError

THREADS_VARIABLE: Final = "NL2SQL_ALIGN_THREADS"
CACHE_VARIABLE: Final = "NL2SQL_ALIGN_CACHE"


def set_library_defaults(threads: int | None = None) -> None:
    """Set the variables of Polars, OpenBLAS and Arrow, unless the user has set them.

    The settings change speed and memory, never a result. A variable has no effect once its library
    is loaded, so programs call this first. Child processes inherit the variables.

    Args:
        threads: Threads of Polars; by default ``NL2SQL_ALIGN_THREADS``, else one per CPU.
    """
    text = os.environ.get(THREADS_VARIABLE, "") if threads is None else str(threads)
    if text.isdecimal() and int(text) > 0:
        os.environ.setdefault("POLARS_MAX_THREADS", text)
    # Idle threads of OpenBLAS spin, for a twentieth of a short run's time.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Arrow's own allocator zeroes pages of 2 MB in each thread, for columns of some kilobytes.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def hide_pandas() -> None:
    """Keep PyArrow from importing pandas in this process.

    PyArrow imports pandas with its first array, which takes over half a second. Only programs call
    this, since a user's process may need pandas.
    """
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas(MetaPathFinder, Loader):
    """Find pandas, but fail to import it: Polars looks it up even if it is not needed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == "pandas" else None

    def create_module(self, spec: ModuleSpec) -> NoReturn:
        raise ImportError(f"{spec.name} is not used here", name=spec.name)


def read_seconds(variable: str, default: float) -> float:
    """Return a time limit from an environment variable, in seconds.

    Raises:
        ConfigurationError: The variable is set to something other than a number above 0.
    """
    text = os.environ.get(variable, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or float(text) == 0:
        raise ConfigurationError(
            f"{text!r} is not a time limit; set {variable} to a number of seconds above 0"
        )
    return float(text)


def cache_folder() -> Path:
    """Return the folder for files of this program that any process can make again."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).absolute()
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches).absolute() / "nl2sql-align"


def list_module_folders() -> str:
    """Return the ``PYTHONPATH`` of a process that runs a module of this program."""
    folder = str(Path(str(nl2sql_align.__file__)).parents[1])
    return os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
