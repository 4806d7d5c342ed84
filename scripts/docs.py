"""skipgrid docs: the generated pages of the documentation."""

from .console import wrote
from .extras import need
from .files import project, write
from .records import kept


def docs() -> None:
    """Write the generated pages, pictures and tables of the documentation.

    These are docs/registers.md, docs/router-registers.md, docs/soc-registers.md, docs/dataflow.svg, the timing diagrams in docs/waves, and
    the tables of docs/integrating.md. The diagrams and the table of cycles are what a simulation shows.
    """
    need("wavedrom")
    from skipgrid.reference.integrating import PAGE, with_sizes, with_throughput
    from skipgrid.reference.pages import made_pages
    from skipgrid.reference.waves import made_waves

    folder = project()
    made = {f"docs/{name}": text for name, text in made_pages().items()}
    made |= {f"docs/waves/{name}": text for name, text in made_waves().items()}
    page = (folder / PAGE).read_text(encoding="utf-8")
    made[str(PAGE)] = with_sizes(with_throughput(page), kept())
    for name, text in made.items():
        write(folder / name, text)
        wrote(folder / name)
