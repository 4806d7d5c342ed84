"""The C driver by itself: its header says what the tables say, it is small and clean, and its code and numbers are the golden model's."""

import ctypes
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from c_driver import ERRORS, OK, RISCV, STRICT, ZIG, build_library, code_bytes, compiled, missing_symbols, native, write_driver
from cli_support import ROOT
from simulation import SERIAL, SMALL
from skipgrid.driver.errors import DriverError
from skipgrid.driver.header import driver_files
from skipgrid.golden import Activation, CodecError, best_k, decode, encode
from skipgrid.host.compiler.packing import packed
from skipgrid.host.network import dequantise, quantise
from skipgrid.reference.description import describe
from skipgrid.rtl.config import Config, preset
from skipgrid.rtl.descriptor import DESCRIPTOR_WORDS, FIELDS, SLOT_WORDS, Descriptor
from skipgrid.rtl.errors import Error
from tensors import damaged, edge_tensors, sparse

LARGE = preset("1x8").replaced(winners=128, pixel_winners=4, experts=8, experts_chosen=2)  # all that can be built
CONFIGS = {"small": SMALL, "serial": SERIAL, "large": LARGE}
CODE_LIMIT = 4096  # bytes
TENSORS = 10_000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build_library(tmp_path_factory.mktemp("driver"), SMALL)


def address(array: NDArray[np.generic]) -> int:
    return array.ctypes.data


# The files.

NAMES = {"cc": native(), "zig": ZIG, "zig for RISC-V": (*ZIG, *RISCV)}


@pytest.mark.parametrize("compiler", NAMES)
@pytest.mark.parametrize("config", CONFIGS)
def test_compilers_have_nothing_to_say(tmp_path: Path, compiler: str, config: str) -> None:
    write_driver(tmp_path, CONFIGS[config])
    compiled([*NAMES[compiler], *STRICT, "-c", "skipgrid.c", "-o", "skipgrid.o"], tmp_path)


def test_it_is_small_and_needs_nothing(tmp_path: Path) -> None:
    """Under 4 KiB of RV32IM, no library, not even the compiler's own; sentences are only where they are used."""
    write_driver(tmp_path, preset("1x8"))
    (tmp_path / "says.c").write_text(
        '#include "skipgrid.h"\nconst char *says(enum skipgrid_error error) { return skipgrid_sentence(error); }\n', encoding="utf-8"
    )
    for name in ("skipgrid", "says"):
        compiled([*ZIG, *STRICT, *RISCV, "-c", f"{name}.c", "-o", f"{name}.o"], tmp_path)
    assert 2000 < code_bytes(tmp_path / "skipgrid.o") < CODE_LIMIT
    assert missing_symbols(tmp_path / "skipgrid.o") == []
    sentence = DriverError.NO_CORE.sentence.encode()
    assert [sentence in (tmp_path / f"{name}.o").read_bytes() for name in ("skipgrid", "says")] == [False, True]


PROGRAM = """\
#include <stdio.h>
#include "conv.h"
#include "layer_2.h"

static struct conv core;
static struct layer_2 other;

int main(void) {
  printf("%u %u %d %s\\n", (unsigned)CONV_CONFIG_HASH, (unsigned)LAYER_2_CONFIG_HASH, LAYER_2_NO_CORE, conv_name(CONV_LOAD_CUT));
  return conv_poll(&core) == CONV_NO_CORE && layer_2_poll(&other) == LAYER_2_NO_CORE ? 0 : 1;
}
"""


def test_two_of_them_live_in_one_program(tmp_path: Path) -> None:
    """Each identifier begins with its accelerator's name."""
    for name, config in (("conv", SMALL), ("layer_2", LARGE)):
        write_driver(tmp_path, config, name)
        assert not re.findall(r"\bskipgrid(?:_|\.)\w*|\bSKIPGRID\w*", "".join(driver_files(describe(config), name).values()))
    (tmp_path / "program.c").write_text(PROGRAM, encoding="utf-8")
    compiled([*native(), *STRICT, "program.c", "conv.c", "layer_2.c", "-o", "program"], tmp_path)
    said = subprocess.run([tmp_path / "program"], capture_output=True, encoding="utf-8", check=True).stdout
    assert said.split() == [str(SMALL.hash), str(LARGE.hash), str(DriverError.NO_CORE.value), "LOAD_CUT"]


