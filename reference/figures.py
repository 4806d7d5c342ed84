"""The tables of kept figures: those of the README, docs/topk.md and docs/experts.md, between their marks."""

from pathlib import Path
from statistics import geometric_mean
from typing import Any

from skipgrid.rtl.config import PRESETS

from .marks import between

PAGE = Path("docs/topk.md")
EXPERTS_PAGE = Path("docs/experts.md")
MODEL, DATA = Path("models/lenet5.onnx"), Path("models/digits.npz")
COMMAND = "make figures"  # writes the tables
BOARDS, CYCLES, COST = "boards", "topk", "units-ecp5"  # names of the kept records
WINNERS, EXPERTS = "winners", "experts"  # begin the names of the records, which a preset's ends
NETWORKS_ON = ("1x8", "4x32")  # the presets of both


def with_readme_tables(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The README's text with the tables of these records between their marks; ValueError if a mark is missing."""
    text = between(text, "figures", COMMAND, _presets(records), "README.md")
    return between(text, "speed", COMMAND, boards_table(records[BOARDS]["report"]["boards"]), "README.md")


def _presets(records: dict[str, dict[str, Any]]) -> str:
    kinds = ("", "-clustered", "-weights80", "-weights90")
    names = [name for name in PRESETS if {f"digits-{name}", *(f"layers-{name}{kind}" for kind in kinds)} <= set(records)]
    if not names:
        raise ValueError("docs/figures holds no figures to write a table from; type: make figures")
    digits = [records[f"digits-{name}"]["report"] for name in names]
    layers, clustered, fewer, fewest = ([records[f"layers-{name}{kind}"]["report"] for name in names] for kind in kinds)
    every = [layer for report in (*layers, *clustered, *fewer, *fewest) for layer in report["layers"]]
    exact = all(layer["bit_exact"] for layer in every) and all(r["bit_exact_golden"] and r["bit_exact_onnxruntime"] for r in digits)
    code = max(layer["stream_bits"] / layer["entropy_bits"] for report in layers for layer in report["layers"])
    rows = [
        ("", *(f"`{name}`" for name in names)),
        ("multipliers", *(PRESETS[name].pes for name in names)),
        ("**LeNet-5, cycles a digit**", *(f"{r['cycles_per_image']:,.0f}" for r in digits)),
        ("a dense grid of the same size, always busy", *(f"{r['dense_cycles_per_image']:,}" for r in digits)),
        ("**13 layers, utilisation**, geometric mean", *(f"{r['geomean_utilisation']:.1%}" for r in layers)),
        ("lowest of the 13", *(f"{min(layer['utilisation'] for layer in r['layers']):.1%}" for r in layers)),
        ("geometric mean, zeros lying together", *(f"{r['geomean_utilisation']:.1%}" for r in clustered)),
        ("**13 layers, speed-up** over a dense grid, mean", *(f"{r['mean_speedup']:.1f}" for r in layers)),
        ("**80% of the weights zero**: so many times as fast, geometric mean", *map(_times_as_fast, layers, fewer)),
        ("90% of the weights zero", *map(_times_as_fast, layers, fewest)),
        ("bits of a nonzero weight, with its lists, 80% and 90%", *map(_weight_bits, fewer, fewest)),
    ]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * len(names))
    correct, images = digits[0]["correct"], digits[0]["images"]
    verdict = "Every output equals the golden model's bit for bit" if exact else "**Some outputs differ from the golden model's**"
    note = (
        f"{verdict}, on {images:,} digits ONNX Runtime's too; {correct:,} of these are recognised rightly. On the 13 layers the run-length"
        f" code takes at most {code:.3f} times the entropy of independent zeros. The commands are `skipgrid run {MODEL} {DATA} --preset P`"
        " and `skipgrid bench layers --preset P [--clustered] [--weights 0.8]`; what they gave is kept in [docs/figures](docs/figures)."
    )
    return "\n".join([*lines, "", note])


