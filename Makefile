# `make` alone prints the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Most of the tests' time is waiting.
TWO_AT_A_TIME := -n 2 --dist loadfile

.DEFAULT_GOAL := help
.PHONY: deploy firmware selftest size types help setup demo test test-host test-mpy soak lint bench clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || { echo "this needs Python's venv module (Debian: python3-venv)"; exit 2; }
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	$(BIN)/python -m latchkey_tools.umqtt
	$(BIN)/python -m latchkey_tools.wasm
	touch $@

setup: $(READY) ## make .venv with everything pinned

demo: $(READY) ## run the main job on real MicroPython; KEEP=1 leaves it running
	$(BIN)/latchkey demo $(if $(KEEP),--keep)

test: $(READY) ## every test, on CPython and on two kinds of MicroPython
	$(BIN)/python -m pytest $(TWO_AT_A_TIME)

test-host: $(READY) ## the tests on CPython only
	$(BIN)/python -m pytest --deselect host_tests/host/test_dual_on_micropython.py

test-mpy: $(READY) ## the dual tests on MicroPython only, with words of 64 and 32 bits
	$(BIN)/python host_tests/run_mpy.py

soak: $(READY) ## the same tests with full counts (hours)
	LATCHKEY_SOAK=1 $(BIN)/python -m pytest $(TWO_AT_A_TIME) --timeout=7200

lint: $(READY) ## ruff over everything
	$(BIN)/ruff check .

deploy: $(READY) ## firmware onto a board with an official image: BOARD= PORT=, REPLACE=1 over files in its way
	$(BIN)/latchkey board deploy --board "$(BOARD)" --port "$(PORT)" $(if $(REPLACE),--replace)

selftest: $(READY) ## walk the table of attacks and vectors on a board: PORT=
	$(BIN)/latchkey board selftest --port "$(PORT)"

firmware: ## a frozen image with your own MicroPython and ESP-IDF: BOARD= MICROPYTHON=path
	@test -f "boards/$(BOARD)/mpconfigboard.cmake" || { echo "BOARD= is one of:"; ls boards/*/mpconfigboard.cmake | cut -d/ -f2; exit 2; }
	@test -d "$(MICROPYTHON)/ports/esp32" || { echo "MICROPYTHON= is a checkout of MicroPython 1.29"; exit 2; }
	@command -v idf.py > /dev/null || { echo "idf.py is not there: activate ESP-IDF (. export.sh) first"; exit 2; }
	$(MAKE) -C "$(MICROPYTHON)/mpy-cross"
	$(MAKE) -C "$(MICROPYTHON)/ports/esp32" BOARD_DIR="$(CURDIR)/boards/$(BOARD)" BUILD="$(CURDIR)/build/firmware/$(BOARD)" submodules
	$(MAKE) -C "$(MICROPYTHON)/ports/esp32" BOARD_DIR="$(CURDIR)/boards/$(BOARD)" BUILD="$(CURDIR)/build/firmware/$(BOARD)" all
	@echo "image: build/firmware/$(BOARD)/firmware.bin"

size: $(READY) ## bytes per module and chip, RAM after import, against budgets
	$(BIN)/python -m latchkey_tools.size

types: $(READY) ## what touches a chip, against the stubs of its port (pyright fetches itself once)
	$(BIN)/pyright --typeshedpath "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

bench: $(READY) ## measure the verifier on both interpreters, and the local API
	$(BIN)/python -m latchkey_tools.bench
	$(BIN)/python host_tests/bench/api_rates.py

clean: ## remove what was built
	rm -rf build $(VENV) .pytest_cache .ruff_cache .hypothesis
