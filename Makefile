# What one types: make demo, make test. Everything is installed into .venv; nothing else on the machine is changed.

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2

.PHONY: help demo test test-all formal lint format figures boards docs wheel clean

help:
	@echo "make demo     install, generate the 4x32 preset, run 20 held-out digits on it, draw them to out/digits.png"
	@echo "make test     install, check style and types, run the tests and benches that must hold for every change"
	@echo "make test-all the same with all that is long: more configurations, more random trials, every figure's promise"
	@echo "make formal   prove all properties of the small blocks, and look for all faults planted in them"
	@echo "make install  make .venv and install everything into it"
	@echo "make lint     check style and types            make format   put both in order where a tool can"
	@echo "make figures  measure the README's table again  make docs     write the generated pages again"
	@echo "make boards   build all boards again, four seeds each, and write the README's table of them; takes hours"
	@echo "make wheel    build the package into dist/      make clean    remove what was made, but for .venv"

install: .venv/installed
.PHONY: install

.venv/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, not " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[run,boards,test,lint]"
	@touch $@

demo: install
	$(BIN)/skipgrid generate --preset 4x32 --output out/4x32
	$(BIN)/skipgrid run models/lenet5.onnx models/digits.npz --preset 4x32 --limit 20 --json out/digits.json --draw out/digits.png

test: lint
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup -m "not slow"

test-all: lint
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup --long

formal: install
	$(BIN)/python testbench/prove.py

# The type checker sees the folders under the names they have when installed.
build/names: Makefile
	@mkdir -p build/names/skipgrid
	@ln -sfn ../../../package/__init__.py ../../../package/py.typed build/names/skipgrid/
	@for folder in rtl golden host benches driver fpga reference scripts workloads models; do ln -sfn ../../../$$folder build/names/skipgrid/$$folder; done
	@touch $@

lint: install build/names
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy build/names/skipgrid testbench

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: install
	$(BIN)/skipgrid figures

boards: install
	for board in icebreaker ulx3s-25f ulx3s-25f-lists ulx3s-85f ulx3s-85f-lists tang-nano-9k; do $(BIN)/skipgrid build --board $$board --seeds 4 --record || exit 1; done
	$(BIN)/skipgrid boards --write-readme

docs: install
	$(BIN)/skipgrid docs

wheel: install
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
