"""The picture of the data's way, as SVG."""

from dataclasses import dataclass

WIDTH, HEIGHT = 1120, 516
INK, LINE, ACCENT = "#1f2933", "#52606d", "#2f6f8f"
FILLS = {"stream": "#e3f0f5", "memory": "#fbeecb", "compute": "#dcebdc", "control": "#ececf1"}


@dataclass(frozen=True)
class Box:
    """A block: upper left corner and size in pixels, a kind that gives its colour, a title, and lines of small text below it."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    title: str
    lines: tuple[str, ...] = ()

    def draw(self) -> str:
        """The block's elements."""
        middle = self.x + self.width // 2
        top = self.y + self.height // 2 - 8 * len(self.lines) + 5
        texts = [f'<text x="{middle}" y="{top}" class="title">{self.title}</text>']
        texts += [f'<text x="{middle}" y="{top + 17 * (n + 1)}" class="small">{line}</text>' for n, line in enumerate(self.lines)]
        shape = f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="8" fill="{FILLS[self.kind]}"/>'
        return "\n".join([shape, *texts])


# The stages, which are folders of rtl/: corners of a frame around their blocks, and where their name stands.
STAGES: tuple[tuple[str, tuple[tuple[int, int], ...], tuple[int, int]], ...] = (
    ("control", ((86, 6), (1110, 6), (1110, 112), (86, 112)), (1074, 104)),
    ("input", ((86, 148), (442, 148), (442, 276), (86, 276)), (108, 168)),
    ("grid", ((456, 148), (884, 148), (884, 396), (456, 396)), (476, 388)),
    ("output", ((900, 148), (1110, 148), (1110, 508), (86, 508), (86, 420), (900, 420)), (1078, 500)),
)

BOXES = (
    Box(100, 14, 160, 40, "control", "registers"),
    Box(100, 64, 160, 40, "control", "loader"),
    Box(300, 20, 800, 64, "control", "sequencer", ("runs a program of layer descriptors, one after another, from a single start",)),
    Box(100, 184, 120, 70, "stream", "decoder", ("words → tokens",)),
    Box(260, 174, 170, 90, "memory", "activation buffers", ("two tensors: nonzeros", "as CSR by pixel")),
    Box(470, 174, 150, 90, "compute", "window walkers", ("one range of nonzeros", "for a window row")),
    Box(
        660,
        164,
        210,
        110,
        "compute",
        "rows of PEs",
        ("rows × lanes multiply-adds:", "one nonzero a row and cycle,", "broadcast to all its lanes"),
    ),
    Box(660, 322, 210, 60, "memory", "weight memories", ("int8, one for two rows",)),
    Box(920, 184, 176, 70, "compute", "drain", ("survivors only, in order",)),
    Box(920, 317, 176, 70, "compute", "requantiser", ("bias, scale, clamp, θ,", "as ONNX Runtime rounds")),
    Box(660, 434, 210, 60, "stream", "token builder", ("counts the zeros between",)),
    Box(100, 434, 120, 60, "stream", "encoder", ("tokens → words",)),
)

# Arrows as corner points; the label and where its middle stands.
ARROWS: tuple[tuple[tuple[tuple[int, int], ...], str, tuple[int, int]], ...] = (
    (((10, 34), (100, 34)), "s_axil", (46, 26)),
    (((10, 84), (100, 84)), "s_axis_load", (46, 76)),
    (((260, 34), (300, 34)), "", (0, 0)),
    (((260, 74), (300, 74)), "", (0, 0)),
    (((345, 84), (345, 174)), "", (0, 0)),
    (((545, 84), (545, 174)), "", (0, 0)),
    (((765, 84), (765, 164)), "", (0, 0)),
    (((1008, 84), (1008, 184)), "each layer's descriptor", (935, 136)),
    (((260, 96), (280, 96), (280, 132), (640, 132), (640, 352), (660, 352)), "weights", (448, 126)),
    (((10, 219), (100, 219)), "s_axis_in", (46, 211)),
    (((220, 219), (260, 219)), "", (0, 0)),
    (((430, 219), (470, 219)), "", (0, 0)),
    (((620, 219), (660, 219)), "", (0, 0)),
    (((765, 322), (765, 274)), "", (0, 0)),
    (((870, 219), (920, 219)), "", (0, 0)),
    (((1008, 254), (1008, 317)), "", (0, 0)),
    (((1008, 387), (1008, 464), (870, 464)), "", (0, 0)),
    (((660, 464), (220, 464)), "the last layer's output", (500, 484)),
    (((345, 464), (345, 264)), "the next layer's input", (415, 340)),
    (((100, 464), (10, 464)), "m_axis_out", (46, 456)),
)


def dataflow() -> str:
    """The picture: blocks from the input words, over the grid, to the output words and back into the buffers."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">',
        "<title>The data's way through the accelerator</title>",
        "<style>",
        f"text {{ font-family: Helvetica, Arial, 'DejaVu Sans', sans-serif; fill: {INK}; text-anchor: middle; }}",
        ".title { font-size: 15px; font-weight: bold; }",
        ".small { font-size: 12px; }",
        f".label {{ font-size: 12px; fill: {ACCENT}; font-style: italic; }}",
        f"rect {{ stroke: {LINE}; stroke-width: 1.2; }}",
        f"polygon {{ fill: none; stroke: {LINE}; stroke-width: 1; stroke-dasharray: 5 4; }}",
        f".stage {{ font-size: 13px; font-weight: bold; fill: {LINE}; }}",
        f"polyline {{ fill: none; stroke: {LINE}; stroke-width: 2; marker-end: url(#tip); }}",
        "</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white" style="stroke: none"/>',
    ]
    for stage, corners, (x, y) in STAGES:
        lines.append(f'<polygon points="{" ".join(f"{a},{b}" for a, b in corners)}"/><text x="{x}" y="{y}" class="stage">{stage}</text>')
    for points, label, (x, y) in ARROWS:
        lines.append(f'<polyline points="{" ".join(f"{a},{b}" for a, b in points)}"/>')
        if label:
            lines.append(f'<text x="{x}" y="{y}" class="label">{label}</text>')
    lines += [box.draw() for box in BOXES]
    return "\n".join([*lines, "</svg>", ""])
