"""Every bad input: the error names what and where, an open output packet is closed, and the next run works without a reset."""

from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from networks import Network, coded_outputs
from ports import BusError, Packet, Ports
from skipgrid.benches.fuzz.session import walked_macs
from skipgrid.golden import Activation, Layer, coded_bytes, encode, encode_lists
from skipgrid.host.compiler.descriptors import descriptor, load_descriptor
from skipgrid.host.compiler.packets import channel_packet, program_packet, weight_packets
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.compiler.way import PLAIN
from skipgrid.rtl.control.loader import CHANNEL_WORDS
from skipgrid.rtl.descriptor import SLOT_WORDS, Descriptor
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import FUNCTION_WORDS, LoadTarget, index_words
from skipgrid.rtl.register_map import LAYER_CYCLES, REGISTERS, Access
from streams import trials
from tensors import damaged, outcome, sparse

K_IN, K_OUT = 2, 1
SHAPE = (3, 6, 5)


class Faults(Ports):
    """An accelerator with a known good layer, which must still work after every error."""

    async def begin(self, profile: str | None = None) -> None:
        await super().begin(profile)
        x = sparse(self.numbers, 90, 0.5).reshape(SHAPE)
        self.good = self.network(x, SHAPE, K=7)
        await self.load(*self.good.packets(self.config))

    def network(self, x: np.ndarray, shape: tuple[int, int, int], K: int, **fixed: Any) -> Network:
        """One layer at the bottom of the memories."""
        weights = self.numbers.integers(-128, 128, (K, shape[0], 3, 2)).astype(np.int8)
        layer = Layer(
            "good",
            weights,
            self.numbers.integers(-500, 500, K).astype(np.int32),
            np.full(K, 0.004, np.float32),
            shape,
            pads=(1, 1, 1, 0),
            y=Activation("int8", 3),
            **fixed,
        )
        return Network([Placed(layer, 0, 0)], x)

    @property
    def words(self) -> np.ndarray:
        """The good layer's input packet."""
        return encode(coded_bytes(self.good.x, self.good.layers[0].x), K_IN)

    def layer(self, **changes: int) -> np.ndarray:
        """The good layer's descriptor, from stream to stream, with fields changed."""
        options: dict[str, Any] = {"buffer": 0, "from_stream": True, "to_stream": True, "final": True, "k_in": K_IN, "k_out": K_OUT}
        return changed(descriptor(self.good.placed[0], self.config, **options), **changes)

    async def works(self, *, send: bool = True) -> None:
        """The good layer's run gives the right output; without `send` its packet is at the port already."""
        await self.load(program_packet([self.layer()]))
        if send:
            self.send(self.words)
        await self.start()
        await self.finish()
        assert await self.status() == (0, 1, 0), await self.error()
        assert await self.error() == (Error.NONE, 0)
        assert self.received() == [Packet(encode(coded_outputs(self.good)[-1], K_OUT).tolist())]
        self.taken()

    async def fails(self, program: list[np.ndarray], error: Error, layer: int, *, first: int = 0) -> list[Packet]:
        """A program's run ends in this error of this descriptor; gives the output packets."""
        await self.load(program_packet(program))
        await self.start(first)
        await self.finish()
        assert await self.status() == (0, 0, 1)
        assert await self.error() == (error, layer), (error, layer)
        packets = self.received()
        for packet in packets:
            assert not packet.damaged or packet.words[-1] == 0
        return packets


def changed(words: np.ndarray, **fields: int) -> np.ndarray:
    """A descriptor's words with fields changed."""
    bits = int.from_bytes(words.astype("<u4").tobytes(), "little")
    for name, value in fields.items():
        field = Descriptor.as_shape()[name]
        mask = (1 << Descriptor.as_shape()[name].width) - 1
        bits = bits & ~(mask << field.offset) | (value & mask) << field.offset
    return np.frombuffer(bits.to_bytes(4 * len(words), "little"), np.uint32)