@pytest.mark.parametrize("name", ["number", "move", "core", "words", "_", "A2"])
def test_a_name_that_the_driver_uses_itself(tmp_path: Path, name: str) -> None:
    write_driver(tmp_path, SMALL, name)
    compiled([*native(), *STRICT, "-c", f"{name}.c", "-o", "driver.o"], tmp_path)


def test_its_header_is_one_for_cpp_too(tmp_path: Path) -> None:
    write_driver(tmp_path, LARGE)
    (tmp_path / "alone.cpp").write_text('#include "skipgrid.h"\n', encoding="utf-8")
    compiled(["c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-c", "alone.cpp", "-o", "alone.o"], tmp_path)


def test_two_constants_of_one_name_are_refused() -> None:
    params = describe(SMALL)
    params["registers"]["map"].append(params["registers"]["map"][0])
    with pytest.raises(ValueError, match="two constants of the C header would have one name: REG_IDENTIFICATION"):
        driver_files(params)


# What is changed in the sources of the tables: text, and what stands in its place.
CHANGES = {
    "register_map.py": ('"PROGRAM", 0x01C, _BOTH, "number of the first layer', '"PROGRAM", 0x024, _BOTH, "number of the very first layer'),
    "errors.py": ('LIST_WRONG = _row(18, "a list', 'LIST_WRONG = _row(21, "any list'),
    "descriptor.py": (
        'Field("low", signed(9), "the lower clamp, as y − zero point, before a function"),\n    Field("high", signed(9),',
        'Field("high", signed(9), "the lower clamp, as y − zero point, before a function"),\n    Field("low", signed(9),',
    ),
}
TEXTS = """\
import json
from skipgrid.driver.header import driver_files
from skipgrid.reference.description import describe
from skipgrid.reference.pages import made_pages
from skipgrid.rtl.config import preset
params = describe(preset("4x32"))
print(json.dumps([driver_files(params)["skipgrid.h"], made_pages()["registers.md"], json.dumps(params, ensure_ascii=False)]))
"""


def texts(folder: Path, changes: dict[str, tuple[str, str]]) -> list[str]:
    """Header, page and params.json, as made from the tables with changes in their sources."""
    package = folder / "skipgrid"
    package.mkdir()
    for source in [*(ROOT / "package").glob("*"), *ROOT.glob("[a-z]*/")]:
        (package / source.name).symlink_to(source)
    (package / "rtl").unlink()
    for source in ROOT.glob("rtl/**/*.py"):
        file = package / source.relative_to(ROOT)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8")
        if file.parent == package / "rtl":
            old, new = changes.get(file.name, ("", ""))
            assert old in text
            text = text.replace(old, new, 1)
        file.write_text(text, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", TEXTS], env=environment, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_header_page_and_params_come_from_one_table(tmp_path: Path) -> None:
    """A register, an error and two fields of the descriptor are changed, and all three see it."""
    said = {
        "register": ("0x01cu", "0x024u", "`0x01c`", "`0x024`", '"PROGRAM", "address": 28', '"PROGRAM", "address": 36'),
        "its meaning": ("number of the first layer", "number of the very first layer") * 3,
        "error": ("LIST_WRONG, 18", "LIST_WRONG, 21", "| 18 | `LIST", "| 21 | `LIST", '"code": 18', '"code": 21'),
        "its sentence": ('"a list of', '"any list of', "| a list of", "| any list of", '"a list of', '"any list of'),
        "field": (
            *("descriptor->high & 0x1ffu) << 9", "descriptor->low & 0x1ffu) << 9"),
            *("| 1 | 17…9 | `high`", "| 1 | 17…9 | `low`"),
            *('"high", "word": 1, "low": 9', '"low", "word": 1, "low": 9'),
        ),
    }
    for folder, changes, place in (("before", {}, 0), ("after", CHANGES, 1)):
        (tmp_path / folder).mkdir()
        found = texts(tmp_path / folder, changes)
        for what, words in said.items():
            for number, text in enumerate(found):
                assert words[2 * number + place] in text, (folder, what, number)
                assert words[2 * number + 1 - place] not in text, (folder, what, number)


PAGE = (ROOT / "docs" / "c-api.md").read_text(encoding="utf-8")


def test_the_page_lists_the_drivers_errors() -> None:
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE)
    assert listed == [(str(error.value), error.name, error.sentence) for error in DriverError]


