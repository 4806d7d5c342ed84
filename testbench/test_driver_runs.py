"""The C driver at work, with a core and a bus that are played: everything that can go wrong has its name, and the next run is right."""

import ctypes
from collections.abc import Callable

import numpy as np
import pytest

from c_driver import ERRORS, OK, CWords, build_library
from played_core import Act, Bus, Driver, PlayedCore
from simulation import SMALL
from skipgrid.driver.errors import DriverError
from skipgrid.rtl.errors import Error
from skipgrid.rtl.register_map import REGISTERS

WEIGHTS = [0 << 28 | 3, 0x01020304, 0x05060708]  # two addresses, with 4 lanes
CHANNEL = [1 << 28 | 0, 1, 2, 3, 4]
RUN_ERRORS = [error for error in Error if error not in (Error.NONE, Error.LOAD_TARGET, Error.LOAD_ADDRESS, Error.LOAD_CUT)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build_library(tmp_path_factory.mktemp("driver"), SMALL)


Make = Callable[..., Driver]


@pytest.fixture(params=["programmed I/O", "DMA", "deep DMA", "DMA and wait"])
def make(request: pytest.FixtureRequest, library: ctypes.CDLL) -> Make:
    """Makes the driver of a core, on each kind of bus; whatever the core complains of fails the test."""
    made: list[PlayedCore] = []

    def driver(seed: int = 0, *, probed: bool = True, **registers: int) -> Driver:
        core = PlayedCore(SMALL, registers)
        made.append(core)
        bus = Bus(core, np.random.default_rng(seed), dma=request.param != "programmed I/O", depth=4 if request.param == "deep DMA" else 1)
        made_driver = Driver(library, bus.with_wait() if "wait" in request.param else bus)
        if probed:
            assert named(made_driver.probe()) == "OK"
        return made_driver

    return driver


def named(error: int) -> str:
    return str(ERRORS[error])


def core_of(driver: Driver) -> PlayedCore:
    return driver.bus.core


def words(array: np.ndarray | None, count: int) -> CWords:
    """Words as C is given them; None for a null pointer."""
    return CWords(None if array is None else array.ctypes.data, count)


def packet(rng: np.random.Generator, most: int = 12) -> list[int]:
    return [int(word) for word in rng.integers(0, 1 << 32, rng.integers(1, most), dtype=np.uint32)]


def works(driver: Driver, seed: int = 99) -> None:
    """A load and a run are right, word for word, and nothing is left behind them."""
    rng = np.random.default_rng(seed)
    core = core_of(driver)
    core.loaded.clear()
    assert named(driver.load(WEIGHTS, CHANNEL)) == "OK"
    assert [core.loaded.pop(("WEIGHTS", place)) for place in (3, 4)] == WEIGHTS[1:]
    assert [core.loaded.pop(("CHANNELS", place)) for place in range(4)] == CHANNEL[1:]
    assert set(core.loaded.values()) <= {0}  # what ends a packet that was left open
    for _ in range(2):
        act = Act(packet(rng), packet(rng))
        core.acts.append(act)
        out = np.full(len(act.gives), 7, np.uint32)
        assert named(driver.run(act.takes, out, program=1)) == "OK"
        assert out.tolist() == act.gives
        assert driver.c.received == len(act.gives)
        assert core.programs[-1] == 1
        assert named(driver("poll")) == "OK"
    assert not core.irq
    assert core.registers["INTERRUPT_ENABLE"] == 0b110
    assert not core.out
    assert not driver.bus.way
    assert not core.complaints


# What is there.


@pytest.mark.parametrize(
    ("registers", "error"),
    [
        ({"IDENTIFICATION": 0}, DriverError.NO_CORE),
        ({"IDENTIFICATION": 0xFFFFFFFF}, DriverError.NO_CORE),
        ({"VERSION": 0x00FF0000}, DriverError.WRONG_VERSION),
        ({"CONFIG_HASH": SMALL.hash ^ 1}, DriverError.WRONG_CONFIG),
    ],
)
def test_another_core_or_none(make: Make, registers: dict[str, int], error: DriverError) -> None:
    driver = make(probed=False, **registers)
    for _ in range(2):
        assert driver.probe() == error.value
        for function in ("poll", "wait", "stop", "interrupt"):
            assert named(driver(function)) == "NO_CORE"
        assert named(driver.load(WEIGHTS)) == "NO_CORE"
        assert named(driver.begin([1], np.zeros(1, np.uint32))) == "NO_CORE"
    assert not core_of(driver).loaded
    assert not core_of(driver).complaints


def test_a_model_of_another_configuration(make: Make) -> None:
    driver = make(probed=False)
    assert named(driver.probe(SMALL.hash ^ 0x100)) == "WRONG_CONFIG"
    assert named(driver.load(WEIGHTS)) == "NO_CORE"
    assert named(driver.probe()) == "OK"
    works(driver)


def test_nothing_is_done_before_a_probe(make: Make) -> None:
    driver = make(probed=False)
    assert named(driver("stop")) == named(driver("poll")) == named(driver.load(WEIGHTS)) == "NO_CORE"
    driver.c.bus = None
    assert named(driver.probe()) == "BAD_ARGUMENT"


def test_a_probe_begins_anew_where_others_have_left(make: Make) -> None:
    """The processor was reset in the middle of a load packet, with an error unread."""
    driver = make()
    core = core_of(driver)
    core.packet = [0, 5]
    core.failed = True
    core.registers["ERROR"] = Error.LOAD_CUT.value
    assert core.irq
    assert named(driver.probe()) == "OK"
    assert not core.irq
    works(driver)


def test_a_run_of_others_is_busy_until_it_is_stopped(make: Make) -> None:
    driver = make()
    core = core_of(driver)
    core.acts.append(Act(packet(np.random.default_rng(0)), [1]))
    core.write(REGISTERS["CONTROL"].address, 1)
    assert named(driver.probe()) == "OK"
    assert named(driver.load(WEIGHTS)) == "BUSY"
    assert named(driver.run([1, 2], np.zeros(3, np.uint32))) == "BUSY"
    assert named(driver("stop")) == "OK"
    works(driver)


def test_arguments_that_cannot_be(make: Make) -> None:
    driver, one = make(), np.zeros(1, np.uint32)
    assert named(driver.begin([1], one, program=SMALL.layers)) == "BAD_ARGUMENT"
    assert named(driver("begin", 0, words(None, 1), one.ctypes.data, 1)) == "BAD_ARGUMENT"
    assert named(driver("begin", 0, words(one, 1), None, 1)) == "BAD_ARGUMENT"
    assert named(driver("load", None, 1)) == "BAD_ARGUMENT"
    assert named(driver.load([])) == "BAD_ARGUMENT"
    assert named(driver.load()) == "OK"
    works(driver)


# Loading.


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ([9 << 28, 1, 2], Error.LOAD_TARGET),
        ([0 << 28 | SMALL.weights - 1, 1, 2, 3], Error.LOAD_ADDRESS),
        ([1 << 28, 1, 2], Error.LOAD_CUT),
        ([0], Error.LOAD_CUT),
    ],
)
def test_a_packet_that_is_refused(make: Make, wrong: list[int], error: Error) -> None:
    driver = make()
    assert driver.load(CHANNEL, wrong, WEIGHTS) == error.value
    assert ("CHANNELS", 0) in core_of(driver).loaded
    assert ("WEIGHTS", 3) not in core_of(driver).loaded
    works(driver)


