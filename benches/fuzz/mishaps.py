"""What may happen to a running accelerator: stops, resets, broken packets and programs. Behind each, its network runs right again."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from skipgrid.golden import CodecError, Thresholds, decode, from_coded
from skipgrid.golden.limits import linked
from skipgrid.golden.lists import encode_lists
from skipgrid.host.compiler.descriptors import descriptors
from skipgrid.host.compiler.packets import weight_packets
from skipgrid.host.compiler.placement import Placed
from skipgrid.host.devices.device import DeviceError, Words
from skipgrid.host.run import set_router
from skipgrid.rtl.config import Config
from skipgrid.rtl.control.loader import CHANNEL_WORDS
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, SLOT_WORDS, Descriptor
from skipgrid.rtl.errors import Error
from skipgrid.rtl.layouts import FUNCTION_WORDS, INDEX_LANES_A_WORD, LoadTarget, Opcode, index_words

from .chaos import ChaoticDevice, DeviceReset
from .session import FULL, Session, Wrong

STREAM_ERRORS = {
    "ended early": Error.STREAM_ENDED_EARLY,
    "ran over": Error.STREAM_RAN_OVER,
    "bits left": Error.STREAM_BITS_LEFT,
}
PATIENCE = 30_000  # cycles after which a run is stopped whose program makes no sense
OVERLONG = 4096  # words that a packet sends at most to run past the program memory's end

Random = np.random.Generator


def stop(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """A run is stopped at some cycle, sometimes by the write behind its start; or it has ended before."""
    x = session.case.inputs[-1]
    right = session.packet(session.outputs(x)[-1])
    device.stop_at = 0 if rng.random() < 0.1 else int(rng.integers(0, session.cycles + 20))
    try:
        session.run(x)
    except DeviceError as error:
        if error.code != Error.STOPPED:
            raise
        for packet in device.sent:
            begun = packet.words[:-1] if packet.damaged else packet.words
            if not np.array_equal(begun, right[: len(begun)]) or (packet.damaged and packet.words[-1]):
                raise Wrong("the output of a run that was stopped is not the beginning of the golden model's") from None


def reset(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """The device is reset at some cycle of a run. What was loaded stays; the router's registers are again as at first."""
    device.reset_at = int(rng.integers(0, session.cycles + 20))
    try:
        session.run(session.case.inputs[-1])
    except DeviceReset:
        session.thresholds = Thresholds()
        set_router(device, session.layers)


