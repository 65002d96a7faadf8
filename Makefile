# Thin on purpose: meson builds, tools/ does the rest. BUILD= puts the build elsewhere.
BUILD ?= build
export BUILD

.PHONY: build setup demo test test-all bench install clean
.NOTPARALLEL:

build:
	@command -v meson >/dev/null || { echo "meson is not installed: run 'make setup'" >&2; exit 1; }
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD)
	@ninja -C $(BUILD)

setup:
	@tools/setup

demo: setup build
	@tools/demo

test: setup
	@tools/run-tests

test-all: setup
	@tools/run-tests --all

bench: setup build
	@/usr/bin/python3 tests/bench/bench.py

install: build
	@meson install --no-rebuild -C $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-fuzz