def test_the_pages_buses_compile(tmp_path: Path) -> None:
    """And a core takes the memory that the page says."""
    write_driver(tmp_path, SMALL)
    blocks = [block for block in re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL) if "model.h" not in block]
    (size,) = re.findall(r"^\| memory for each core, RV32IM \| (\d+) bytes", PAGE, re.MULTILINE)
    blocks.append(f'#include "skipgrid.h"\ntypedef char fits[sizeof(struct skipgrid) == {size} ? 1 : -1];\n')
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        (tmp_path / f"block{number}.c").write_text(block, encoding="utf-8")
        compiled([*ZIG, *STRICT, *RISCV, "-c", f"block{number}.c", "-o", f"block{number}.o"], tmp_path)


def test_numbers_of_errors_do_not_meet() -> None:
    assert max(error.value for error in Error) < 256 <= min(error.value for error in DriverError)
    assert len(ERRORS) == len(Error) + len(DriverError)


# Layer descriptors.

PACK = """\
#include "skipgrid.h"
void pack(const struct skipgrid_descriptor *descriptor, uint32_t *words);
void pack(const struct skipgrid_descriptor *descriptor, uint32_t *words) { skipgrid_pack_descriptor(descriptor, words); }
"""


def test_descriptors_are_packed_as_the_host_packs_them(tmp_path: Path) -> None:
    write_driver(tmp_path, SMALL)
    (tmp_path / "pack.c").write_text(PACK, encoding="utf-8")
    compiled([*native(), *STRICT, "-shared", "-fPIC", "pack.c", "-o", "pack.so"], tmp_path)
    pack = ctypes.CDLL(str(tmp_path / "pack.so")).pack
    fields = [field for field in describe(SMALL)["descriptor"]["fields"] if field["meaning"]]
    assert [field["name"] for field in fields] == [field.name for field in FIELDS if field.meaning]
    rng = np.random.default_rng(17)
    for trial in range(200):
        values = {}
        for field in fields:
            low = -(1 << field["width"] - 1) if field["signed"] else 0
            ends = (low, low + (1 << field["width"]) - 1)
            values[field["name"]] = ends[trial] if trial < 2 else int(rng.integers(ends[0], ends[1], endpoint=True))
        given = np.array([value & 0xFFFFFFFF for value in values.values()], np.uint32)
        words = np.full(SLOT_WORDS + 1, 0xDEADBEEF, np.uint32)
        pack(ctypes.c_void_p(address(given)), ctypes.c_void_p(address(words)))
        expected = packed(Descriptor, values).to_bytes(4 * DESCRIPTOR_WORDS, "little")
        assert words[:DESCRIPTOR_WORDS].tobytes() == expected
        assert words[DESCRIPTOR_WORDS:].tolist() == [0] * (SLOT_WORDS - DESCRIPTOR_WORDS) + [0xDEADBEEF]


# The run-length code.


def records(rng: np.random.Generator) -> bytes:
    """TENSORS tensors of all k, sizes and densities, the code's edges among them, and streams that are damaged."""
    found: list[bytes] = []

    def record(words: NDArray[np.uint32], k: int, coded: NDArray[np.uint8] | None, elements: int) -> None:
        head = np.array([k, elements, len(words), coded is not None], np.uint32)
        found.extend((head.tobytes(), b"" if coded is None else coded.tobytes(), words.tobytes()))

    tensors = [(coded, k) for k in range(8) for coded in edge_tensors(k, rng)]
    while len(tensors) < TENSORS:
        size = int(rng.integers(0, 2000) * rng.random() ** 3)
        coded = sparse(rng, size, float(rng.choice([0.0, 1.0, rng.random(), rng.random() ** 0.1])))
        tensors.append((coded, best_k(coded) if rng.random() < 0.3 else int(rng.integers(8))))
    for number, (coded, k) in enumerate(tensors):
        record(encode(coded, k), k, coded, coded.size)
        if number % 10 == 0 and coded.size:
            for words in damaged(coded, k, rng).values():
                try:
                    right = decode(words, coded.size, k)
                except CodecError:
                    record(words, k, None, coded.size)
                else:  # as it is, or coded otherwise
                    assert right.size == coded.size
    return b"".join(found)


