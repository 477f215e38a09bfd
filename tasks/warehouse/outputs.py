"""Files and folders that commands write for users, and which of their files they may replace.

A command replaces a file only if it has written it, as its content shows. It takes an empty file
for a new one.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from nl2sql_align.tasks.base.errors import ConfigurationError
from nl2sql_align.tasks.warehouse.addresses import expand_home, refuse_credentials
from nl2sql_align.tasks.warehouse.ownership import name_temporary

_MADE_BY: Final = "nl2sql-align"


def find_output(path: Path | str, kind: str, is_of_kind: Callable[[Path], bool]) -> Path:
    """Return the path of a file to write for a user.

    Args:
        path: The file as the user named it.
        kind: The kind of file that the command writes, with its article.
        is_of_kind: Whether an existing file is such a file, by its content.

    Raises:
        ConfigurationError: The folder does not exist, the path may contain credentials, or it leads
            to a file of another kind.
    """
    found = find_output_folder(path)
    if not found.parent.is_dir():
        raise ConfigurationError(
            f"{path}: the folder {found.parent} does not exist; create it, or choose another file"
        )
    if _holds_something(found) and not (found.is_file() and is_of_kind(found)):
        raise ConfigurationError(
            f"{path} exists and is not {kind}, so it is not replaced; choose another file, or move "
            "this one away"
        )
    return found


def find_output_folder(path: Path | str) -> Path:
    """Return the path of a folder to write for a user, which may not exist yet.

    Raises:
        ConfigurationError: The path may contain credentials.
    """
    refuse_credentials(path)
    return expand_home(path)


def refuse_dumps(files: Iterable[Path], dumps: Iterable[str]) -> None:
    """Check that files to write are not dumps that results were made from.

    Raises:
        ConfigurationError: One of them is such a dump.
    """
    known = {os.path.realpath(dump) for dump in dumps}
    for file in files:
        if os.path.realpath(file) in known:
            raise ConfigurationError(
                f"{file} is a dump that these results were made from, so it is not replaced; "
                "choose another place"
            )


@contextmanager
def replace_files(
    folder: Path,
    command: str,
    manifest: str,
    dumps: Iterable[str] = (),
    unlisted: Iterable[str] = (),
) -> Iterator[Path]:
    """Yield a temporary folder, and move the files that the block writes there into a folder.

    Files that an earlier call of the command has written there, and this call does not write, are
    removed. The block calls ``write_manifest`` last, which lists the files for the next call.

    Args:
        folder: The folder, which is created if it does not exist.
        command: The name of the command.
        manifest: The name of the manifest.
        dumps: The paths of dumps, which are never replaced.
        unlisted: The files of a manifest that lists none, as version 0.2.0 wrote.

    Raises:
        ConfigurationError: A file that is to be replaced was not written by the command.
        OSError: A file cannot be written.
    """
    is_new = not folder.exists()
    temporary = folder / name_temporary(command, uuid4().hex[:12])
    temporary.mkdir(parents=True)
    try:
        yield temporary
        written = {file.name for file in temporary.iterdir()}
        known = _list_own_files(folder / manifest, command, unlisted)
        refuse_dumps((folder / name for name in sorted(written | known)), dumps)
        for name in sorted(written - known):
            if _holds_something(folder / name):
                raise ConfigurationError(
                    f"{folder / name} exists and was not written by {command}, so it is not "
                    "replaced; choose another --out, or move this file away"
                )
        for name in known - written:
            (folder / name).unlink(missing_ok=True)
        # If the program is stopped, the manifest names all files that the next call may replace.
        for name in sorted(written, key=lambda name: name != manifest):
            (temporary / name).replace(folder / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # it has files
                folder.rmdir()


def write_manifest(
    temporary: Path, command: str, manifest: str, summary: Mapping[str, object]
) -> None:
    """Write a manifest that lists the files in the folder of ``replace_files``.

    Args:
        temporary: The folder.
        command: The name of the command.
        manifest: The name of the manifest.
        summary: The other content of the manifest.
    """
    names = {file.name for file in temporary.iterdir()} | {manifest}
    content = {**summary, "made_by": f"{_MADE_BY} {command}", "files": sorted(names)}
    text = json.dumps(content, indent=1, ensure_ascii=False, default=str)
    (temporary / manifest).write_text(text + "\n", encoding="utf-8")


def _list_own_files(manifest: Path, command: str, unlisted: Iterable[str]) -> set[str]:
    """Return the names of the files that an earlier call of a command has written."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    if not isinstance(content, dict):
        return set()
    if "made_by" not in content and {manifest.stem, "run_id", "versions"} <= content.keys():
        return {*unlisted}
    names = content.get("files")
    if content.get("made_by") != f"{_MADE_BY} {command}" or not isinstance(names, list):
        return set()
    return {name for name in names if isinstance(name, str) and name == Path(name).name}


def _holds_something(path: Path) -> bool:
    """Return whether a path leads to something else than an empty file."""
    return os.path.lexists(path) and not (path.is_file() and not path.stat().st_size)
