"""The performance counters: one table, from which the hardware, the registers, the drivers and the documentation are made."""

from dataclasses import dataclass

from .config import Config


@dataclass(frozen=True)
class Counter:
    """A performance counter: what is added to it in each cycle of a run, and the registers that it is read from.

    name: of its register; a wide one has two, of 32 bits each, with _LOW and _HIGH behind the name.
    event: the signal that is added. most: the property of the configuration that says how much that may be in one cycle; 1 without.
    built: the one that says whether it is there; always without.
    """

    name: str
    event: str
    meaning: str
    most: str = ""
    built: str = ""
    wide: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Names of its registers, the lower word's first."""
        return (f"{self.name}_LOW", f"{self.name}_HIGH") if self.wide else (self.name,)

    def at_once(self, config: Config) -> int:
        """What is added in one cycle at most."""
        return getattr(config, self.most) if self.most else 1


COUNTERS = (
    Counter("TOTAL_CYCLES", "busy", "cycles from start to the end of the run"),
    Counter("BUSY_CYCLES", "multiplying", "of these, cycles in which a row multiplied"),
    Counter("INPUT_STALLS", "input_stall", "of these, cycles in which a unit of work waited for the input"),
    Counter("OUTPUT_STALLS", "output_stall", "of these, cycles in which an output word waited to be taken"),
    Counter("ENTRY_CYCLES", "entries", "of all rows' cycles, those that took an entry, or ended a window without any", most="rows"),
    Counter("SUM_WAITS", "sum_waits", "of all rows' cycles, those in which the sums of a row waited for others to be drained", most="rows"),
    Counter("RANGE_WAITS", "range_waits", "of all rows' cycles, those in which a row waited for entries to be looked up", most="rows"),
    Counter("USEFUL_MACS", "macs", "nonzero activations times lanes in use", most="pes", wide=True),
    Counter("SKIPPED_ZEROS", "zeros", "zeros in the tensors that were stored", most="zeros_at_once"),
    Counter("WORDS_IN", "word_in", "words taken from the input stream"),
    Counter("WORDS_OUT", "word_out", "words sent to the output stream"),
    Counter(
        "WINNERS_CYCLES",
        "winners",
        "of TOTAL_CYCLES, cycles in which an output waited for being chosen among, or a unit of work for what was chosen; where winners are"
        " built",
        built="some_winners",
    ),
)
"""Their registers are at adjacent addresses, in this order."""


def built_counters(config: Config) -> list[Counter]:
    """Those of a configuration."""
    return [counter for counter in COUNTERS if not counter.built or getattr(config, counter.built)]


def counter_words(config: Config) -> list[str]:
    """The names of their registers."""
    return [word for counter in built_counters(config) for word in counter.words]