def _times_as_fast(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The geometric mean, over the same layers, of how many times as fast they are."""
    times = [long["cycles"] / short["cycles"] for long, short in zip(before["layers"], after["layers"], strict=True)]
    return f"{geometric_mean(times):.2f}"


def _weight_bits(*reports: dict[str, Any]) -> str:
    return ", ".join(f"{report['mean_weight_bits']:.1f}" for report in reports)


def with_topk_tables(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The text of docs/topk.md with the tables of these records between their marks; ValueError if a mark is missing."""
    tables = {
        CYCLES: _cycles(records[CYCLES]["report"]["units"]),
        COST: _cost(records[COST]["report"]["units"]),
        WINNERS: _winners([records[f"{WINNERS}-{name}"]["report"] for name in NETWORKS_ON]),
    }
    for name, made in tables.items():
        text = between(text, name, COMMAND, made, str(PAGE))
    return text


def with_experts_table(text: str, records: dict[str, dict[str, Any]]) -> str:
    """The same for docs/experts.md."""
    made = _experts([records[f"{EXPERTS}-{name}"]["report"] for name in NETWORKS_ON])
    return between(text, EXPERTS, COMMAND, made, str(EXPERTS_PAGE))


def boards_table(boards: list[dict[str, Any]]) -> str:
    """LeNet-5 on the boards, for the README."""
    heads = (
        "board",
        "clock, MHz",
        "starts a digit",
        "cycles",
        "a dense grid's",
        "digits a second",
        "with its link, cycles",
        "digits a second",
    )
    lines = ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    fields = ("starts_per_image", "cycles_per_image", "dense_cycles_per_image", "images_per_second")
    linked = ("link_cycles_per_image", "link_images_per_second")
    for each in boards:
        cells = (f"{each[name]:,.0f}" for name in (*fields, *linked))
        lines.append("| " + " | ".join((f"`{each['board']}`", f"{each['clock_mhz']:g}", *cells)) + " |")
    return "\n".join(lines)


def _cycles(units: list[dict[str, Any]]) -> str:
    lines = ["| unit | k | n | first to last element | last element to last winner | exact |", "| --- | ---: | ---: | ---: | ---: | --- |"]
    for each in units:
        numbers = " | ".join(f"{each[key]:,}" for key in ("k", "n", "input_cycles", "cycles"))
        lines.append(f"| `{each['unit']}` | {numbers} | {'yes' if each['bit_exact'] else '**no**'} |")
    return "\n".join(lines)


def _cost(units: list[dict[str, Any]]) -> str:
    lines = ["| unit | settings | LUT4 | flip-flops | multipliers | block RAMs | clock, MHz |", "| --- | --- |" + " ---: |" * 5]
    for each in units:
        settings = ", ".join(f"{key}={value}" for key, value in each["settings"].items())
        cells = (each["lut"], each["ff"] - each["ring_ff"], each["dsp"], each["bram"])
        lines.append(f"| `{each['unit']}` | {settings} | {' | '.join(f'{cell:,}' for cell in cells)} | {each['fmax_mhz']:.0f} |")
    return "\n".join(lines)


def _winners(reports: list[dict[str, Any]]) -> str:
    heads = [f"cycles a digit, of these for choosing, `{report['preset']}`" for report in reports]
    lines = [
        f"| winners | recognised | bits a digit | {' | '.join(heads)} | exact |",
        f"| --- | ---: | ---: |{' ---: |' * len(heads)} --- |",
    ]
    for points in zip(*([report["plain"], *report["shares"]] for report in reports), strict=True):
        share = points[0]["share"]
        cells = [
            f"{points[0]['accuracy']:.1%}",
            f"{points[0]['bits_per_image']:,.0f}",
            *(f"{each['cycles_per_image']:,.0f}, {each['choosing_cycles_per_image']:,.0f}" for each in points),
        ]
        exact = "yes" if all(each["bit_exact"] for each in points) else "**no**"
        lines.append(f"| {'none chosen' if share is None else f'{share:.0%}'} | {' | '.join(cells)} | {exact} |")
    return "\n".join(lines)


def _experts(reports: list[dict[str, Any]]) -> str:
    first = reports[0]
    few, all_experts = f"{first['chosen']} of {first['experts']} experts", "all experts"
    part = f"{first['chosen']}/{first['experts']}"
    heads = [f"`{report['preset']}`, {whose}" for report in reports for whose in (few, all_experts)]

    def shown(*names: str, form: str = ",.0f") -> list[str]:
        return [f"{report[name]:{form}}" for report in reports for name in names]

    both, over, fixed = list[str](), list[str](), list[str]()
    for report in reports:
        both += [f"{cycles:,.0f}" for cycles in (report["cycles"], report["gate_cycles_all_experts"] + report["all_experts_cycles"])]
        over += [f"{report['cycles'] / report['bound_cycles']:.3f}", ""]
        # What is left behind the gate with no expert, on the straight line through both numbers of experts.
        chosen, everyone = report["chosen"], report["experts"]
        at_none = everyone * (report["cycles"] - report["gate_cycles"]) - chosen * report["all_experts_cycles"]
        fixed += [f"{at_none / (everyone - chosen):,.0f}", ""]
    rows = (
        ("recognised", shown("accuracy", "accuracy_all_experts", form=".1%")),
        ("cycles of gate and router", shown("gate_cycles", "gate_cycles_all_experts")),
        ("cycles of gate, router and experts", both),
        ("of these, to begin, to end and to pass over experts", fixed),
        (f"all of these, over the gate's and {part} of all experts'", over),
        ("cycles of the network, with its convolutions", shown("cycles_per_image", "cycles_per_image_all_experts")),
    )
    lines = [f"| {first['images']:,} digits, mean | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    loads = ", ".join(f"{load:,}" for load in first["load"])
    exact = "Every output, and what the router counted, equals" if all(r["bit_exact"] for r in reports) else "**Some outputs differ from**"
    return "\n".join([*lines, "", f"The experts got {loads} digits. {exact} the golden model's."])
