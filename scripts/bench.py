"""skipgrid bench: measure cycles against their limit; each of its commands has a file of its own."""

import typer

from .bench_boards import boards
from .bench_density import density
from .bench_experts import experts
from .bench_layers import layers
from .bench_router import router
from .bench_topk import topk
from .bench_winners import winners

bench = typer.Typer(no_args_is_help=True, help="Measure cycles against their limit.", rich_markup_mode="markdown")


@bench.callback()
def _bench() -> None:
    pass


for command in (layers, density, topk, router, winners, boards, experts):
    bench.command()(command)
