"""The command `skipgrid`."""

import errno
import os
import sys
from typing import Annotated

import typer

from skipgrid import __version__

from .bench import bench
from .boards import boards
from .build import build
from .check import check
from .compile import compile_model
from .console import safe_streams
from .docs import docs
from .extras import missing
from .figures import figures
from .files import BadOption
from .flash import flash
from .fuzz import fuzz
from .generate import generate
from .info import info
from .interrupts import Interrupted, interruptible
from .operators import operators
from .plan import plan
from .presets import presets
from .prune import prune
from .quantise import quantise
from .run import run
from .simulate import simulate
from .soc import soc
from .synth import synth

BOARDS = "FPGA boards"
DEVELOPERS = "For developers, in a clone of the project"

app = typer.Typer(
    name="skipgrid",
    help="""A generator of neural-network accelerators that do no work for zeros.

    Activations travel run-length coded; a grid of rows × lanes processing elements multiplies only the nonzero ones.

    Three steps to see it work:

    1. `skipgrid presets` shows what can be built;

    2. `skipgrid generate --preset 4x32 -o out/4x32` writes its Verilog;

    3. `skipgrid run models/lenet5.onnx models/digits.npz --preset 4x32 --limit 20` runs digits on it, in simulation.
    """,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(presets)
app.command()(generate)
app.command()(quantise)
app.command()(prune)
app.command()(check)
app.command()(plan)
app.command()(run)
app.command("compile")(compile_model)
app.command()(soc)
app.add_typer(bench, name="bench")
app.command(rich_help_panel=BOARDS)(boards)
app.command(rich_help_panel=BOARDS)(build)
app.command(rich_help_panel=BOARDS)(flash)
app.command(rich_help_panel=BOARDS)(simulate)
app.command(rich_help_panel=BOARDS)(info)
app.command(rich_help_panel=BOARDS)(synth)
app.command(rich_help_panel=DEVELOPERS)(fuzz)
app.command(rich_help_panel=DEVELOPERS)(figures)
app.command(rich_help_panel=DEVELOPERS)(docs)
app.command(rich_help_panel=DEVELOPERS)(operators)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"skipgrid {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and end.")] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; what goes wrong becomes one sentence on the standard error.

    Exit codes: 0, done; 1, it could not be done; 2, the command line says what cannot be; 130 and 143, ended by a signal.
    """
    with safe_streams():
        try:
            with interruptible():
                _run(arguments)
        except Interrupted as end:
            sys.exit(_failure(str(end), end.code))
        except BadOption as error:
            sys.exit(_failure(str(error), 2))
        except OSError as error:
            sys.exit(_failure(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)))
        except ModuleNotFoundError as error:
            if (extra := missing(error)) is None:
                raise
            sys.exit(_failure(str(extra)))
        except (
            ValueError,
            TypeError,
            RuntimeError,
        ) as error:  # ModelError, DoesNotFit, DeviceError, BusError, LinkError and ToolError are among them
            sys.exit(_failure(str(error)))


def _run(arguments: list[str] | None) -> None:
    try:
        app(args=arguments, prog_name="skipgrid")
    finally:
        _flush()


def _flush() -> None:
    """Write what the standard output still holds; what cannot be written is told once, and not again when the program ends."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno != errno.EPIPE:  # whoever read it has read enough
            raise OSError(error.errno, error.strerror, "the standard output") from error


def _failure(sentence: str, code: int = 1) -> int:
    typer.secho("skipgrid: ", fg=typer.colors.RED, nl=False, err=True)
    typer.echo(" ".join(sentence.split()), err=True)
    return code


if __name__ == "__main__":
    main()