def reset_load(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """The device is reset while it is loaded; that packet is sent again."""
    packets = [*session.packets(), session.program()]
    packet = packets[int(rng.integers(len(packets)))]
    device.reset_at = int(rng.integers(0, len(packet) + 5))
    try:
        device.load(packet)
    except DeviceReset:
        device.load(packet)
        set_router(device, session.layers)
    session.load_program()


def spoil_input(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """The input packet is no longer what it was; the device says to it what the golden model's decoder says."""
    x = session.case.inputs[0]
    words = _spoilt(session.words(x), rng)
    try:
        decoded = decode(words, x.size, session.case.k_in)
    except CodecError as found:
        expected = STREAM_ERRORS[found.kind]
    else:
        session.run(from_coded(decoded, session.layers[0].shape, session.layers[0].x), words)
        return
    session.thresholds = Thresholds()
    try:
        device.run([words], session.case.first)
    except DeviceError as error:
        if error.code not in (expected, *FULL) or error.layer != session.case.first:
            raise Wrong(f"a spoilt input packet ends in {error.code.name} of descriptor {error.layer}, not in {expected.name}") from None
    else:
        raise Wrong(f"a spoilt input packet is taken without {expected.name}")


def _spoilt(words: Words, rng: Random) -> Words:
    """A packet that was cut, lengthened, exchanged, or changed in some bits."""
    kind = rng.integers(5)
    if kind == 0:
        return words[: int(rng.integers(1, len(words) + 1))]
    noise = rng.integers(0, 1 << 32, int(rng.integers(1, 9)), dtype=np.uint32)
    if kind == 1:
        return np.concatenate([words, noise if rng.random() < 0.5 else np.zeros(1, np.uint32)])
    if kind == 2:
        return noise
    words = words.copy()
    for _ in range(int(rng.integers(1, 4))):
        words[rng.integers(len(words))] ^= np.uint32(1 << int(rng.integers(32)))
    return words


def break_program(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """Some bits of a descriptor change. The run ends somehow, if need be because it is stopped."""
    packet = session.program()
    first = 1 + SLOT_WORDS * int(rng.integers(len(packet) // SLOT_WORDS))
    for _ in range(int(rng.integers(1, 5))):
        packet[first + int(rng.integers(DESCRIPTOR_WORDS))] ^= np.uint32(1 << int(rng.integers(32)))
    device.load(packet)
    device.stop_at = PATIENCE
    try:
        device.run([session.words(session.case.inputs[0])], session.case.first)
    except DeviceError as error:
        session.happened[error.code.name] += 1
    session.load_program()


def break_load(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """A load packet is for no memory, runs past the end of one, or ends inside an address. What came before is stored."""
    packets = session.packets()
    packet = packets[int(rng.integers(len(packets)))]
    config = session.config
    ends = {LoadTarget.FUNCTIONS: config.functions * FUNCTION_WORDS} if config.functions else {}
    ends |= dict.fromkeys((LoadTarget.LISTS, LoadTarget.INDICES), config.weights) if config.slots else {}
    kind = int(rng.integers(5 if ends else 4))
    expected = Error.LOAD_CUT
    if kind == 0:
        expected = Error.LOAD_TARGET
        built = {LoadTarget.WEIGHTS, LoadTarget.CHANNELS, LoadTarget.PROGRAM, *ends}
        unknown = [target for target in range(16) if target not in {each.value for each in built}]
        header = int(packet[0]) & 0xFFFFFFF | int(rng.choice(unknown)) << 28
        packet = np.concatenate([np.array([header], np.uint32), packet[1:]])
    elif kind == 1:
        packet = packet[:1]
    elif kind == 2:
        channels = next(packet for packet in packets if packet[0] >> 28 == LoadTarget.CHANNELS.value)
        a_channel = len(CHANNEL_WORDS)
        packet = channels[: 1 + a_channel * int(rng.integers((len(channels) - 1) // a_channel)) + int(rng.integers(1, a_channel))]
    elif kind == 4:
        expected = Error.LOAD_ADDRESS
        target = list(ends)[int(rng.integers(len(ends)))]
        header = target.value << 28 | ends[target]
        packet = np.array([header, *rng.integers(0, 1 << 32, int(rng.integers(1, 4)))], np.uint32)
    else:
        size = (config.layers - session.case.first) * SLOT_WORDS
        if size > OVERLONG:
            return
        expected = Error.LOAD_ADDRESS
        # The new program has other codes, so that it shows whether the old one runs.
        session.case = replace(session.case, k_in=session.case.k_in ^ 1, k_out=session.case.k_out ^ 1)
        session.thresholds = Thresholds()
        packet = session.program()
        packet = np.concatenate([packet, np.zeros(1 + size - len(packet) + int(rng.integers(1, 4)), np.uint32)])
    try:
        device.load(packet)
    except DeviceError as error:
        if error.code != expected:
            raise
    else:
        raise Wrong(f"a broken load packet is taken without {expected.name}")


def break_lists(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """A list is longer than its slots, or lies outside the memory, or a word's slot is not there; or a layer asks for lists or slots that
    are not built. A list that nothing is multiplied with harms nobody.
    """
    case, config = session.case, session.config
    listed = [number for number, item in enumerate(case.placed) if item.slots]
    if not listed or rng.random() < 0.2:
        _ask_for_lists(session, device, rng)
        return
    number = int(rng.choice(listed))
    placed, x = case.placed[number], case.inputs[0]
    packet, tap = _wrong_lists(placed, config, rng)
    layer = placed.walked(config)
    _, C, R, S = layer.weights.shape
    r, s, c = np.unravel_index(tap, (R, S, C))
    there = np.zeros((C, R, S), np.int64)
    there[c, r, s] = 1
    tensor = [x, *session.outputs(x)][number]
    device.load(packet)
    if linked((tensor != layer.x.zero_point).astype(np.int64), layer, there):
        at = session.loads + sum(descriptors(each) for each in session.layers[:number])
        _fails(session, device, Error.LIST_WRONG, at)
    else:
        session.run(x)
    for packet in weight_packets(placed, config):
        device.load(packet)


def _wrong_lists(placed: Placed, config: Config, rng: Random) -> tuple[Words, int]:
    """A load packet by which a list is wrong, and the tap whose list it is."""
    lists = encode_lists(placed.walked(config).weights, placed.lanes_used(config), placed.slots)
    units, taps = lists.counts.shape
    filled = np.flatnonzero(lists.counts)
    kind = int(rng.integers(3)) if len(filled) else 0
    number = int(rng.choice(filled)) if kind else int(rng.integers(units * taps))
    start, count = int(lists.starts.flat[number]) + placed.weights_base, int(lists.counts.flat[number])
    if kind == 2 and placed.slots < 16:
        indices = weight_packets(placed, config)[-1]
        row, lane = start - placed.weights_base + int(rng.integers(count)), int(rng.integers(config.lanes))
        word, place = divmod(lane, INDEX_LANES_A_WORD)
        shift, at = 32 // INDEX_LANES_A_WORD * place, 1 + row * index_words(config) + word
        indices[at] = int(indices[at]) & ~(15 << shift) | int(rng.integers(placed.slots, 16)) << shift
        return indices, number % taps
    if kind:
        start = int(rng.choice([config.weights - count + 1, 65535, int(rng.integers(config.weights, 65536))]))
    else:
        count = int(rng.choice([placed.slots + 1, 65535, int(rng.integers(placed.slots + 1, 65536))]))
    header = LoadTarget.LISTS.value << 28 | placed.lists_base + number
    return np.array([header, start | count << 16], np.uint32), number % taps


def _ask_for_lists(session: Session, device: ChaoticDevice, rng: Random) -> None:
    """A descriptor that computes asks for lists where none are built, or of slots that are not there."""
    packet, config = session.program(), session.config
    program = packet[1:].reshape(-1, SLOT_WORDS)
    at = int(rng.choice([number for number, words in enumerate(program) if words[0] & 15 != Opcode.LOAD.value]))
    fields = {"lists": 1, "slots": int(rng.choice([0, *range(config.slots + 1, 32)]))}
    for name, value in fields.items():
        field = Descriptor.as_shape()[name]
        word, shift = divmod(field.offset, 32)
        mask = ((1 << field.width) - 1) << shift
        program[at, word] = int(program[at, word]) & ~mask | value << shift
    device.load(packet)
    _fails(session, device, Error.DESCRIPTOR_SIZE if config.slots else Error.NOT_BUILT, at)
    session.load_program()


def _fails(session: Session, device: ChaoticDevice, expected: Error, at: int) -> None:
    """Wrong unless a run ends in this error of the program's descriptor at a place."""
    case = session.case
    session.thresholds = Thresholds()
    try:
        device.run([session.words(case.inputs[0])], case.first)
    except DeviceError as error:
        if (error.code, error.layer) != (expected, case.first + at):
            raise Wrong(
                f"a run ends in {error.code.name} of descriptor {error.layer}, not in {expected.name} of {case.first + at}"
            ) from None
    else:
        raise Wrong(f"a run ends without {expected.name} of descriptor {case.first + at}")


MISHAPS: dict[str, Callable[[Session, ChaoticDevice, Random], None]] = {
    "stops": stop,
    "resets": reset,
    "resets while loading": reset_load,
    "spoilt inputs": spoil_input,
    "broken programs": break_program,
    "broken loads": break_load,
    "broken lists": break_lists,
}
