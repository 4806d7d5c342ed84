"""The sequencer: programs of descriptors from any start to the final one, how long each fetch takes, and every error."""

from typing import Any

import cocotb

from skipgrid.host.compiler.descriptors import load_descriptor
from skipgrid.rtl.config import Config
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, SLOT_WORDS, Descriptor, layer_layout
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import Opcode, WinnersOf
from streams import Bench, Packing, config, narrow_layer

WINNERS, PIXEL_WINNERS, EXPERTS = config().winners, config().pixel_winners, config().experts
POOLING, POOL_CHANNELS = config().pool_elements, config().pool_channels
SPARE = config().pool_word - 1  # elements that a pixel of a pooled row counts for besides its channels
FUNCTIONS = config().functions
SLOTS = config().slots
LISTS = {"lists": 1, "slots": SLOTS, "pool_rows": 1, "pool_columns": 1}
WORDS = 26 if EXPERTS else 24 if config().some_winners else 22 if SLOTS else 21 if POOLING else 20 if FUNCTIONS else 19
FETCH = (5 if config().spread else 4) + -(-WORDS // config().words_fetched)
OPCODES = {Opcode.LOAD, Opcode.LAYER, *([Opcode.GATE, Opcode.EXPERTS] if EXPERTS else [])}
UNKNOWN = [opcode for opcode in range(16) if opcode not in {known.value for known in OPCODES}]
CHOICES = [*([WinnersOf.TENSOR] if WINNERS else []), *([WinnersOf.PIXEL] if PIXEL_WINNERS else [])]
UNKNOWN_CHOICES = [choice for choice in range(1, 4) if choice not in {known.value for known in CHOICES}]
POOLS = {name: 1 for name, _ in layer_layout(config()) if name.startswith("merge") or name == "conv_columns"}
DESCRIPTOR = Packing(Descriptor)
DESCRIPTOR_FIELDS = DESCRIPTOR.fields or []


class SequencerBench(Bench):
    """A sequencer over a datapath that the bench plays."""

    @property
    def ended_how(self) -> tuple[int, int, int]:
        """busy, done, failed."""
        return self.get("busy"), self.get("done"), self.get("failed")

    async def begin(self) -> None:
        self.config = config()
        self.begun = self.record("layer_start", "number", "layer")
        self.aborts = self.record("layer_stop")
        self.ended: list[tuple[int, ...]] = []
        if WINNERS:
            self.ended = self.record("ended")
            self.watchers.append(self.ends_with_its_layer)
        self.set(settled=1, input_ready=1)
        await self.reset()

    def ends_with_its_layer(self) -> None:
        """Nothing ends but what is done."""
        assert self.get("layer_done") or not self.get("ended")

    async def load(self, descriptors: list[dict[str, Any]]) -> None:
        """Store a program from descriptor 0 on."""
        self.set(program_write=1)
        for slot, fields in enumerate(descriptors):
            bits = DESCRIPTOR.pack(fields)
            for word in range(DESCRIPTOR_WORDS):
                self.set(program_address=SLOT_WORDS * slot + word, program_data=bits >> 32 * word & 0xFFFFFFFF)
                await self.step()
        self.set(program_write=0)

    def good(self, *, final: bool) -> dict[str, Any]:
        """A descriptor without a fault, random where that is no fault."""
        C, H, W = (self.random.randint(1, 9) for _ in range(3))
        if self.random.random() < 0.3:
            bits = int.from_bytes(load_descriptor((C, H, W), buffer=1, k_in=3, final=final).tobytes(), "little")
            return dict(DESCRIPTOR.unpack(bits))
        groups, last_lanes = self.random.randint(1, 3), self.random.randint(1, self.config.lanes)
        opcode, experts = Opcode.LAYER, {}
        if EXPERTS and self.random.random() < 0.5:
            opcode = self.random.choice((Opcode.GATE, Opcode.EXPERTS))
            if opcode == Opcode.EXPERTS:
                last_lanes, experts = self.config.lanes, {"experts": groups, "expert_groups": 1, "expert_weights": 3}
        winners: dict[str, Any] = {}
        if CHOICES and opcode != Opcode.GATE and self.random.random() < 0.5:
            choice = self.random.choice(CHOICES)
            winners = {"winners_of": choice.value, "winners": self.random.randint(0, PIXEL_WINNERS or 9)}
            winners |= {"magnitude": self.random.getrandbits(1)}
            if choice == WinnersOf.TENSOR:
                winners["period"] = self.random.choice((1, 2, 32767))
        pools = {}
        if POOLING and self.random.random() < 0.5:
            pools = POOLS | {"conv_columns": self.random.randint(1, 9), "row_elements": self.random.randint(1, POOLING - 9 * SPARE - 1)}
        if FUNCTIONS and self.random.random() < 0.5:
            pools |= {"looked_up": 1, "table": self.random.randrange(FUNCTIONS), "positive_out": self.random.getrandbits(8)}
        sizes = ("out_rows", "out_columns", "R", "S", "pool_rows", "pool_columns", "stored_channels", "stored_rows", "stored_columns")
        lists = {}
        if SLOTS and opcode != Opcode.EXPERTS and self.random.random() < 0.5:
            lists = LISTS | {"slots": self.random.randint(1, SLOTS), "spare_lane": self.random.getrandbits(1)}
        spared = (groups - 1) * lists.get("spare_lane", 0)
        return (
            {
                "opcode": opcode.value,
                "from_stream": self.random.getrandbits(1),
                "to_stream": self.config.serial or self.random.getrandbits(1),
                "final": int(final),
                "elements": C * H * W,
                "C": C,
                "H": H,
                "W": W,
                "K": (groups - 1) * self.config.lanes + last_lanes - spared,
                "groups": groups,
                "last_lanes": last_lanes,
                "end_lanes": self.random.randint(1, last_lanes),
                "channels_base": self.config.lanes * self.random.randint(0, 3),
                "low": -self.random.randrange(256),
            }
            | {name: self.random.randint(1, 9) for name in sizes}
            | experts
            | winners
            | pools
            | lists
        )

    async def start(self, program: int = 0) -> None:
        """Start at a descriptor, at once or when it has been fetched."""
        self.begun.clear()
        self.aborts.clear()
        self.set(program=program)
        await self.pulse(refetch=1)
        await self.step(self.random.choice((0, 3, 30)))
        await self.pulse(start=1)

    async def fails(self, descriptors: list[dict[str, Any]], error: Error, layer: int, program: int = 0) -> None:
        """A program whose layers end at once fails in this descriptor."""
        await self.load(descriptors)
        await self.start(program)
        for _ in range(FETCH * (len(descriptors) + 2)):
            self.set(layer_done=len(self.begun) > 0)
            await self.step()
        self.set(layer_done=0)
        assert (self.get("failed"), self.get("done"), self.get("busy")) == (1, 0, 0)
        assert (Error(self.get("error")), self.get("error_layer")) == (error, layer)
        assert len(self.aborts) == 1

    def plain(self) -> dict[str, Any]:
        """A good LAYER without winners, function and lists, which the pooling unit does not pool, from stream to stream."""
        layer = self.good(final=True)
        while layer["opcode"] != Opcode.LAYER.value or any(map(layer.get, ("winners_of", "merges", "looked_up", "lists"))):
            layer = self.good(final=True)
        return layer | {"from_stream": 1, "to_stream": 1}

    async def passes(self, fields: dict[str, Any]) -> None:
        """A program of one layer runs, with all that is stored of it as it was given."""
        await self.load([fields])
        await self.start()
        await self.until(lambda: bool(self.begun) or bool(self.get("failed")), "it begins, or fails", 4 * FETCH)
        assert self.begun, (Error(self.get("error")).name, fields)
        kept = {"kept": int(fields.get("winners_of") == WinnersOf.TENSOR.value)}
        assert self.begun[0][2] == narrow_layer(fields | kept), fields
        await self.step()
        await self.pulse(layer_done=1)
        assert (self.get("busy"), self.get("done"), self.get("failed")) == (0, 1, 0)


@cocotb.test
async def programs_from_every_start(dut: object) -> None:
    bench = SequencerBench(dut)
    await bench.begin()
    layers = bench.config.layers
    for _ in range(40):
        finals = [*sorted(bench.random.sample(range(layers - 1), bench.random.randint(0, layers - 1))), layers - 1]
        program = [bench.good(final=index in finals) for index in range(layers)]
        await bench.load(program)
        first = bench.random.randrange(layers)
        kept = [bench.random.random() < 0.5 for _ in range(layers + 1)]
        if WINNERS:
            bench.set(kept=kept[first])
        await bench.start(first)
        expected = range(first, next(final for final in finals if final >= first) + 1)
        done_at = None
        for number in expected:
            fields = program[number]
            of_tensor = fields.get("winners_of") == WinnersOf.TENSOR.value
            await bench.until(lambda: len(bench.begun) > 0, "it begins", 100)
            cycle, seen, bits = bench.begun.pop(0)
            assert (seen, bits) == (number, narrow_layer(fields | {"kept": int(of_tensor and kept[number])}))
            if done_at is not None:
                assert cycle - done_at == FETCH
            await bench.step(bench.random.randint(0, 30))
            assert bench.get("busy")
            done_at = bench.cycle
            bench.ended.clear()
            await bench.pulse(layer_done=1)
            if WINNERS:
                assert len(bench.ended) == 1
                bench.set(kept=kept[number + 1])
        assert (bench.get("busy"), bench.get("done"), bench.get("failed")) == (0, 1, 0)
        assert not bench.begun
        assert not bench.aborts


@cocotb.test
async def what_is_still_being_stored_is_read_or_waited_for(dut: object) -> None:
    """A layer that reads what the one before still stores begins, and says so; another one waits; an error meanwhile ends the run."""
    bench = SequencerBench(dut)
    await bench.begin()
    if not bench.config.overlaps:
        return
    first, second = (bench.plain() | {"from_stream": 0, "to_stream": 0, "final": final} for final in (0, 1))
    for fields, follows, fails in (
        (second, 1, False),
        (second, 0, False),
        (second | {"from_stream": 1}, 1, False),
        (second, 1, True),
        (second, 0, True),
    ):
        await bench.load([first, fields])
        await bench.start()
        await bench.until(lambda: len(bench.begun) == 1, "the first layer begins", 4 * FETCH)
        await bench.step()
        bench.set(late=1, follows=follows)
        await bench.pulse(layer_done=1)
        if fails:
            bench.set(fault=1, fault_code=Error.ENTRIES_FULL.value)
            await bench.until(lambda: bool(bench.get("failed")), "the run fails", 2 * FETCH)
            assert len(bench.begun) == 1
            assert Error(bench.get("error")) == Error.ENTRIES_FULL
            bench.set(fault=0, late=0, follows=0)
            await bench.until(lambda: not bench.get("busy"), "it settles", FETCH)
            continue
        await bench.step(2 * FETCH)
        at_once = follows and not fields["from_stream"]
        assert len(bench.begun) == 1 + at_once
        bench.set(late=0, follows=0)
        await bench.until(lambda: len(bench.begun) == 2, "the second one begins", 4)
        assert bench.begun[1][2] == narrow_layer(fields | {"follows": at_once})
        await bench.step()
        await bench.pulse(layer_done=1)
        assert bench.ended_how == (0, 1, 0)


@cocotb.test
async def a_run_begins_at_once_when_it_is_ready(dut: object) -> None:
    bench = SequencerBench(dut)
    await bench.begin()
    await bench.load([bench.good(final=True)])
    await bench.until(lambda: bool(bench.get("ready")), "the first descriptor is fetched", 2 * FETCH)
    start = bench.cycle
    await bench.pulse(start=1)
    await bench.step()
    assert [cycle for cycle, _, _ in bench.begun] == [start + (not bench.config.parallel)]


@cocotb.test
async def every_error(dut: object) -> None:
    bench = SequencerBench(dut)
    await bench.begin()
    settings = bench.config
    layer = bench.plain()
    wrong: list[tuple[Error, dict[str, int]]] = [
        *((Error.DESCRIPTOR_UNKNOWN, {"opcode": opcode}) for opcode in UNKNOWN),
        *((Error.DESCRIPTOR_UNKNOWN, {"winners_of": choice, "period": 1}) for choice in UNKNOWN_CHOICES),
        *((Error.DESCRIPTOR_UNKNOWN, {"winners_of": choice.value, "opcode": Opcode.LOAD.value, "period": 1}) for choice in CHOICES),
        *(
            (Error.DESCRIPTOR_SIZE, {name: 0})
            for name in (
                "elements",
                "C",
                "H",
                "W",
                "K",
                "out_rows",
                "R",
                "pool_columns",
                "groups",
                "stored_channels",
                "stored_rows",
                "stored_columns",
                "end_lanes",
            )
        ),
        *(
            (Error.DESCRIPTOR_SIZE, {name: 2 * settings.side})
            for name in ("H", "W", "R", "S", "first_y", "first_x", "out_columns", "stored_rows", "stored_columns")
        ),
        (Error.DESCRIPTOR_SIZE, {"K": layer["K"] + 1}),
        (Error.DESCRIPTOR_SIZE, {"channels_base": 2}),
        (Error.FEATURES_TOO_MANY, {"C": settings.features + 1}),
        (Error.CHANNELS_TOO_MANY, {"channels_base": settings.channels}),
        (Error.WEIGHTS_TOO_MANY, {"weights_end": settings.weights + 1}),
        (Error.WEIGHTS_TOO_MANY, {"weights_end": 65535}),
    ]
    if settings.serial:
        wrong.append((Error.NOT_BUILT, {"to_stream": 0}))
    if settings.channels > settings.features:
        count = settings.features // settings.lanes + 1
        many = {
            "K": count * settings.lanes,
            "groups": count,
            "last_lanes": settings.lanes,
            "channels_base": 0,
            "stored_channels": count * settings.lanes,
        }
        wrong.append((Error.FEATURES_TOO_MANY, many | {"to_stream": 0}))
    if POOLING:
        wrong += [(Error.DESCRIPTOR_SIZE, POOLS | {name: 0}) for name in POOLS if name != "merges"]
        wrong += [(Error.DESCRIPTOR_SIZE, POOLS | {"conv_columns": 2 * settings.side})]
        for columns, size in ((1, POOLING - SPARE), (2, POOLING - 2 * SPARE), (1, 2 * settings.features)):
            wrong.append((Error.FEATURES_TOO_MANY, POOLS | {"stored_columns": columns, "row_elements": size}))
        wrong += [(Error.FEATURES_TOO_MANY, POOLS | {"stored_channels": POOL_CHANNELS})]
    else:
        wrong.append((Error.NOT_BUILT, {"merges": 1}))
    if not FUNCTIONS:
        wrong.append((Error.NOT_BUILT, {"looked_up": 1}))
    elif FUNCTIONS < 64:
        wrong.append((Error.DESCRIPTOR_SIZE, {"looked_up": 1, "table": FUNCTIONS}))
    if SLOTS:
        wrong += [(Error.DESCRIPTOR_SIZE, LISTS | {"slots": slots}) for slots in (0, SLOTS + 1, 31)]
        wrong += [(Error.DESCRIPTOR_SIZE, LISTS | {name: 2}) for name in ("pool_rows", "pool_columns")]
        two = {"K": 2 * settings.lanes, "groups": 2, "last_lanes": settings.lanes, "channels_base": 0}
        wrong += [(Error.DESCRIPTOR_SIZE, LISTS | two | {"spare_lane": 1})]
        wrong += [(Error.DESCRIPTOR_SIZE, LISTS | two | {"K": 2 * settings.lanes - 1})]
        if EXPERTS:
            routed = two | {"opcode": Opcode.EXPERTS.value, "experts": 2, "expert_groups": 1}
            wrong += [(Error.DESCRIPTOR_SIZE, LISTS | routed)]
    else:
        wrong.append((Error.NOT_BUILT, {"lists": 1}))
    if WINNERS:
        winners = {"winners_of": WinnersOf.TENSOR.value, "winners": 1, "period": 1}
        wrong += [
            (Error.DESCRIPTOR_SIZE, winners | {"winners": 1 << settings.element_bits}),
            (Error.DESCRIPTOR_SIZE, winners | {"period": 0}),
        ]
    if PIXEL_WINNERS:
        winners = {"winners_of": WinnersOf.PIXEL.value, "winners": PIXEL_WINNERS + 1}
        wrong += [(Error.DESCRIPTOR_SIZE, winners), (Error.DESCRIPTOR_SIZE, winners | {"winners": 1 << 31})]
    if EXPERTS:
        groups = {"K": 2 * settings.lanes, "groups": 2, "last_lanes": settings.lanes}
        experts = groups | {"opcode": Opcode.EXPERTS.value, "experts": 2, "expert_groups": 1}
        contradictions = [{name: 0} for name in ("K", "R", "experts", "expert_groups")]
        contradictions += [
            {"experts": 1},
            {"expert_groups": 2},
            {"experts": 65535},
            {"K": 2 * settings.lanes - 1, "last_lanes": settings.lanes - 1},
        ]
        wrong += [(Error.DESCRIPTOR_SIZE, experts | fields) for fields in contradictions]
        wrong += [(Error.WEIGHTS_TOO_MANY, {"opcode": Opcode.GATE.value, "weights_end": 65535})]
    for error, fields in wrong:
        place = bench.random.randrange(settings.layers)
        program = [bench.good(final=False) for _ in range(place)] + [layer | fields]
        await bench.fails(program, error, place, bench.random.randint(0, place))
    bench.set(input_ready=0)
    await bench.fails([layer | {"from_stream": 0}], Error.INPUT_MISSING, 0)
    bench.set(input_ready=1)
    await bench.fails([bench.good(final=False) for _ in range(settings.layers)], Error.PROGRAM_NOT_ENDED, settings.layers - 1)


Fields = dict[str, int]
Case = tuple[Fields, list[tuple[Error, Fields]]]  # a field at its limit, with what belongs to it; and beyond it, with what is said then


def limits(settings: Config) -> dict[str, Case]:
    """Those fields whose limit is not that of what is stored of them alone."""
    lanes, channels, features = settings.lanes, settings.channels, settings.features
    one = {"K": lanes, "groups": 1, "last_lanes": lanes, "channels_base": 0}
    every = {"K": channels, "groups": channels // lanes, "last_lanes": lanes, "channels_base": 0}
    more = {"K": channels + lanes, "groups": channels // lanes + 1, "last_lanes": lanes, "channels_base": 0}
    stored = {name: 1 << field.width for name, field in layer_layout(settings)}
    cases: dict[str, Case] = {
        "C": ({"C": features}, [(Error.FEATURES_TOO_MANY, {"C": size}) for size in (features + 1, stored["C"])]),
        "K": (every, [(Error.CHANNELS_TOO_MANY, more)]),
        "stored_channels": (
            {"stored_channels": min(stored["stored_channels"], 1 << 16) - 1},
            [(Error.CHANNELS_TOO_MANY, {"stored_channels": size}) for size in (stored["stored_channels"],) if size < 1 << 16],
        ),
        "groups": (every, [(Error.DESCRIPTOR_SIZE, {"groups": stored["groups"]})]),
        "last_lanes": (one, [(Error.DESCRIPTOR_SIZE, one | {"last_lanes": size}) for size in (lanes + 1, stored["last_lanes"])]),
        "end_lanes": (
            one | {"end_lanes": lanes},
            [(Error.DESCRIPTOR_SIZE, one | {"end_lanes": size}) for size in (lanes + 1, stored["end_lanes"])],
        ),
        "channels_base": (
            one | {"channels_base": channels - lanes},
            [(Error.CHANNELS_TOO_MANY, one | {"channels_base": stored["channels_base"]})],
        ),
        "weights_end": ({"weights_end": settings.weights}, [(Error.WEIGHTS_TOO_MANY, {"weights_end": settings.weights + 1})]),
    }
    if WINNERS:
        tensor = {"winners_of": WinnersOf.TENSOR.value, "winners": 1, "period": 1}
        cases |= {
            "winners": (tensor | {"winners": stored["winners"] - 1}, [(Error.DESCRIPTOR_SIZE, tensor | {"winners": stored["winners"]})]),
            "period": (tensor | {"period": 32767}, []),
        }
    if POOLING:
        row = POOLS | {"stored_columns": 2}
        widest = POOLING - 2 * SPARE - 1
        over = [(Error.FEATURES_TOO_MANY, row | {"row_elements": size}) for size in (widest + 1, stored["row_elements"])]
        cases |= {
            "row_elements": (row | {"row_elements": widest}, over),
            "stored_channels of pools": (
                POOLS | {"stored_channels": POOL_CHANNELS - 1},
                [(Error.FEATURES_TOO_MANY, POOLS | {"stored_channels": POOL_CHANNELS})],
            ),
        }
        columns = stored["conv_columns"]
        cases["conv_columns"] = POOLS | {"conv_columns": columns - 1}, [(Error.DESCRIPTOR_SIZE, POOLS | {"conv_columns": columns})]
        cases |= {name: (POOLS | {name: stored[name] - 1}, []) for name in POOLS if name not in cases}
    if FUNCTIONS:
        table = {"looked_up": 1, "table": FUNCTIONS - 1}
        cases["table"] = table, [(Error.DESCRIPTOR_SIZE, table | {"table": FUNCTIONS})] if FUNCTIONS < 64 else []
    if SLOTS:
        spared = LISTS | every | {"K": channels - (channels // lanes - 1), "spare_lane": 1}
        cases |= {
            "lists": (LISTS | {"slots": 1}, []),
            "slots": (LISTS, [(Error.DESCRIPTOR_SIZE, LISTS | {"slots": size}) for size in (SLOTS + 1, stored["slots"])]),
            "spare_lane": (spared, [(Error.DESCRIPTOR_SIZE, spared | {"spare_lane": 0})]),
        }
    if PIXEL_WINNERS:
        pixel = {"winners_of": WinnersOf.PIXEL.value}
        over = [(Error.DESCRIPTOR_SIZE, pixel | {"winners": size}) for size in (PIXEL_WINNERS + 1, stored["winners"])]
        cases["winners of a pixel" if WINNERS else "winners"] = (pixel | {"winners": PIXEL_WINNERS}, over)
    if EXPERTS:
        routed = {"opcode": Opcode.EXPERTS.value, "expert_groups": 1, "last_lanes": lanes}
        most = routed | {"experts": EXPERTS, "K": EXPERTS * lanes, "groups": EXPERTS, "channels_base": 0}
        large = routed | every | {"experts": 1, "expert_groups": channels // lanes}
        over = [(Error.DESCRIPTOR_SIZE, most | {"experts": EXPERTS + 1, "K": most["K"] + lanes, "groups": EXPERTS + 1})]
        cases |= {
            "experts": (most, [*over, (Error.DESCRIPTOR_SIZE, most | {"experts": stored["experts"]})]),
            "expert_groups": (large, [(Error.DESCRIPTOR_SIZE, large | {"expert_groups": stored["expert_groups"]})]),
        }
    return cases


@cocotb.test
async def every_field_at_its_limit_and_one_over(dut: object) -> None:
    bench = SequencerBench(dut)
    await bench.begin()
    if WINNERS:
        bench.set(kept=1)  # so that a layer has one part
    layer, cases, layout = bench.plain(), limits(bench.config), layer_layout(bench.config)
    for name, width, signed in ((name, field.width, field.signed) for name, _, field in DESCRIPTOR_FIELDS):
        if name in ("opcode", "winners_of", "final") or name in cases or name.startswith("reserved") or name not in layout.members:
            continue
        stored = layout[name].width
        modular = name.endswith(("_pixels", "_weights", "first_pixel", "first_weight"))
        at, over = [(1 << width - signed) - 1, *([-1 << width - 1] if signed else [])], []
        if stored < width and not modular:
            at = [(1 << stored - signed) - 1, *([-1 << stored - 1] if signed else [])]
            over = [at[0] + 1, *(value - 1 for value in at[1:])]
        cases |= {f"{name} {value}": ({name: value}, []) for value in at}
        cases |= {f"{name} {value}": ({}, [(Error.DESCRIPTOR_SIZE, {name: value})]) for value in over}
    for fields, refused in cases.values():
        await bench.passes(layer | fields)
        for error, beyond in refused:
            await bench.fails([layer | beyond], error, 0)


@cocotb.test
async def faults_of_the_datapath(dut: object) -> None:
    bench = SequencerBench(dut)
    await bench.begin()
    await bench.load([bench.good(final=True) | {"winners_of": 0}])
    for _ in range(20):
        await bench.start()
        await bench.until(lambda: bool(bench.begun), "the layer begins")
        await bench.step(bench.random.randint(1, 20))
        bench.set(settled=0)
        bench.ended.clear()
        # The layer may end in the same cycle, and in the next ones, until everything has settled.
        await bench.pulse(fault=1, fault_code=Error.ENTRIES_FULL.value, layer_done=bench.random.randrange(2))
        for _ in range(bench.random.randint(1, 20)):
            await bench.pulse(layer_done=bench.random.randrange(2))
        assert not bench.ended, "a layer that was given up has ended"
        assert (bench.get("busy"), bench.get("failed")) == (1, 1), "busy until everything has settled"
        bench.set(settled=1)
        await bench.step(2)
        assert (bench.get("busy"), bench.get("failed"), bench.get("done")) == (0, 1, 0)
        assert Error(bench.get("error")) == Error.ENTRIES_FULL
        # A fault while nothing runs is noted only if there is none yet, and only of the load port; start clears it.
        await bench.pulse(load_fault=1, fault_code=Error.LOAD_CUT.value)
        assert Error(bench.get("error")) == Error.ENTRIES_FULL
        await bench.start()
        await bench.until(lambda: bool(bench.begun), "the layer begins")
        await bench.step()
        await bench.pulse(layer_done=1)
        assert (bench.get("busy"), bench.get("failed"), bench.get("done"), bench.get("error")) == (0, 0, 1, 0)
        await bench.pulse(fault=1, fault_code=Error.STOPPED.value)
        assert (bench.get("failed"), bench.get("done"), bench.get("error")) == (0, 1, 0), "a stop came too late"
        await bench.pulse(load_fault=1, fault_code=Error.LOAD_CUT.value)
        assert (bench.get("failed"), Error(bench.get("error"))) == (1, Error.LOAD_CUT)
        await bench.pulse(clear=1)
        assert (bench.get("failed"), bench.get("done"), bench.get("error")) == (0, 0, 0)


@cocotb.test
async def what_is_written_to_the_program_runs(dut: object) -> None:
    """Each word of it, however soon the start comes behind it."""
    bench = SequencerBench(dut)
    await bench.begin()
    for gap in (*range(FETCH + 3), *range(FETCH + 3)):
        await bench.load([bench.plain()])
        await bench.step(bench.random.choice((0, 3, 2 * FETCH)))
        await bench.pulse(program_write=1, program_address=0, program_data=15)
        await bench.step(gap)
        await bench.pulse(start=1)
        await bench.step(3 * FETCH)
        assert bench.ended_how == (0, 0, 1), f"started {gap} cycles behind the write"
        assert Error(bench.get("error")) == Error.DESCRIPTOR_UNKNOWN


@cocotb.test
async def errors_of_the_load_port_are_never_lost(dut: object) -> None:
    """A start in the same cycle ends with the error before anything begins, a clear leaves it; done and error are never both 1."""
    bench = SequencerBench(dut)
    await bench.begin()
    await bench.load([bench.plain()])
    fault = {"load_fault": 1, "fault_code": Error.LOAD_CUT.value}
    for pause in (0, 1, FETCH // 2, 2 * FETCH, 2 * FETCH):
        for pulses in ({"start": 1}, {"clear": 1}):
            for before in ("nothing", "done", "error"):
                bench.begun.clear()
                await bench.pulse(refetch=1)
                if before == "error":
                    await bench.pulse(load_fault=1, fault_code=Error.LOAD_TARGET.value)
                elif before == "done":
                    await bench.pulse(start=1)
                    await bench.until(lambda: bool(bench.begun), "the layer begins")
                    await bench.step()
                    await bench.pulse(layer_done=1)
                    assert bench.ended_how == (0, 1, 0)
                    if bench.random.getrandbits(1):  # what comes in a moment may come now, too
                        await bench.pulse(load_fault=1, fault_code=Error.LOAD_TARGET.value)
                        assert bench.ended_how == (0, 0, 1)
                    bench.begun.clear()
                await bench.step(pause)
                await bench.pulse(**pulses, **fault)
                for _ in range(3 * FETCH):
                    assert bench.ended_how == (0, 0, 1)
                    assert (Error(bench.get("error")), bench.get("error_layer")) == (Error.LOAD_CUT, 0)
                    await bench.step()
                assert not bench.begun
                await bench.pulse(start=1)
                await bench.until(lambda: bool(bench.begun), "the layer begins")
                await bench.step()
                await bench.pulse(layer_done=1)
                assert bench.ended_how == (0, 1, 0)
                await bench.pulse(clear=1)
                assert bench.ended_how == (0, 0, 0)