def test_a_load_sends_its_words_and_no_more(make: Make) -> None:
    """But for one, behind a probe, which ends what may have been left open."""
    driver = make()
    for _ in range(2):
        core_of(driver).acts.append(Act([1], []))
        assert named(driver.run([1], np.zeros(0, np.uint32))) == "OK"
    assert core_of(driver).load_words == 1
    works(driver)
    assert core_of(driver).load_words == 1 + len(WEIGHTS) + len(CHANNEL)


def test_a_bus_that_fails_anywhere_in_a_load(make: Make) -> None:
    for call in range(1, 30):
        driver = make(call)
        assert named(driver.load(WEIGHTS)) == "OK"
        driver.bus.failing = {driver.bus.moves + call}
        error = named(driver.load(WEIGHTS, CHANNEL))
        assert error == ("TRANSFER_FAILED" if max(driver.bus.failing) <= driver.bus.moves else "OK")
        driver.bus.failing = set()
        works(driver)


def test_a_bus_that_fails_for_ever_in_a_load(make: Make) -> None:
    """Nothing hangs; once it works again, the packet that was left open is ended first."""
    driver = make()
    assert named(driver.load(WEIGHTS)) == "OK"
    driver.bus.failing = set(range(driver.bus.moves + 2, driver.bus.moves + 1000))
    assert named(driver.load(WEIGHTS, CHANNEL)) == "TRANSFER_FAILED"
    assert named(driver.load(WEIGHTS, CHANNEL)) == "TIMED_OUT"
    assert named(driver.run([1], np.zeros(1, np.uint32))) == "TIMED_OUT"
    driver.bus.failing = set()
    works(driver)