def test_the_code_is_the_golden_models(tmp_path: Path) -> None:
    write_driver(tmp_path, SMALL)
    (tmp_path / "codec.c").write_text((ROOT / "testbench" / "driver_codec.c").read_text(encoding="utf-8"), encoding="utf-8")
    sanitizers = "-fsanitize=address,undefined" if native() == ("cc",) else "-fsanitize=undefined"
    compiled([*native(), *STRICT, "-O1", "-g", sanitizers, "-fno-sanitize-recover=all", "codec.c", "skipgrid.c", "-o", "codec"], tmp_path)
    given = records(np.random.default_rng(10))
    done = subprocess.run([tmp_path / "codec"], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) > TENSORS


def test_other_tokens_are_decoded_too(library: ctypes.CDLL) -> None:
    """Tokens that stand for nothing: the code of no encoder, but right."""
    words, bytes_ = np.array([5 << 18], np.uint32), np.full(4, 99, np.uint8)  # twice nothing, then 5, with k = 0
    assert library.skipgrid_decode(ctypes.c_void_p(address(words)), 1, 0, ctypes.c_void_p(address(bytes_)), 1) == OK
    assert bytes_.tolist() == [5, 99, 99, 99]
    assert decode(words, 1, 0).tolist() == [5]


def test_arguments_that_cannot_be(library: ctypes.CDLL) -> None:
    wrong = DriverError.BAD_ARGUMENT.value
    bytes_, words, used = np.zeros(4, np.uint8), np.zeros(4, np.uint32), ctypes.c_uint32(7)
    at_bytes, at_words, at_used = ctypes.c_void_p(address(bytes_)), ctypes.c_void_p(address(words)), ctypes.byref(used)
    encode_it, decode_it = library.skipgrid_encode, library.skipgrid_decode
    assert encode_it(at_bytes, 4, 8, at_words, 4, at_used) == wrong
    assert encode_it(None, 4, 0, at_words, 4, at_used) == wrong
    assert encode_it(at_bytes, 4, 0, None, 4, at_used) == wrong
    assert encode_it(at_bytes, 4, 0, at_words, 4, None) == wrong
    assert used.value == 7
    assert encode_it(at_bytes, 4, 0, None, 0, at_used) == DriverError.BUFFER_SMALL.value
    assert used.value == 1  # asked without room, it says how much it takes
    assert encode_it(None, 0, 0, None, 0, at_used) == OK
    assert used.value == 0
    assert decode_it(at_words, 4, 8, at_bytes, 4) == wrong
    assert decode_it(None, 4, 0, at_bytes, 4) == wrong
    assert decode_it(at_words, 4, 0, None, 4) == wrong
    assert decode_it(None, 0, 0, None, 0) == OK


# The ends of a network.


def quantised(library: ctypes.CDLL, values: NDArray[np.float32], scale: np.float32, held: Activation) -> NDArray[np.uint8]:
    """The coded bytes that C makes of values; it writes so many, and no more."""
    found = np.full(values.size + 1, 0xA5, np.uint8)
    signed = held.dtype == "int8"
    library.skipgrid_quantise(address(values), values.size, float(scale), held.zero_point, int(signed), address(found))
    assert found[-1] == 0xA5
    return found[:-1]


