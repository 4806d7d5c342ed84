"""The picture of the data's way, as SVG."""

from dataclasses import dataclass

WIDTH, HEIGHT = 1120, 464
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


BOXES = (
    Box(100, 24, 160, 60, "control", "registers", ("AXI4-Lite, with counters",)),
    Box(300, 24, 800, 60, "control", "sequencer", ("runs a program of layer descriptors, one after another, from a single start",)),
    Box(100, 140, 120, 70, "stream", "decoder", ("words → tokens",)),
    Box(260, 130, 170, 90, "memory", "activation buffers", ("two tensors: nonzeros", "as CSR by pixel")),
    Box(470, 130, 150, 90, "compute", "window walkers", ("one range of nonzeros", "for a window row")),
    Box(
        660,
        120,
        210,
        110,
        "compute",
        "PE grid",
        ("rows × lanes multiply-adds:", "one nonzero a row and cycle,", "broadcast to all its lanes"),
    ),
    Box(470, 272, 130, 60, "stream", "loader", ("between runs",)),
    Box(660, 272, 210, 60, "memory", "weight memories", ("int8, one for two rows",)),
    Box(920, 140, 180, 70, "compute", "drain", ("survivors only, in order",)),
    Box(920, 267, 180, 70, "compute", "requantiser", ("bias, scale, clamp, θ,", "as ONNX Runtime rounds")),
    Box(660, 380, 210, 60, "stream", "token builder", ("counts the zeros between",)),
    Box(100, 380, 120, 60, "stream", "encoder", ("tokens → words",)),
)

# Arrows as corner points; the label and where its middle stands.
ARROWS: tuple[tuple[tuple[tuple[int, int], ...], str, tuple[int, int]], ...] = (
    (((10, 54), (100, 54)), "s_axil", (52, 46)),
    (((260, 54), (300, 54)), "", (0, 0)),
    (((345, 84), (345, 130)), "", (0, 0)),
    (((545, 84), (545, 130)), "", (0, 0)),
    (((765, 84), (765, 120)), "", (0, 0)),
    (((1010, 84), (1010, 140)), "each layer's descriptor", (935, 114)),
    (((10, 175), (100, 175)), "s_axis_in", (52, 167)),
    (((220, 175), (260, 175)), "", (0, 0)),
    (((430, 175), (470, 175)), "", (0, 0)),
    (((620, 175), (660, 175)), "", (0, 0)),
    (((765, 272), (765, 230)), "", (0, 0)),
    (((870, 175), (920, 175)), "", (0, 0)),
    (((1010, 210), (1010, 267)), "", (0, 0)),
    (((1010, 337), (1010, 410), (870, 410)), "", (0, 0)),
    (((660, 410), (220, 410)), "the last layer's output", (500, 430)),
    (((345, 410), (345, 220)), "the next layer's input", (415, 360)),
    (((100, 410), (10, 410)), "m_axis_out", (52, 402)),
    (((10, 302), (470, 302)), "s_axis_load", (52, 294)),
    (((600, 302), (660, 302)), "", (0, 0)),
    (((535, 272), (535, 246), (640, 246), (640, 84)), "program", (668, 108)),
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
        f"polyline {{ fill: none; stroke: {LINE}; stroke-width: 2; marker-end: url(#tip); }}",
        "</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white" style="stroke: none"/>',
    ]
    for points, label, (x, y) in ARROWS:
        lines.append(f'<polyline points="{" ".join(f"{a},{b}" for a, b in points)}"/>')
        if label:
            lines.append(f'<text x="{x}" y="{y}" class="label">{label}</text>')
    lines += [box.draw() for box in BOXES]
    return "\n".join([*lines, "</svg>", ""])