# Running.


def test_runs_of_all_kinds(make: Make) -> None:
    """With and without an input and an output, with more room than is needed, one after another."""
    for seed in range(20):
        driver, rng = make(seed), np.random.default_rng(seed)
        for kind in ((1, 1), (1, 0), (0, 1), (0, 0)):
            act = Act(packet(rng) if kind[0] else [], packet(rng) if kind[1] else [])
            core_of(driver).acts.append(act)
            out = np.full(len(act.gives) + 3 * kind[1], 7, np.uint32)
            assert named(driver.run(act.takes, out)) == "OK"
            assert out.tolist() == list(act.gives) + [7, 7, 7] * kind[1]
        works(driver)


def test_it_is_busy_until_it_has_ended(make: Make) -> None:
    driver, out = make(), np.zeros(1, np.uint32)
    core_of(driver).acts.append(Act(range(100), [4]))
    assert named(driver.begin(range(100), out)) == "OK"
    assert named(driver.begin([9], out)) == "BUSY"
    assert named(driver.load(WEIGHTS)) == "BUSY"
    polls = [named(driver("poll")) for _ in range(300)]
    assert polls[0] == "BUSY"
    assert polls[-1] == "OK"
    assert out.tolist() == [4]
    works(driver)


@pytest.mark.parametrize("error", RUN_ERRORS, ids=lambda error: error.name)
def test_every_error_of_a_run(make: Make, error: Error) -> None:
    """Before, while and after the input is taken and the output sent; what was not taken reaches no later run."""
    rng = np.random.default_rng(error.value)
    for seed in range(12):
        driver = make(seed)
        act = Act(packet(rng), packet(rng), error, layer=int(rng.integers(5)))
        act.after = int(rng.integers(len(act.takes) + 1))
        act.given = int(rng.integers(len(act.gives))) if act.after == len(act.takes) else 0
        core_of(driver).acts.append(act)
        out = np.zeros(len(act.gives), np.uint32)
        assert driver.run(act.takes, out) == error.value
        assert driver.c.layer == act.layer
        assert driver("poll") == error.value
        works(driver)


def test_a_stream_that_ends_early(make: Make) -> None:
    """With its last word marked it is the core's error; without, nothing moves any more."""
    for seed in range(10):
        driver, out = make(seed), np.zeros(2, np.uint32)
        core_of(driver).acts.append(Act([1, 2, 3, 4], [5, 6]))
        assert named(driver.run([1, 2, 3], out)) == "STREAM_ENDED_EARLY"
        works(driver)
        core_of(driver).acts.append(Act([1, 2, 3, 4], [5, 6]))
        driver.bus.lose_last = 1
        assert named(driver.run([1, 2, 3], out)) == "TIMED_OUT"
        works(driver)


def test_an_input_that_the_program_does_not_take(make: Make) -> None:
    """The run itself is right, but what was sent is not where it should be, and reaches no later run."""
    driver, out = make(), np.zeros(1, np.uint32)
    core_of(driver).acts.append(Act([], [5]))
    assert named(driver.run([1, 2, 3, 4, 5, 6, 7, 8], out)) == "TIMED_OUT"
    works(driver)


