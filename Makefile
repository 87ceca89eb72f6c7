# SPDX-License-Identifier: MPL-2.0
# Every target sets up what it needs on a fresh Debian machine, and is quick the second time.
SHELL := /bin/bash
# Images are built once and kept outside the checkout; their recipes' content decides.
HULL_IMAGES ?= /var/cache/hull/images
export HULL_IMAGES
# tools/setup.sh says what to type instead.
export MAKECMDGOALS
BIN := .venv/bin
PYTHONS := src tests bench tools

.PHONY: platform help demo up down images check test test-hostile test-lab torture bench setup

help:
	@echo "make demo    a host, an image and a zone from JSON, in a few minutes"
	@echo "make up      bring a host up on this machine     make down    take it down (DESTROY=1: pool too)"
	@echo "make check   format, lint, types, contracts, unit tests"
	@echo "make test    everything CI runs                  make bench   Hull beside its peers (ARGS=--quick)"
	@echo "make platform  the RAM disk of a live host, see docs/platform.md"
	@echo "make torture 10,000 kills, and every failure there can be, in some hours"

setup:
	@tools/setup.sh

demo: setup
	@tools/demo.sh

up: setup
	@bin/hull up

down: setup
	@bin/hull down $(if $(DESTROY),--destroy)

images: setup
	@tools/images.sh
	@tools/native.sh

platform: setup
	@tools/setup.sh platform
	@bin/pibuild $(ARGS)

check:
	@tools/setup.sh dev
	$(BIN)/ruff format --check $(PYTHONS) bin
	$(BIN)/ruff check $(PYTHONS) bin
	$(BIN)/mypy
	PYTHONPATH=src:src/native $(BIN)/lint-imports --no-cache
	$(BIN)/python tools/dead_code.py
	$(BIN)/codespell --skip src/native/python src tests docs bin tools bench image README.md NEWS.md CONTRIBUTING.md
	shellcheck tools/*.sh .ci/run
	shellcheck -s sh platform/initramfs/init platform/root/sbin/init
	shellcheck -x src/native/smf/lib/svc/share/*.sh $$(grep -l "^#!/bin/sh" src/native/smf/lib/svc/method/*)
	$(BIN)/pytest -q tests/unit tests/integration/test_startup.py

test: check images
	@tools/setup.sh dev lab
	HULL_REQUIRE=all $(BIN)/pytest tests/integration
	HULL_REQUIRE=all $(BIN)/pytest tests/smf
	@# An emulated guest takes one processor, and what is hostile to zones and hosts the other.
	$(MAKE) --no-print-directory --jobs=2 --output-sync test-hostile test-lab

test-hostile:
	HULL_REQUIRE=all $(BIN)/pytest tests/isolation
	HULL_REQUIRE=all $(BIN)/pytest tests/acceptance
	HULL_REQUIRE=all $(BIN)/pytest tests/torture

# A guest under emulation may lose a write to its console on a busy machine: once more, then.
test-lab:
	HULL_REQUIRE=all $(BIN)/pytest tests/lab || HULL_REQUIRE=all $(BIN)/pytest --last-failed tests/lab

# Hours: every door of every operation fails and is died at, and 10,000 kills at random.
torture: images
	@tools/setup.sh dev
	HULL_REQUIRE=all HULL_TORTURE=10000 $(BIN)/pytest tests/torture

bench: images
	@tools/setup.sh dev bench
	$(BIN)/python -m bench $(ARGS)
