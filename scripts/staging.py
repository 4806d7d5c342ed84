"""Folders that get all of their files at once, or none."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from .files import BadOption


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A place for files on their way into a folder, which is made if it is missing; they move there at the end, over older ones.

    BadOption, before there is anything to do, if the folder cannot be written. After an error it is as it was.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    place = None
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = Path(mkdtemp(prefix=".skipgrid-", dir=folder))
        except OSError as error:
            raise BadOption(f"{folder} cannot be written ({error.strerror}); choose another folder with --output") from None
        yield place
        files = sorted(place.iterdir())
        for file in files:
            if (folder / file.name).is_dir():
                raise BadOption(f"{folder / file.name} is a folder where a file is to be written; choose another folder with --output")
        for file in files:
            file.replace(folder / file.name)
    finally:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        for path in missing:
            with suppress(OSError):  # what holds files now stays
                path.rmdir()
