"""Disks of their own, for tests that fill them or make them read-only."""

import subprocess
from contextlib import contextmanager

import pytest


@contextmanager
def mounted(folder, size):
    """Mount an empty disk at a folder; skip the test if this user may not.

    Limits of a process, such as those of a file's size, cannot replace it: memory that is mapped to
    a file ends the process only on a disk that is full.

    Args:
        folder: An existing folder.
        size: The size, such as ``30m``.
    """
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
