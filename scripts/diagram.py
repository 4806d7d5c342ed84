"""The picture of the data's way, as SVG."""

from dataclasses import dataclass

WIDTH, HEIGHT = 1080, 470
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
    Box(190, 30, 620, 56, "control", "program of layer descriptors", ("the sequencer runs one after another from a single start",)),
    Box(30, 30, 130, 56, "control", "registers", ("AXI4-Lite, counters",)),
    Box(60, 140, 120, 70, "stream", "decoder", ("words → tokens",)),
    Box(220, 130, 170, 90, "memory", "activation buffers", ("two tensors; nonzeros", "as CSR by pixel")),
    Box(430, 140, 130, 70, "compute", "window walkers", ("one range of entries", "a window row")),
    Box(
        600,
        120,
        210,
        110,
        "compute",
        "PE grid",
        ("rows × lanes multiply-adds;", "one nonzero a row and cycle,", "broadcast to all its lanes"),
    ),
    Box(600, 270, 210, 56, "memory", "weight memories", ("int8, one for two rows",)),
    Box(860, 140, 160, 70, "compute", "drain", ("survivors only, in order",)),
    Box(860, 270, 160, 70, "compute", "requantiser", ("bias, scale, clamp, θ", "as ONNX Runtime rounds")),
    Box(590, 380, 220, 56, "stream", "token builder", ("counts the zeros between",)),
    Box(60, 380, 120, 56, "stream", "encoder", ("tokens → words",)),
)

# Arrows as corner points; the label and where it stands.
ARROWS: tuple[tuple[tuple[tuple[int, int], ...], str, tuple[int, int]], ...] = (
    (((6, 175), (60, 175)), "s_axis_in", (30, 128)),
    (((180, 175), (220, 175)), "", (0, 0)),
    (((390, 175), (430, 175)), "", (0, 0)),
    (((560, 175), (600, 175)), "", (0, 0)),
    (((705, 270), (705, 230)), "", (0, 0)),
    (((810, 175), (860, 175)), "", (0, 0)),
    (((940, 210), (940, 270)), "", (0, 0)),
    (((940, 340), (940, 408), (810, 408)), "", (0, 0)),
    (((590, 408), (180, 408)), "the last layer's output", (450, 427)),
    (((60, 408), (6, 408)), "m_axis_out", (30, 368)),
    (((305, 408), (305, 220)), "the next layer's input", (398, 320)),
    (((470, 298), (600, 298)), "s_axis_load", (520, 290)),
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