def interesting(scale: np.float32, rng: np.random.Generator) -> NDArray[np.float32]:
    """Values in steps of a scale: of all sizes, halves and their neighbours, any bits, zeros and infinities."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        halves = (np.arange(-300, 300) + np.float32(0.5)).astype(np.float32) * scale
        near = [np.nextafter(halves, np.float32(end)) for end in (np.inf, -np.inf)]
        sizes = (rng.normal(size=600) * 10 ** rng.uniform(-3, 3, 600)).astype(np.float32) * scale
    bits = rng.integers(0, 1 << 32, 200, dtype=np.uint32).view(np.float32)
    values = np.concatenate([halves, *near, sizes, bits, np.array([0.0, -0.0, np.inf, -np.inf], np.float32)]).astype(np.float32)
    return values[~np.isnan(values)]


def scales(rng: np.random.Generator) -> list[np.float32]:
    """Usual ones, powers of two, and those at the ends of float32, the smallest subnormal number among them."""
    usual = np.exp(rng.uniform(-12, 3, 150)).astype(np.float32)
    powers = np.float32(2.0) ** rng.integers(-148, 127, 50).astype(np.float32)
    any_bits = rng.integers(1, 0x7F800000, 100, dtype=np.uint32).view(np.float32)
    ends = np.array([1, 2, 0x7FFFFF, 0x800000, 0x7F7FFFFF], np.uint32).view(np.float32)
    return [np.float32(scale) for scale in (*usual, *powers, *any_bits, *ends)]


def test_quantising_is_numpys(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(3)
    for number, scale in enumerate(scales(rng)):
        held = Activation("int8", int(rng.integers(-128, 128))) if number % 2 else Activation("uint8", int(rng.integers(256)))
        values = interesting(scale, rng)
        with np.errstate(all="ignore"):
            expected = (quantise(values, scale, held).astype(int) - held.zero_point).astype(np.uint8)
        found = quantised(library, values, scale, held)
        wrong = np.flatnonzero(found != expected)
        assert not wrong.size, (scale, held, values[wrong[:3]], found[wrong[:3]], expected[wrong[:3]])


def test_what_is_no_number_is_the_zero_point(library: ctypes.CDLL) -> None:
    values = np.array([0x7F800001, 0x7FC00000, 0xFFC00000, 0xFFFFFFFF], np.uint32).view(np.float32)
    for held in (Activation("uint8", 200), Activation("int8", -3)):
        assert quantised(library, values, np.float32(0.1), held).tolist() == [0] * 4


def test_any_scale_and_zero_point_are_harmless(library: ctypes.CDLL) -> None:
    """What no model has gives some bytes; nothing hangs, nothing is undefined, nothing is written elsewhere."""
    values = interesting(np.float32(1), np.random.default_rng(1))
    found, back = np.full(values.size + 1, 0xA5, np.uint8), np.full(values.size + 1, 7, np.float32)
    for scale in (0.0, -0.0, -1.0, float("inf"), float("nan")):
        for zero_point in (-(1 << 31), -129, 256, (1 << 31) - 1):
            for signed in (0, 1):
                library.skipgrid_quantise(address(values), values.size, scale, zero_point, signed, address(found))
                library.skipgrid_dequantise(address(found), values.size, scale, zero_point, signed, address(back))
    assert (found[-1], back[-1]) == (0xA5, 7)


def test_dequantising_is_numpys(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(4)
    for number, scale in enumerate(scales(rng)):
        held = Activation("int8", int(rng.integers(-128, 128))) if number % 2 else Activation("uint8", int(rng.integers(256)))
        codes = np.arange(held.low, held.high + 1).astype(held.dtype)
        coded = (codes.astype(int) - held.zero_point).astype(np.uint8)
        with np.errstate(all="ignore"):
            expected = dequantise(codes, scale, held)
        found = np.full(257, 7, np.float32)
        signed = int(held.dtype == "int8")
        library.skipgrid_dequantise(address(coded), 256, float(scale), held.zero_point, signed, address(found))
        np.testing.assert_array_equal(found[:256].view(np.uint32), expected.view(np.uint32))
        assert found[256] == 7


def test_a_header_fits_every_configuration() -> None:
    for config in (*CONFIGS.values(), *map(preset, ("1x8", "4x32")), Config()):
        text = driver_files(describe(config))["skipgrid.h"]
        assert "@" not in text
        assert text.isascii() or all(character in "−·…×−θ" for character in text if not character.isascii())
