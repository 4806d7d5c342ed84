"""Where compiled simulations are kept between runs: found whole or not at all, and the oldest give way to new ones."""

import atexit
import hashlib
import os
import pwd
import shutil
import tempfile
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path

VARIABLE = "SKIPGRID_CACHE"
LIMIT = 1 << 30  # bytes of all libraries together; one takes 1 to 10 million
ABANDONED = 24 * 3600  # seconds after which a file that was never finished belongs to nobody
ENDING, UNFINISHED = ".so", ".new"
CHECKSUM = hashlib.sha256().digest_size


class CacheWarning(UserWarning):
    """A compiled simulation cannot be kept; it is used all the same."""


def cache_folder() -> Path:
    """Where compiled simulations are kept: SKIPGRID_CACHE, or skipgrid in the user's cache folder; absolute.

    Empty variables count as unset. A user without a home has a folder that is gone at the end of the program.
    """
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute()
    if (caches := os.environ.get("XDG_CACHE_HOME", "")) and Path(caches).is_absolute():  # others are to be ignored, says its standard
        return Path(caches) / "skipgrid"
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return _passing_folder()
    return Path(home, ".cache", "skipgrid").absolute()


def find(name: str) -> Path | None:
    """The library of that name if it is kept and whole: one that is damaged would end the program that loads it."""
    library = cache_folder() / f"{name}{ENDING}"
    try:
        content = library.read_bytes()
        if content[-CHECKSUM:] != _checksum(content[:-CHECKSUM]):
            return None
    except OSError:
        return None
    with suppress(OSError):
        os.utime(library)  # used just now, so it goes last
    return library


def keep(name: str, made: Path) -> Path:
    """Keep a library that was made, and return its place; that is a passing one where the cache cannot be written, which is told."""
    content = made.read_bytes()
    content += _checksum(content)  # the loader does not mind what follows a library
    try:
        library = _put(cache_folder(), name, content)
    except OSError as error:
        warnings.warn(
            f"the cache {cache_folder()} cannot be written ({error.strerror}), so the simulation is not kept for later runs;"
            f" set {VARIABLE} to a folder that can be",
            CacheWarning,
            stacklevel=2,
        )
        return _put(_passing_folder(), name, content)
    _make_room(library)
    return library


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file at once, so that another process never sees half of it, and nothing stays of one that does not fit."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=f"{name}.", suffix=UNFINISHED, delete=False) as staged:
        path = Path(staged.name)
        try:
            staged.write(content)
            staged.flush()
            return path.replace(folder / f"{name}{ENDING}")
        except BaseException:
            path.unlink()
            raise


def _make_room(newest: Path) -> None:
    """Remove what was used longest ago until the rest keeps to the limit, and what was never finished."""
    with suppress(OSError):  # another process may do the same
        for path in newest.parent.glob(f"*{UNFINISHED}"):
            if path.stat().st_mtime < time.time() - ABANDONED:
                path.unlink(missing_ok=True)
        room = LIMIT
        for path in sorted(newest.parent.glob(f"*{ENDING}"), key=lambda path: (path != newest, -path.stat().st_mtime)):
            room -= path.stat().st_size
            if room < 0 and path != newest:
                path.unlink(missing_ok=True)


@cache
def _passing_folder() -> Path:
    """A folder that is gone at the end of the program."""
    folder = Path(tempfile.mkdtemp(prefix="skipgrid-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
