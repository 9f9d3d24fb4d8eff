# `make` alone prints the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Most of the tests' time is waiting: five processes keep two cores busy. A file stays in one of them.
AT_ONCE := -n 5 --dist loadfile --no-loadscope-reorder
# Neither a device nor a broker is started in these.
QUICK := host_tests/dual $(patsubst %,host_tests/host/test_%.py, \
	chip_names cloud_docs config_schema docs english features judge manifests map one_device rings)
LONG = $(shell grep -lE 'counts\.get|mark\.soak' host_tests/host/test_*.py)

# Without bytecode every start of `latchkey` compiles its sources: a third of the start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: test-quick wheel pictures kernel deploy firmware selftest size types help setup demo test test-host test-mpy soak lint bench clean

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

NEED_PYTHON := import sys; v = sys.version_info; sys.exit("This needs Python 3.11 or later; $(PYTHON) is %d.%d.%d." % v[:3] if v < (3, 11) else 0)
NEED_NETWORK := The first set-up needs a network, for pip and npm. What pip said is in $(VENV)/pip.log.
# pip takes a package that it was killed over for installed. A pip that fails by itself leaves things as they were.
UNFINISHED := $(VENV)/.unfinished
INSTALL := install --disable-pip-version-check --retries 2 -c constraints.txt -e '.[test]'

$(READY): pyproject.toml constraints.txt $(wildcard tools/node/*.json)
	@$(PYTHON) -c '$(NEED_PYTHON)'
	@echo "Installing pinned packages into $(VENV), once; it takes one to three minutes."
	@test ! -e $(UNFINISHED) || rm -rf $(VENV)
	@mkdir -p $(VENV) && touch $(UNFINISHED)
	@$(PYTHON) -m venv $(VENV) || { echo "This needs Python's venv module (Debian: python3-venv)."; exit 2; }
	@$(BIN)/pip $(INSTALL) > $(VENV)/pip.log 2>&1; status=$$?; test $$status -gt 127 || rm $(UNFINISHED); \
		test $$status = 0 || { echo "Packages were not installed. $(NEED_NETWORK)"; exit 2; }
	@$(BIN)/python -m latchkey_tools.boards.umqtt > /dev/null
	@$(BIN)/python -m latchkey_tools.dev.wasm > /dev/null
	@touch $@

setup: $(READY) ## make .venv with everything pinned
	@echo 'Ready. Ten minutes to see it work: $(BIN)/latchkey practice'

demo: $(READY) ## run the main job on real MicroPython; KEEP=1 leaves it running, V=1 prints every check
	@$(BIN)/latchkey demo $(if $(KEEP),--keep) $(if $(V),-v)

test: $(READY) ## every test, on CPython and on two kinds of MicroPython; TESTS= names files of it
	$(BIN)/python -m pytest $(AT_ONCE) $(TESTS)

test-quick: $(READY) ## under a minute: dual/ on CPython, and tests of host/ that start no device
	$(BIN)/python -m pytest -q -n 2 $(QUICK)

test-host: $(READY) ## the tests on CPython only
	$(BIN)/python -m pytest --deselect host_tests/host/test_dual_on_micropython.py

test-mpy: $(READY) ## the dual tests on MicroPython only, with words of 64 and 32 bits
	$(BIN)/python host_tests/run_mpy.py

soak: $(READY) ## the tests that repeat themselves or take long, with full counts (hours); SOAK=short: some of it
	LATCHKEY_SOAK=$(or $(SOAK),1) $(BIN)/python -m pytest $(AT_ONCE) --timeout=7200 $(or $(TESTS),$(LONG))

pictures: $(READY) ## draw the pictures of the page in docs/pictures anew, in Chromium
	LATCHKEY_PICTURES=1 $(BIN)/python -m pytest -q host_tests/host/test_page.py -k drawn

lint: $(READY) ## ruff (rules and format) and codespell over everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

kernel: $(READY) ## the bignum kernel for every chip, as mip packages in build/kernel
	$(BIN)/python -m latchkey_tools.kernel

deploy: $(READY) ## firmware onto a board with an official image: BOARD= PORT=, REPLACE=1 over files in its way
	$(BIN)/latchkey board deploy --board "$(BOARD)" --port "$(PORT)" $(if $(REPLACE),--replace)

selftest: $(READY) ## walk the table of attacks and vectors on a board: PORT=
	$(BIN)/latchkey board selftest --port "$(PORT)"

# CONTAINER=1 runs it by docker, CONTAINER=podman by podman; paths are the same inside and outside.
IDF := v5.5.2
ENGINE = $(if $(filter 1,$(CONTAINER)),docker,$(CONTAINER))
MOUNTS = $(foreach folder,"$(CURDIR)" "$(abspath $(MICROPYTHON))",-v $(folder):$(folder))
IN_CONTAINER = $(if $(CONTAINER),$(ENGINE) run --rm -u "$$(id -u):$$(id -g)" -e HOME=/tmp $(MOUNTS) espressif/idf:$(IDF))
NEED_IDF = $(if $(CONTAINER),$(ENGINE) is not there: install it,idf.py is not there: activate ESP-IDF (. export.sh) or give CONTAINER=1)
PORT_OPTIONS = -C "$(abspath $(MICROPYTHON))/ports/esp32" BOARD_DIR="$(CURDIR)/boards/$(BOARD)" BUILD="$(CURDIR)/build/firmware/$(BOARD)"

firmware: kernel ## a frozen image with your own MicroPython and ESP-IDF: BOARD= MICROPYTHON=path, CONTAINER=1 for a container
	@test -f "boards/$(BOARD)/mpconfigboard.cmake" || { echo "BOARD= is one of:"; ls boards/*/mpconfigboard.cmake | cut -d/ -f2; exit 2; }
	@test -d "$(MICROPYTHON)/ports/esp32" || { echo "MICROPYTHON= is a checkout of MicroPython 1.29"; exit 2; }
	@command -v $(if $(CONTAINER),$(ENGINE),idf.py) > /dev/null || { echo "$(NEED_IDF)"; exit 2; }
	@$(BIN)/python -m latchkey_tools.boards.page
	$(IN_CONTAINER) make -C "$(abspath $(MICROPYTHON))/mpy-cross"
	$(IN_CONTAINER) make $(PORT_OPTIONS) submodules
	$(IN_CONTAINER) make $(PORT_OPTIONS) all
	@echo "image: build/firmware/$(BOARD)/firmware.bin"

wheel: $(READY) ## the tools, firmware and boards as a wheel in dist/, for pipx or pip
	$(BIN)/python -m latchkey_tools.dev.wheel dist

size: $(READY) ## bytes per module and chip, RAM after import, against budgets
	$(BIN)/python -m latchkey_tools.dev.size

types: $(READY) ## what touches a chip, against the stubs of its port (pyright fetches itself once)
	$(BIN)/pyright --typeshedpath "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

bench: $(READY) ## measure the verifier on both interpreters, and the local API
	$(BIN)/python -m latchkey_tools.dev.bench
	$(BIN)/python host_tests/bench/api_rates.py

clean: ## remove what was built
	rm -rf build dist $(VENV) .pytest_cache .ruff_cache .hypothesis
