# `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# what the samples' images are built from; with a registry in reach: make demo BASE_IMAGE=python:3.12-slim
BASE_IMAGE ?= localrun-base/python
export BASE_IMAGE

BIN := .venv/bin
TEST_PACKAGES := busybox=busybox-static setpriv=util-linux curl=curl jq=jq git=git
AT_A_DESK := { [ -z "$$CI" ] && echo "The tests that need it are skipped."; }

.PHONY: help demo test lint format docs reference screenshot bench venv docker base clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: venv base ## run the sample that counts cells, and show what it gives
	@rm -rf demo-output
	$(BIN)/localrun run samples/count-cells --inputs samples/count-cells/inputs.json \
	    --build-arg BASE_IMAGE=$(BASE_IMAGE) -o demo-output
	@ls -l demo-output

# at a desk, the tests whose tools or engine are not to be had are skipped; where CI is set, they must be there
test: venv lint ## check everything, on a real engine if one can be had
	@$(MAKE) base || $(AT_A_DESK)
	@.ci/packages $(TEST_PACKAGES) || $(AT_A_DESK)
	@# else, where Python is told to write no bytecode, each command that a test calls compiles all of it
	@$(BIN)/python -m compileall -q localrun
	$(BIN)/python -m pytest -q

lint: venv ## check style, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: venv ## put the code into its usual form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: venv reference ## build the site into build/site, with its links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "build/site/index.html"

reference: venv ## write the pages that are made from the program
	@$(BIN)/python docs/generate.py

screenshot: venv base ## draw the picture of the README anew, from two real runs
	@$(BIN)/python docs/screenshot.py

bench: venv base ## measure against docker run, side by side
	$(BIN)/python benchmarks/run.py

venv: .venv/made ## make .venv with everything that is needed

.venv/made: pyproject.toml .ci/venv
	@.ci/venv $(PYTHON)

docker: ## start a Docker engine where none answers (as root)
	@.ci/engine

base: docker ## make the samples' base images without a registry
	@case "$(BASE_IMAGE)" in localrun-base/*) samples/base/make.sh ;; esac

clean: ## remove what these commands have made here
	rm -rf .venv demo-output build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
