"""The reference as Markdown tables: ports, registers, descriptor, load packets and errors, made from the hardware's own definitions."""

from collections.abc import Iterable

from amaranth.lib import wiring

from skipgrid.host.device import REASONS
from skipgrid.rtl.config import Config
from skipgrid.rtl.experts import router_map
from skipgrid.rtl.layouts import Descriptor, Error
from skipgrid.rtl.register_map import LAYERS, REGISTERS, ROUTER_BASE, Register

from .description import accelerator_ports, describe, layout, unit_ports

ROUTER = "The expert router's registers follow from `{base:#05x}` on; to each of these addresses, add that:"

REGISTER_RULES = """\
All are 32 bits wide. An access to another address, of the wrong kind, or a write of fewer than four bytes is answered with SLVERR and
changes nothing. Where the value after a reset is not always the same, its place has a dash."""

INTERRUPTS = """\
`irq` is a level: 1 while `STATUS.done` or `STATUS.error` is set, each where `INTERRUPT_ENABLE` has its bit, and `STATUS.busy` is 0. Not
more than one of the two is set. Reading clears nothing. A start or a clear written to `CONTROL` clears both, and when that write is
answered `irq` has fallen, if only for a cycle, so that every further event is an edge too. A handler

1. reads `STATUS`;
2. if `error` is set, reads `ERROR`: a run's names the descriptor, and after one of the load port the packet has to be sent again;
3. reads the counters, if they are wanted: they stay until the next start;
4. writes `CONTROL`, with start for the next run or with clear.

Nothing is lost if load packets are sent behind step 4, and `STATUS` is read when their last word is taken, before the next start: an
error of the load port between steps 1 and 4 would be cleared unread. It takes the place of a `done` that nobody has cleared; then there
is one interrupt for both. A run that is stopped ends with the error `STOPPED`, or with `done` if it was at its end; either way there is
an interrupt.
"""

FIELDS = {
    "opcode": (
        "LOAD stores an input tensor, LAYER computes, GATE computes scores for the router,"
        " EXPERTS computes what the chosen experts give; numbers in params.json"
    ),
    "winners_of": "1 (TENSOR) or 2 (PIXEL): of these outputs, only the k largest keep their values; 0: all do; not of LOAD and GATE",
    "from_stream": "the input comes from the stream, and is walked while it is loaded",
    "to_stream": "the output goes to the stream, otherwise into the other buffer; a GATE's goes to the router",
    "buffer": "of the input: 0 or 1; inverted by the sequencer for each layer before whose winners went back to the buffer of its input",
    "final": "the program ends here",
    "k_in": "the code's parameter of the input stream",
    "k_out": "the code's parameter of the output stream",
    "magnitude": "the largest |value| win, instead of the largest value",
    "positive_max": "coded bytes above it stand for negative activations: byte − 256",
    "low": "the lower clamp, as y − zero point",
    "high": "the upper clamp, as y − zero point",
    "threshold": "outputs whose |y − zero point| is below it become 0",
    "elements": "H · W · C",
    "C": "input channels",
    "H": "input rows",
    "W": "input columns",
    "out_rows": "rows of the stored output, after pooling",
    "out_columns": "columns of the stored output, after pooling",
    "K": "output channels",
    "R": "filter rows",
    "S": "filter columns",
    "first_y": "the row in which the first window begins: the rows of padding above, negative",
    "first_x": "the column in which it begins: the columns of padding at the left, negative",
    "stride_rows": "the convolution's stride in rows",
    "stride_columns": "the convolution's stride in columns",
    "pool_rows": "rows of the max pooling's window; 1 for none",
    "pool_columns": "columns of the max pooling's window; 1 for none",
    "unit_stride_rows": "stride of the pooling times that of the convolution, in rows",
    "unit_stride_columns": "the same in columns",
    "span_rows": "input rows that one stored output needs: (pool_rows − 1) · stride_rows + R",
    "lead": "entries before the end of a unit of work at which a row takes its next one, which changes times, not results; a good one is"
    " 2 · (R · pool_rows · pool_columns + 7), with 11 in place of 7 where `spread` is chosen",
    "stride_pixels": "stride_rows · W",
    "unit_stride_pixels": "unit_stride_rows · W",
    "first_pixel": "first_y · W",
    "filter_row_weights": "S · C",
    "group_weights": "R · S · C",
    "stride_weights": "−stride_columns · C",
    "unit_stride_weights": "−unit_stride_columns · C",
    "first_weight": "the address of the layer's first weights − first_x · C",
    "weights_end": "the address behind the layer's last weights",
    "channels_base": "the first channel of the layer; a multiple of lanes",
    "groups": "groups of lanes: K / lanes, rounded up",
    "last_lanes": "lanes that the last group uses",
    "winners": "k: elements of the tensor, or channels of each pixel, that keep their values; this word and the next one are taken only"
    " where winners are built",
    "row_elements": "of a tensor's winners: out_columns · K",
    "period": "of a tensor's winners: they are chosen in every so many tensors, and a threshold is kept in between; 1 for none, not 0",
    "expert_groups": "EXPERTS: groups of each; this word and the next one are taken only where experts are built",
    "expert_weights": "EXPERTS: expert_groups · group_weights",
    "experts": "EXPERTS: how many; expert_groups times as many groups",
}