def test_a_bus_that_fails_when_a_run_is_given_up(make: Make) -> None:
    """In each of the first calls by which a packet that the core has begun is ended; the next one ends it."""
    for call in range(1, 5):
        driver = make(call)
        works(driver)
        core_of(driver).acts.append(Act([1, 2, 3, 4], [5, 6], hangs=True, after=2))
        assert named(driver.begin([1, 2, 3, 4], np.zeros(2, np.uint32))) == "OK"
        while len(core_of(driver).taken) < 2:
            assert named(driver("poll")) == "BUSY"
        driver.bus.failing = set(range(driver.bus.moves + 1, driver.bus.moves + 1 + call))
        assert named(driver("stop")) == "OK"
        assert named(driver("poll")) == "STOPPED"
        driver.bus.failing = set()
        works(driver)


def test_a_run_without_end(make: Make) -> None:
    """The core hangs before, in and after its input and its output: given up, and the next one is right."""
    rng = np.random.default_rng(8)
    for seed in range(40):
        driver = make(seed)
        act = Act(packet(rng), packet(rng), hangs=True)
        act.after = int(rng.integers(len(act.takes) + 1))
        act.given = int(rng.integers(len(act.gives))) if act.after == len(act.takes) else 0
        core_of(driver).acts.append(act)
        assert named(driver.run(act.takes, np.zeros(len(act.gives), np.uint32))) == "TIMED_OUT"
        works(driver)


def test_a_core_that_does_not_even_stop(make: Make) -> None:
    driver = make()
    core = core_of(driver)
    core.acts.append(Act([1], [2], hangs=True))
    core._fail = lambda *_: None  # type: ignore[method-assign]
    assert named(driver.run([1], np.zeros(1, np.uint32))) == "TIMED_OUT"
    assert named(driver.run([1], np.zeros(1, np.uint32))) == "BUSY"
    assert named(driver("stop")) == "TIMED_OUT"
    del core._fail
    assert named(driver("stop")) == "OK"
    works(driver)


def test_an_output_larger_than_its_room(make: Make) -> None:
    for room in range(7):
        driver = make(room)
        core_of(driver).acts.append(Act([1, 2], [3, 4, 5, 6, 7, 8]))
        out = np.full(room + 1, 99, np.uint32)
        assert named(driver.run([1, 2], out[:room])) == ("OK" if room == 6 else "BUFFER_SMALL")
        assert driver.c.received == 6 or room == 0
        assert out.tolist() == [*[3, 4, 5, 6, 7, 8][:room], 99]
        works(driver)


def test_a_bus_that_fails_anywhere_in_a_run(make: Make) -> None:
    for call in range(1, 30):
        driver, out = make(call), np.zeros(4, np.uint32)
        assert named(driver.load(WEIGHTS)) == "OK"
        core_of(driver).acts.append(Act([1, 2, 3, 4, 5], [6, 7, 8, 9]))
        driver.bus.failing = {driver.bus.moves + call}
        error = named(driver.run([1, 2, 3, 4, 5], out))
        assert error == ("TRANSFER_FAILED" if max(driver.bus.failing) <= driver.bus.moves else "OK")
        driver.bus.failing = set()
        core_of(driver).acts.clear()
        works(driver)


def test_a_run_that_is_stopped_anywhere(make: Make) -> None:
    rng = np.random.default_rng(2)
    for polls in range(25):
        driver = make(polls)
        act = Act(packet(rng), packet(rng))
        core_of(driver).acts.append(act)
        assert named(driver.begin(act.takes, np.zeros(len(act.gives), np.uint32))) == "OK"
        ended = [driver("poll") for _ in range(polls)][-1:] == [OK]
        assert named(driver("stop")) == "OK"
        assert named(driver("poll")) == ("OK" if ended else "STOPPED")
        works(driver)
    assert named(driver("stop")) == "OK"  # where nothing is under way
    works(driver)


def test_an_output_that_is_cut_is_not_taken_for_a_whole_one(make: Make) -> None:
    """A way that keeps the end of a packet that was cut is not what a bus may be; it is seen."""
    driver = make()
    core_of(driver).acts.append(Act([1], [2, 3]))
    assert named(driver.begin([1], np.zeros(2, np.uint32))) == "OK"
    give = core_of(driver).give
    core_of(driver).give = lambda: (word[0], word[1], word[1]) if (word := give()) else None  # type: ignore[method-assign]
    assert named(driver("wait")) == "TRANSFER_FAILED"


