# SPDX-License-Identifier: MIT
# Everything a person or a machine runs here. `make` alone lists it.

# Downloads live in CACHE, so that `build/` can be removed without the network. A MicroPython
# checkout of your own: MICROPYTHON_DIR=/path/to/micropython.
include tools/setup/place.mk
export CACHE MICROPYTHON_DIR
# The source in CACHE is no git checkout: its version must not come from this project's commits.
export GIT_CEILING_DIRECTORIES = $(CACHE)

# Python's compiled files are kept: hundreds of processes of the tests read them.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
CORES = $(shell nproc)
# Many tests wait for emulators and links: two share a core.
PROCESSES ?= $(shell expr 2 "*" $(CORES))
PYTEST = $(BIN)/python -m pytest -n $(PROCESSES)
NATMOD_ARCHS := armv7m armv7emsp armv7emdp x64
STM32_BOARDS := $(if $(wildcard $(MICROPYTHON_DIR)/lib/stm32lib/CMSIS),$(notdir $(patsubst %/,%,$(dir $(wildcard boards/*/mpconfigboard.mk)))))
MPY_CROSS := $(MICROPYTHON_DIR)/mpy-cross/build/mpy-cross

.PHONY: help setup firmware firmware-flat emulate prove flash check-board sim natmod stock release demo test test-all check tests-of durations fuzz lint bench bench-diff size size-diff memory powercut bootmatrix

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while read -r name what; do \
	    printf '  make %-14s %s\n' "$$name" "$$what"; done

setup:  ## what a fresh Debian 12 lacks: packages, .venv with hsxctl, the MicroPython source
	@mkdir -p build/setup
	@flock build/setup/lock sh -c \
	    'sh tools/setup/apt.sh && sh tools/setup/venv.sh && sh tools/setup/micropython.sh'

firmware: setup  ## the Cortex-M4 firmware, build/qemu_m4/firmware.elf; or BOARD=PYBV11
ifeq ($(BOARD),)
	@$(MAKE) --no-print-directory -C boards/qemu_m4 BUILD=$(PROJECT)/build/qemu_m4
else
	@$(MAKE) --no-print-directory -C boards/stm32 BOARD=$(BOARD)
endif

firmware-flat: setup  ## the same with a 256 KiB heap, for programs that need the flat memory map
	@$(MAKE) --no-print-directory -C boards/qemu_m4 BUILD=$(PROJECT)/build/qemu_m4-flat HEAP=262144

emulate: $(if $(BOARD),firmware,setup)  ## a board with its firmware, emulated: BOARD=PYBV11 SD=card.img FRAM=fram.bin
	@PYTHONPATH=host_tests $(BIN)/python -m stm32.emulate $(or $(BOARD),--help) \
	    $(SD:%=--card=%) $(FRAM:%=--fram=%) $(SEED:%=--seed=%)

# Without a port: the board is emulated, with the firmware that is built here.
PORTS = $(REPL)$(UART)$(CAN)
prove: $(if $(PORTS),setup,$(if $(BOARD),firmware,setup))  ## checks a flashed board, and a report: BOARD=PYBV11 REPL=PORT UART=PORT CAN=can0
	@PYTHONPATH=tools:host_tests $(BIN)/python -m $(if $(PORTS),prove,stm32.prove) $(or $(BOARD),--help) \
	    $(REPL:%=--repl=%) $(UART:%=--uart=%) $(CAN:%=--can=%) $(BITRATE:%=--bitrate=%) \
	    $(if $(filter yes,$(ERASE)),--erase) $(if $(filter yes,$(QUICK)),--quick) $(REPORT:%=--report=%)

flash:  ## writes build/BOARD by DFU, ST-Link or OpenOCD; VIA=dfu, stlink or openocd: only so
	@sh tools/flash/flash.sh boards/$(or $(BOARD),NONE) build/$(BOARD) $(VIA)

check-board: setup  ## a folder of boards/ without hardware: pins, configuration, sizes; BOARD=PYBV11
	@PYTHONPATH=tools $(BIN)/python -m boardcheck boards/$(or $(BOARD),NONE)

sim: setup  ## the node in MicroPython's unix port, build/sim/micropython
	@$(MAKE) --no-print-directory -C boards/sim BUILD=$(PROJECT)/build/sim

natmod: setup  ## packages for stock MicroPython, to install with mip: build/natmod/ARCH
	@for arch in $(NATMOD_ARCHS); do for module in hsxvm hsxed25519; do \
	    $(MAKE) --no-print-directory -C firmware/native/bindings/natmod ARCH=$$arch MOD=$$module \
	        OUT=$(PROJECT)/build/natmod/$$arch || exit 1; done; done
	@PYTHONPATH=tools $(BIN)/python -m release.packages build/natmod

stock: natmod  ## MicroPython without HSX, to try these packages on: build/stock
	@$(MAKE) --no-print-directory -C boards/stock BUILD=$(PROJECT)/build/stock

# STM32 firmware is in a release that is made with a full checkout.
release: firmware natmod  ## wheel, firmware, packages and a manifest of hashes: build/release
	@for board in $(STM32_BOARDS); do \
	    $(MAKE) --no-print-directory -C boards/stm32 BOARD=$$board || exit 1; done
	@PYTHONPATH=tools $(BIN)/python -m release build/release $(STM32_BOARDS)

demo: firmware  ## a node boots from a card, keeps its apps, takes updates, while you watch
	@PYTHONPATH=tools $(BIN)/python -m demo

bench: firmware sim  ## how fast the VM is, on the M4 and here: build/bench.json
	@PYTHONPATH=tools $(BIN)/python -m measure.bench

bench-diff: firmware sim  ## the same, as a change against the run before
	@PYTHONPATH=tools $(BIN)/python -m measure.bench --diff

size: firmware natmod  ## flash, RAM, stack and heap of the C core: build/size.json
	@PYTHONPATH=tools $(BIN)/python -m measure.size

size-diff: firmware natmod  ## the same, as a change against the run before
	@PYTHONPATH=tools $(BIN)/python -m measure.size --diff

memory: firmware  ## where the memory of a node with four apps goes: build/memory.json
	@$(MAKE) --no-print-directory -C boards/qemu_m4 BUILD=$(PROJECT)/build/qemu_m4-bare \
	    FROZEN_MANIFEST=bare/manifest.py
	@PYTHONPATH=tools $(BIN)/python -m measure.memory

# Everything that the tests run on, side by side. Collecting once compiles all of them, which each
# of the processes would do otherwise.
.PHONY: tested collected
tested: lint firmware firmware-flat sim stock collected
collected: setup
	@$(BIN)/python -m pytest --collect-only -q >build/setup/collected.log || \
	    { cat build/setup/collected.log; exit 1; }

test: setup  ## lint, then every test of every tier: build/requirements.json; SHARD=0..7 or all
	@$(MAKE) --no-print-directory -j$(CORES) --output-sync=target tested
	@rm -rf build/requirements build/requirements.json build/refusals.json build/coverage build/coverage.json
	$(PYTEST) --covered --outcomes=build/requirements/tests.json $(SHARD:%=--shard=%) \
	    --ignore=host_tests/test_coverage.py
	@PYTHONPATH=host_tests $(BIN)/python -m covered
	$(BIN)/pytest -q --outcomes=build/requirements/coverage.json host_tests/test_coverage.py
	@PYTHONPATH=host_tests $(BIN)/python -m requirements

test-all:  ## the same with every case of the exhaustive tests, half an hour
	@$(MAKE) --no-print-directory test SHARD=all

check: lint  ## lint, and the quick tests of what differs from the last commit: a minute
	@PYTHONPATH=host_tests $(BIN)/python -m changed check --jobs $(PROCESSES)

tests-of: setup  ## the test files that run F=firmware/hsx/store/bank.py
	@PYTHONPATH=host_tests $(BIN)/python -m changed tests-of $(F)

durations: firmware firmware-flat sim stock  ## measures how long each test takes: host_tests/durations.json
	$(PYTEST) --shard=all --record-durations

fuzz: setup  ## search for faults of the parsers and the core for FUZZ_MINUTES (60): build/fuzz.json
	@PYTHONPATH=host_tests:tools $(BIN)/python -m fuzz.run

powercut: firmware  ## cuts the power at every byte of the store, and on emulated nodes: build/powercut.json
	@$(if $(STM32_BOARDS),$(MAKE) --no-print-directory -C boards/stm32 BOARD=PYBV11)
	$(BIN)/python host_tests/powercut/run.py --jobs $(or $(JOBS),1) $(if $(STM32_BOARDS),,--stm32=0)

bootmatrix: firmware  ## boots from every mix of bank, card and bus, power cuts too: build/bootmatrix.json
	$(BIN)/python host_tests/bootmatrix/run.py --jobs $(or $(JOBS),1)

lint: setup  ## format, style, types, and whether MicroPython's compiler takes the package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --config-file firmware/mypy.ini
	$(BIN)/mypy --config-file boards/mypy.ini
	$(BIN)/mypy
	@sh tools/setup/mpy_cross.sh "$(MPY_CROSS)" build/mpy