def _table(*rows: tuple[object, ...]) -> str:
    """A Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    return "\n".join(lines)


def ports(config: Config) -> str:
    """All ports of a configuration's module, as the Verilog declares them."""
    rows: list[tuple[object, ...]] = [("port", "direction", "bits", "meaning")]
    described: set[str] = set()
    for port in accelerator_ports(config):
        meaning = "" if port["interface"] in described else port["meaning"]
        described.add(port["interface"])
        rows.append((f"`{port['name']}`", port["direction"], port["width"], meaning))
    return _table(*rows)


def unit_ports_table(unit: wiring.Component) -> str:
    """All ports of a unit that is of use by itself, with the fields of its words."""
    rows: list[tuple[object, ...]] = [("port", "direction", "bits", "fields")]
    rows += [(f"`{name}`", "input", 1, "") for name in ("clk", "rst")]
    for port in unit_ports(unit):
        fields = []
        for field in port["fields"]:
            low, high = field["low"], field["low"] + field["width"] - 1
            sign = " (signed)" if field["signed"] else ""
            fields.append(f"{high}…{low} {field['name']}{sign}" if high > low else f"{low} {field['name']}")
        rows.append((f"`{port['name']}`", port["direction"], port["width"], ", ".join(fields)))
    return _table(*rows)


def registers(config: Config) -> str:
    """The register map of a configuration, with the fields of each register below it; then the router's, where experts are built."""
    own = _registers(REGISTERS.values(), [LAYERS])
    return f"{own}\n\n{ROUTER.format(base=ROUTER_BASE)}\n\n{router_registers()}" if config.experts else own


def router_registers() -> str:
    """The same of the expert router."""
    return _registers(router_map.REGISTERS.values(), router_map.ARRAYS.values())


def _registers(single: Iterable[Register], arrays: Iterable[Register]) -> str:
    rows: list[tuple[object, ...]] = [("address", "register", "access", "bits", "after reset", "meaning")]
    for register in single:
        rows.append(_register(register, f"`{register.address:#05x}`"))
        for name, low, width, meaning in register.fields:
            bits = f"{low + width - 1}…{low}" if width > 1 else str(low)
            rows.append(("", f"· `{name}`", "", bits, "", meaning))
    rows += [_register(array, f"`{array.address:#05x}` + 4 n") for array in arrays]
    return _table(*rows)


def _register(register: Register, address: str) -> tuple[object, ...]:
    reset = "–" if register.reset is None else f"`{register.reset:#x}`"
    return address, f"`{register.name}`", register.access.value, "31…0", reset, register.meaning


def descriptor() -> str:
    """The fields of a layer descriptor."""
    rows: list[tuple[object, ...]] = [("word", "bits", "field", "meaning")]
    for field in layout(Descriptor):
        low, width = field["low"], field["width"]
        bits = f"{low + width - 1}…{low}" if width > 1 else str(low)
        reserved = field["name"].startswith("reserved")
        meaning = "0" if reserved else FIELDS[field["name"]] + (", signed" if field["signed"] else "")
        rows.append((field["word"], bits, "reserved" if reserved else f"`{field['name']}`", meaning))
    return _table(*rows)


def load_packets(config: Config) -> str:
    """The targets of the load port."""
    rows: list[tuple[object, ...]] = [("target", "number", "addresses", "words an address", "an address holds")]
    for name, target in describe(config)["load"]["targets"].items():
        rows.append((f"`{name}`", target["target"], f"{target['addresses']:,}", target["words_an_address"], target["holds"]))
    return _table(*rows)


def errors() -> str:
    """The error codes."""
    rows: list[tuple[object, ...]] = [("code", "name", "what it says")]
    rows += [(error.value, f"`{error.name}`", REASONS[error]) for error in Error if error in REASONS]
    return _table(*rows)
