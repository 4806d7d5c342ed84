"""skipgrid docs: the generated pages of the documentation."""

from .console import wrote
from .files import project, write


def docs() -> None:
    """Write the generated pages: docs/registers.md, docs/router-registers.md, docs/soc-registers.md, and the picture docs/dataflow.svg."""
    from skipgrid.reference.pages import made_pages

    folder = project() / "docs"
    for name, text in made_pages().items():
        write(folder / name, text)
        wrote(folder / name)