@cocotb.test
async def broken_streams(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    kinds = set()
    coded = coded_bytes(ports.good.x, ports.good.layers[0].x)
    for round_ in range(trials(15)):
        for words in damaged(coded, K_IN, ports.numbers).values():
            ports.behave()
            error, _ = outcome(words.tolist(), coded.size, K_IN)
            if error == Error.NONE:
                continue
            kinds.add(error)
            load = load_descriptor(SHAPE, buffer=0, k_in=K_IN, final=False)
            programs = [([ports.layer()], 0), ([load, ports.layer(from_stream=0)], 0), ([load, changed(load, final=1)], 1)]
            program, at = programs[round_ % 3]
            if at:
                ports.send(ports.words)
            ports.send(words)
            packets = await ports.fails(program, error, at)
            assert len(packets) <= 1
            assert not packets or packets[0].damaged
            ports.taken()
            await ports.works()
    assert len(kinds) == 3


@cocotb.test
async def wrong_descriptors(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    config = ports.config
    coordinate = 1 << config.coordinate_bits
    computed = ("K", "out_rows", "out_columns", "R", "S", "pool_rows", "pool_columns", "groups", "last_lanes")
    wrong: list[tuple[Error, dict[str, int]]] = [(Error.DESCRIPTOR_UNKNOWN, {"opcode": opcode}) for opcode in (0, 3, 255)]
    wrong += [(Error.DESCRIPTOR_SIZE, {name: 0}) for name in ("elements", "C", "H", "W", *computed)]
    coordinates = ("H", "W", "R", "S", "out_rows", "out_columns")
    wrong += [(Error.DESCRIPTOR_SIZE, {name: size}) for name in coordinates for size in (coordinate, 65535)]
    wrong += [(Error.DESCRIPTOR_SIZE, {name: place}) for name in ("first_y", "first_x") for place in (coordinate, -coordinate - 1, 32767)]
    wrong += [
        (Error.DESCRIPTOR_SIZE, {"K": 8}),
        (Error.DESCRIPTOR_SIZE, {"groups": 1}),
        (Error.DESCRIPTOR_SIZE, {"last_lanes": config.lanes + 1}),
        (Error.DESCRIPTOR_SIZE, {"channels_base": 1}),
        (Error.FEATURES_TOO_MANY, {"C": config.features + 1}),
        (Error.CHANNELS_TOO_MANY, {"channels_base": config.channels}),
        (Error.CHANNELS_TOO_MANY, {"channels_base": config.channels - config.lanes}),
        (Error.CHANNELS_TOO_MANY, {"channels_base": 65536 - config.lanes}),
        (Error.WEIGHTS_TOO_MANY, {"weights_end": config.weights + 1}),
        (Error.WEIGHTS_TOO_MANY, {"weights_end": 65535}),
    ]
    pools = {"merges": 1, "conv_columns": 1, "row_elements": 1}
    pools |= dict.fromkeys(("merge_rows", "merge_columns", "merge_stride_rows", "merge_stride_columns"), 1)
    if config.pool_elements:
        wrong += [(Error.DESCRIPTOR_SIZE, pools | {name: 0}) for name in ("merge_rows", "merge_stride_columns")]
        wrong += [(Error.FEATURES_TOO_MANY, pools | {"row_elements": config.pool_elements})]
        wrong += [(Error.FEATURES_TOO_MANY, pools | {"stored_channels": config.pool_channels})]
    else:
        wrong.append((Error.NOT_BUILT, pools))
    table = {"looked_up": 1, "table": config.functions}
    wrong.append((Error.DESCRIPTOR_SIZE if config.functions else Error.NOT_BUILT, table))
    lists = {"lists": 1, "slots": 1}
    if config.slots:
        wrong += [(Error.DESCRIPTOR_SIZE, lists | {"slots": slots}) for slots in (0, config.slots + 1)]
        wrong += [(Error.DESCRIPTOR_SIZE, lists | {"pool_columns": 2}), (Error.DESCRIPTOR_SIZE, lists | {"spare_lane": 1})]
    else:
        wrong.append((Error.NOT_BUILT, lists))
    for error, fields in wrong:
        ports.behave()
        ports.send(ports.words)
        await ports.fails([ports.layer(**fields)], error, 0)
        # A packet of which no word was taken stays at the port, for the next run.
        left = not ports.taken() and not ports.in_monitor.active
        await ports.works(send=not left)


@cocotb.test
async def wrong_lists(dut: Any) -> None:
    """Each wrong list that an activation meets is an error of its layer; one that is empty is right, wherever it begins."""
    ports = Faults(dut)
    await ports.begin()
    config = ports.config
    if not config.slots:
        return
    good = ports.good.placed[0]
    some = good.layer.weights * (ports.numbers.random(good.layer.weights.shape) < 0.5)
    some[:, 0, 0, 0], some[:, 1, 2, 1] = 1, 0  # a list of two rows, and one of none
    slots = good.groups(config)
    way = replace(PLAIN, slots=slots)
    placed = Placed(good.layer.replaced(weights=some.astype(np.int8)), good.weights(config), good.channels(config), way=way)
    listed = Network([placed], ports.numbers.integers(1, 256, SHAPE).astype(np.uint8))
    lists = encode_lists(placed.layer.weights, config.lanes, slots)
    empty = 5 * SHAPE[0] + 1  # tap (2, 1) of channel 1
    assert (lists.counts[0, 0], lists.counts[0, empty]) == (slots, 0)
    options: dict[str, Any] = {"buffer": 0, "to_stream": True, "final": True, "k_in": K_IN, "k_out": K_OUT}
    streamed, stored = (descriptor(placed, config, from_stream=from_stream, **options) for from_stream in (True, False))
    load = load_descriptor(SHAPE, buffer=0, k_in=K_IN, final=False)
    words = encode(coded_bytes(listed.x, placed.layer.x), K_IN)

    def list_of(tap: int, start: int, count: int) -> list[int]:
        return [LoadTarget.LISTS.value << 28 | tap, start | count << 16]

    async def right(*packets: list[int]) -> None:
        await ports.load(*listed.packets(config), *packets)
        await ports.load(program_packet([streamed]))
        ports.send(words)
        await ports.start()
        await ports.finish()
        assert await ports.status() == (0, 1, 0), await ports.error()
        assert ports.received() == [Packet(encode(coded_outputs(listed)[-1], K_OUT).tolist())]
        ports.taken()

    start, end = placed.weights_base, config.weights
    wrong = [list_of(0, start, count) for count in (slots + 1, config.slots + 1, 65535)]
    wrong += [list_of(0, start, count) for start, count in ((end, 1), (end - 1, 2), (65535, 1))]
    for lane, index in ((0, slots), (config.lanes - 1, 15)):
        word, place = divmod(4 * lane, 32)
        data = [0] * index_words(config)
        data[word] = index << place
        wrong.append([LoadTarget.INDICES.value << 28 | start, *data])
    for packet in wrong:
        for program in ([streamed], [load, stored]):
            ports.behave()
            await right(list_of(empty, 65535, 0))
            await ports.load(packet)
            ports.send(words)
            await ports.fails(program, Error.LIST_WRONG, len(program) - 1)
            ports.taken()
            await ports.works()


@cocotb.test
async def tensors_that_do_not_fit(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    config = ports.config

    async def refused(shape: tuple[int, int, int], zeros: float, error: Error, **fields: int) -> None:
        ports.behave()
        coded = sparse(ports.numbers, int(np.prod(shape)), zeros)
        if zeros == 1:
            coded[:] = 0
        ports.send(encode(coded, K_IN))
        load = changed(load_descriptor(shape, buffer=ports.random.randrange(2), k_in=K_IN, final=True), **fields)
        await ports.fails([ports.layer(), load], error, 1, first=1)
        ports.taken()
        await ports.works()

    side = next(side for side in range(config.pixels) if side * side > config.pixels)
    await refused((config.entries // 64 + 1, 8, 8), 0, Error.ENTRIES_FULL)
    await refused((1, side, side), 0.9, Error.PIXELS_FULL)
    await refused((config.features // 8 + 1, 1, 8), 1, Error.FEATURES_TOO_MANY)
    await refused((3, 4, 5), 0.5, Error.DESCRIPTOR_SIZE, H=5)
    await refused((3, 4, 5), 0.5, Error.DESCRIPTOR_SIZE, H=3)
    await refused((3, 4, 5), 0.5, Error.DESCRIPTOR_SIZE, C=4)
    # A tensor as large as the memories is no error, right before and after.
    exact = (config.entries // 64, 8, 8)
    ports.send(encode(sparse(ports.numbers, config.entries, 0), K_IN))
    await ports.load(program_packet([load_descriptor(exact, buffer=0, k_in=K_IN, final=True)]))
    await ports.start()
    await ports.finish()
    assert await ports.status() == (0, 1, 0)
    ports.taken()
    await ports.works()


@cocotb.test
async def outputs_that_do_not_fit(dut: Any) -> None:
    """A layer whose output, beside its input, is too large for the other buffer."""
    ports = Faults(dut)
    await ports.begin()
    config = ports.config
    options: dict[str, Any] = {"buffer": 1, "from_stream": True, "to_stream": False, "final": True, "k_in": K_IN, "k_out": K_OUT}
    # Dense outputs, 7 channels in 7 x 8 pixels; and two feature maps of which one alone fits.
    for shape, low, error in (((1, 7, 8), 60, Error.ENTRIES_FULL), ((1, 11, 8), None, Error.PIXELS_FULL)):
        ports.behave()
        big = ports.network(np.full(shape, 200, np.uint8), shape, K=7, low=low)
        ports.send(encode(coded_bytes(big.x, big.layers[0].x), K_IN))
        await ports.load(*big.packets(config))
        if error == Error.PIXELS_FULL:
            for placed in big.placed:  # no output is over its bound
                await ports.load(channel_packet(Placed(placed.layer.replaced(scale=placed.layer.scale / np.float32(2**20)), 0, 0), config))
        await ports.fails([descriptor(big.placed[0], config, **options)], error, 0)
        ports.taken()
        await ports.load(*ports.good.packets(config))
        await ports.works()


@cocotb.test
async def missing_inputs_and_ends(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    config = ports.config
    from_buffer = ports.layer(from_stream=0)
    await ports.fails([from_buffer], Error.INPUT_MISSING, 0)
    await ports.works()
    for shape, buffer in (((2, 6, 5), 0), ((3, 5, 6), 0), ((5, 6, 3), 0), (SHAPE, 1)):
        ports.behave()
        load = load_descriptor(shape, buffer=buffer, k_in=K_IN, final=False)
        ports.send(encode(sparse(ports.numbers, int(np.prod(shape)), 0.5), K_IN))
        await ports.fails([load, from_buffer], Error.INPUT_MISSING, 1)
        await ports.works()
    load = load_descriptor((1, 1, 1), buffer=0, k_in=K_IN, final=False)
    for _ in range(config.layers):
        ports.send(encode(np.ones(1, np.uint8), K_IN))
    await ports.fails([load] * config.layers, Error.PROGRAM_NOT_ENDED, config.layers - 1)
    await ports.works()


@cocotb.test
async def wrong_load_packets(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    config = ports.config
    words_a_weight = config.lanes // 4
    sizes = {LoadTarget.WEIGHTS: config.weights, LoadTarget.CHANNELS: config.channels, LoadTarget.PROGRAM: config.layers * SLOT_WORDS}
    units = {LoadTarget.WEIGHTS: words_a_weight, LoadTarget.CHANNELS: len(CHANNEL_WORDS), LoadTarget.PROGRAM: 1}
    if config.functions:
        sizes[LoadTarget.FUNCTIONS], units[LoadTarget.FUNCTIONS] = config.functions * FUNCTION_WORDS, 1
    if config.slots:
        sizes |= dict.fromkeys((LoadTarget.LISTS, LoadTarget.INDICES), config.weights)
        units |= {LoadTarget.LISTS: 1, LoadTarget.INDICES: index_words(config)}
    unknown = sorted(set(range(16)) - {target.value for target in sizes})
    cases: list[tuple[Error, list[int]]] = [(Error.LOAD_TARGET, [target << 28, 1, 2, 3]) for target in (unknown[0], 9, 15)]
    cases += [(Error.LOAD_TARGET, [target << 28, 1]) for target in unknown[1:3]]
    cases += [(Error.LOAD_CUT, [target.value << 28]) for target in sizes]
    cases += [(Error.LOAD_ADDRESS, [target.value << 28 | size, *[0] * units[target]]) for target, size in sizes.items()]
    cases += [(Error.LOAD_ADDRESS, [target.value << 28 | 0xFFFFFFF, *[0] * 9]) for target in sizes]
    cases += [(Error.LOAD_CUT, [LoadTarget.CHANNELS.value << 28 | config.channels - 1, *[0] * cut]) for cut in range(1, len(CHANNEL_WORDS))]
    if words_a_weight > 1:
        cases += [(Error.LOAD_CUT, [config.weights - 1, 0])]
    for error, packet in cases:
        ports.behave()
        await ports.load(packet)
        assert int(dut.irq.value)
        assert (await ports.status())[2] == 1
        assert (await ports.error())[0] == error, (error, packet)
        if ports.random.random() < 0.5:
            await ports.put("CONTROL", 4)
            assert not int(dut.irq.value)
            assert await ports.status() == (0, 0, 0)
        await ports.works()
    # What a program packet that is too long has stored runs; nothing of the program before.
    size = sizes[LoadTarget.PROGRAM]
    for more in (1, 2, 40):
        await ports.load([LoadTarget.PROGRAM.value << 28, *[0xF] * (size + more)])
        assert await ports.error() == (Error.LOAD_ADDRESS, 0)
        await ports.start()
        await ports.finish()
        assert await ports.error() == (Error.DESCRIPTOR_UNKNOWN, 0)
        await ports.works()
    # The end of a memory, exactly.
    for target, size in sizes.items():
        await ports.load([target.value << 28 | size - 1, *[0] * units[target]])
        assert await ports.status() == (0, 1, 0)


@cocotb.test
async def load_errors_beside_a_start(dut: Any) -> None:
    """A bad word that is taken with the start or behind it is reported when all is over; one before it is cleared by the start."""
    ports = Faults(dut)
    await ports.begin("full")
    cycle, written, taken = 0, [0], [0]

    async def watch() -> None:
        nonlocal cycle
        while True:
            await RisingEdge(dut.clk)
            cycle += 1
            if int(dut.s_axil_wvalid.value) and int(dut.s_axil_wready.value):
                written.append(cycle)
            if int(dut.s_axis_load_tvalid.value) and int(dut.s_axis_load_tready.value):
                taken.append(cycle)

    cocotb.start_soon(watch())
    apart = set()
    for delay in range(-8, 9):
        await ports.load(program_packet([ports.layer()]))
        await ports.put("PROGRAM", 0)
        await ClockCycles(dut.clk, 60)
        ports.send(ports.words)
        start = cocotb.start_soon(after(dut.clk, max(-delay, 0), ports.put("CONTROL", 1)))
        await ClockCycles(dut.clk, max(delay, 1))
        ports.load_port.send_nowait([LoadTarget.CHANNELS.value << 28])
        await start
        began = written[-1]
        await ports.finish()
        await ports.load_port.wait()
        await ClockCycles(dut.clk, 10)
        apart.add(taken[-1] - began)
        if taken[-1] < began:
            assert await ports.status() == (0, 1, 0)
        else:
            assert await ports.status() == (0, 0, 1), f"a word taken {taken[-1] - began} cycles behind the start"
            assert await ports.error() == (Error.LOAD_CUT, 0)
        packets = ports.received()
        assert len(packets) == (taken[-1] != began), "with the start: nothing has begun"
        begun = bool(ports.taken())
        assert begun == bool(packets)
        await ports.works(send=begun)
    assert {-1, 0} < apart


async def after(clock: Any, cycles: int, action: Coroutine[Any, Any, object]) -> None:
    """Do it more than so many cycles later."""
    await ClockCycles(clock, cycles + 1)
    await action


@cocotb.test
async def interrupts(dut: Any) -> None:
    """Each is told of only where it is enabled, at once; and irq has fallen when a clear is answered."""
    ports = Faults(dut)
    await ports.begin()
    for enabled in range(4):
        for stopped in (False, True):
            ports.behave()
            await ports.put("INTERRUPT_ENABLE", enabled << 1)
            await ports.load(program_packet([ports.layer()]))
            await ports.start()
            if stopped:
                await ports.put("CONTROL", 2)
            else:
                ports.send(ports.words)
            await ports.idle()
            assert await ports.status() == (0, int(not stopped), int(stopped))
            await ClockCycles(dut.clk, 2)
            assert int(dut.irq.value) == enabled >> stopped & 1
            await ports.put("INTERRUPT_ENABLE", 6)
            assert int(dut.irq.value)
            await ports.put("CONTROL", 4)
            assert not int(dut.irq.value)
            assert await ports.status() == (0, 0, 0)
            await ports.idle()
            ports.received()
            ports.taken()
            await ports.works()


@cocotb.test
async def stopped_as_the_run_ends(dut: Any) -> None:
    """In each of the last cycles, and a little too late: either it is stopped, or it has ended well and the stop changes nothing."""
    ports = Faults(dut)
    await ports.begin("full")

    async def run() -> None:
        await ports.load(program_packet([ports.layer()]))
        ports.send(ports.words)
        await ports.start()

    await run()
    cycles = 0
    while not int(dut.irq.value):
        await RisingEdge(dut.clk)
        cycles += 1
    await ports.finish()
    ports.received()
    ends = set()
    for delay in range(cycles - 20, cycles + 3):
        await run()
        await ClockCycles(dut.clk, delay)
        await ports.put("CONTROL", 2)
        await ports.finish()
        _, done, failed = await ports.status()
        assert done != failed, f"stopped {delay} of {cycles} cycles behind the start"
        ends.add(done)
        ports.received()
        await ports.works()
    assert ends == {0, 1}


@cocotb.test
async def stopped_at_any_moment(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    damaged_packets = tried = 0
    while tried < trials(60) or not damaged_packets:
        tried += 1
        assert tried < 1000, "no packet was cut short"
        ports.behave(ports.random.choice((None, "stalled", "random", "full")))
        load = load_descriptor(SHAPE, buffer=0, k_in=K_IN, final=False)
        await ports.load(program_packet([load, ports.layer(from_stream=0)] if ports.random.random() < 0.5 else [ports.layer()]))
        ports.send(ports.words)
        await ports.start()
        await ClockCycles(dut.clk, ports.random.randint(1, 800))
        await ports.put("CONTROL", 2)
        await ports.finish()
        packets = ports.received()
        busy, done, failed = await ports.status()
        assert not busy
        assert done != failed
        if failed:
            assert (await ports.error())[0] == Error.STOPPED
            assert all(packet.damaged or packet.words == encode(coded_outputs(ports.good)[-1], K_OUT).tolist() for packet in packets)
            damaged_packets += any(packet.damaged for packet in packets)
        begun = bool(ports.taken()) or ports.in_monitor.active
        assert not ports.in_monitor.active, "a packet of which a word was taken is taken whole"
        await ports.works(send=begun)


@cocotb.test
async def reset_at_any_moment(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    macs = walked_macs(ports.good.x, ports.good.placed[0], ports.config)
    for _ in range(trials(50)):
        ports.behave(ports.random.choice((None, "full")))
        await ports.load(program_packet([ports.layer()]))
        ports.send(ports.words)
        await ports.start()
        await ClockCycles(dut.clk, ports.random.randint(1, 600))
        await ports.reset(ports.random.randint(1, 4))
        ports.received()
        ports.taken()
        if ports.random.random() < 0.5:
            assert await ports.status() == (0, 0, 0)
            await ports.works()
            continue
        # What the memories hold is still there: a run begins at once.
        await ports.put("CONTROL", 1)
        ports.send(ports.words)
        await ports.finish()
        assert await ports.status() == (0, 1, 0), await ports.error()
        assert ports.received() == [Packet(encode(coded_outputs(ports.good)[-1], K_OUT).tolist())]
        assert await ports.get("USEFUL_MACS_LOW") == macs
        ports.taken()


@cocotb.test
async def registers_that_cannot_be_accessed(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    config = ports.config

    async def refused(access: Coroutine[Any, Any, object]) -> None:
        try:
            await access
        except BusError:
            return
        raise AssertionError("no SLVERR")

    for register in REGISTERS.values():
        if register.access == Access.READ:
            await refused(ports.write(register.address, 1))
        if register.access == Access.WRITE:
            await refused(ports.read(register.address))
    for address in (0x024, 0x07C, 0x3FC, LAYER_CYCLES + 4 * config.layers, 0xFFC):
        await refused(ports.read(address))
        await refused(ports.write(address, 1))
    await refused(ports.put("PROGRAM", config.layers))
    for contradiction in (3, 6, 7):
        await refused(ports.put("CONTROL", contradiction))
    await ports.works()

    # While a run waits for its input: no start, no change of the program; reading goes on.
    await ports.load(program_packet([ports.layer()]))
    await ports.start()
    assert await ports.status() == (1, 0, 0)
    await refused(ports.put("CONTROL", 1))
    for bits in (3, 4, 5, 6, 7):
        await refused(ports.put("CONTROL", bits))
    await refused(ports.put("PROGRAM", 0))
    assert await ports.status() == (1, 0, 0)
    ports.send(ports.words)
    await ports.finish()
    assert ports.received() == [Packet(encode(coded_outputs(ports.good)[-1], K_OUT).tolist())]
    ports.taken()
    await ports.works()


@cocotb.test
async def loading_waits_for_the_end_of_a_run(dut: Any) -> None:
    ports = Faults(dut)
    await ports.begin()
    await ports.load(program_packet([ports.layer()]))
    await ports.start()
    ports.load_port.send_nowait([int(word) for word in weight_packets(ports.good.placed[0], ports.config)[0]])
    ports.load_port.send_nowait([int(word) for word in channel_packet(ports.good.placed[0], ports.config)])
    for _ in range(trials(50)):
        await RisingEdge(dut.clk)
        assert not int(dut.s_axis_load_tready.value)
    ports.send(ports.words)
    await ports.finish()
    assert ports.received() == [Packet(encode(coded_outputs(ports.good)[-1], K_OUT).tolist())]
    await ports.load_port.wait()
    ports.taken()
    await ports.works()