# Interrupts.


def test_an_interrupt_that_nobody_expects(make: Make) -> None:
    """It is named, and has fallen, whether it comes from a run of others or from the load port."""
    driver = make()
    core = core_of(driver)
    assert named(driver("interrupt")) == "UNEXPECTED_INTERRUPT"
    core.done = True
    assert core.irq
    assert named(driver("interrupt")) == "UNEXPECTED_INTERRUPT"
    assert not core.irq
    core.failed = True
    core.registers["ERROR"] = Error.LOAD_CUT.value
    assert named(driver("interrupt")) == "UNEXPECTED_INTERRUPT"
    assert not core.irq
    works(driver)


def test_an_error_that_nobody_has_read_is_told(make: Make) -> None:
    driver = make()
    works(driver)
    core = core_of(driver)
    core.failed = True
    core.registers["ERROR"] = Error.LOAD_ADDRESS.value
    assert named(driver.run([1], np.zeros(1, np.uint32))) == "LOAD_ADDRESS"
    works(driver)


def test_a_handler_ends_the_run_alone(make: Make) -> None:
    """Begin, and then only what interrupts: the end comes through the handler, whenever the interrupt comes."""
    for seed in range(30):
        driver, rng = make(seed), np.random.default_rng(seed)
        if not driver.bus.dma:
            continue
        act = Act(packet(rng), packet(rng))
        core_of(driver).acts.append(act)
        told: list[str] = []
        driver.bus.handler = lambda driver=driver, told=told: told.append(named(driver("interrupt")))
        out = np.zeros(len(act.gives), np.uint32)
        assert named(driver.begin(act.takes, out)) == "OK"
        for _ in range(100):
            driver.bus._passes()
        end = told.index("OK")
        assert set(told[:end]) <= {"BUSY"}
        assert set(told[end + 1 :]) <= {"UNEXPECTED_INTERRUPT"}  # late ones of the DMA
        assert out.tolist() == act.gives
        assert named(driver("poll")) == "OK"
        driver.bus.handler = None
        works(driver)


def test_a_handler_interrupts_the_driver_anywhere(make: Make) -> None:
    """A handler is called in each access at which irq is 1, and the same is told as without it."""
    rng = np.random.default_rng(5)
    for seed in range(120):
        driver = make(seed)
        core = core_of(driver)
        told: list[str] = []
        driver.bus.handler = lambda driver=driver, told=told: told.append(named(driver("interrupt")))
        error = RUN_ERRORS[seed % len(RUN_ERRORS)] if seed % 3 == 1 else Error.NONE
        act = Act(packet(rng), packet(rng), error, layer=seed % 7)
        act.after = int(rng.integers(len(act.takes) + 1))
        core.acts.append(act)
        out = np.zeros(len(act.gives), np.uint32)
        assert driver.run(act.takes, out) == error.value
        assert driver.c.layer == (act.layer if error != Error.NONE else 0)
        if error == Error.NONE:
            assert out.tolist() == act.gives
        assert driver.load(CHANNEL, [1 << 28, 1, 2], WEIGHTS) == Error.LOAD_CUT.value
        assert set(told) <= {"BUSY", "UNEXPECTED_INTERRUPT", named(error.value)}
        works(driver)


def test_others_are_busy_while_a_handler_is_inside(make: Make) -> None:
    """What a handler may not call in between is refused, and disturbs nothing."""
    driver = make()
    told: set[str] = set()
    passes = driver.bus._passes

    def interrupted() -> None:
        told.update(named(driver(name)) for name in ("poll", "stop"))
        told.update((named(driver.load(WEIGHTS)), named(driver("begin", 0, words(None, 0), None, 0))))
        passes()

    driver.bus._passes = interrupted  # type: ignore[method-assign]
    assert named(driver.load(WEIGHTS)) == "OK"
    assert told == {"BUSY"}
    driver.bus._passes = passes  # type: ignore[method-assign]
    works(driver)
