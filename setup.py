"""What pyproject.toml cannot say: the README as the package's page, on which links into the project need a host before them."""

import re
from pathlib import Path

from setuptools import setup

PROJECT = "https://github.com/skipgrid/skipgrid"  # as in pyproject.toml
LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#)(?P<target>[^)\s]+)\)")


def page(text: str) -> str:
    """A page of Markdown in which links and pictures are found from anywhere."""
    return LINK.sub(lambda found: f"{found['picture']}[{found['text']}]({PROJECT}/{_kind(found)}/main/{found['target']})", text)


def _kind(found: re.Match[str]) -> str:
    return "raw" if found["picture"] else "blob"


if __name__ == "__main__":
    setup(
        long_description=page((Path(__file__).parent / "README.md").read_text(encoding="utf-8")),
        long_description_content_type="text/markdown",
    )
