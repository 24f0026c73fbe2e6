# `make` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# The base image of the samples in tests. `make demo` takes python:3.12-slim if it can be pulled.
BASE_IMAGE ?= localrun-base/python
export BASE_IMAGE

# Processes that run tests, which mostly wait for the engine. 0: one test after the other, in one process.
WORKERS ?= 4

BIN := .venv/bin
TEST_PACKAGES := busybox=busybox-static setpriv=util-linux curl=curl jq=jq git=git \
    docker-registry=docker-registry ip=iproute2
SKIP_LOCALLY := { [ -z "$$CI" ] && echo "Tests that need it are skipped."; }

.PHONY: help demo test examples engines cluster pythons attack lint format docs reference screenshot ui browser ui-test bench venv docker \
    base clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: venv docker ## run the sample that finds nuclei and show its outputs
	@.ci/demo $(if $(filter file,$(origin BASE_IMAGE)),,"$(BASE_IMAGE)")

# Locally, tests are skipped if their tools or the engine are missing. Where CI is set, they fail.
test: venv ## run lint and the tests, on a real engine if possible
	@$(MAKE) base || $(SKIP_LOCALLY)
	@.ci/packages $(TEST_PACKAGES) || $(SKIP_LOCALLY)
	@.ci/buildx build/docker || $(SKIP_LOCALLY)
	@# with PYTHONDONTWRITEBYTECODE, all processes and all commands that tests call would compile the code again
	@$(BIN)/python -m compileall -q localrun
	@# not $$(MAKE), which `make -n` would run
	@.ci/both "make lint PYTHON=$(PYTHON)" \
	    "env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q -n $(WORKERS) --no-loadscope-reorder \
	        --ignore=tests/browser --ignore=tests/cluster -m 'not slow and not examples and not cluster'"

examples: venv ## run the examples of the docs and the samples, on a real engine if possible
	@$(MAKE) base || $(SKIP_LOCALLY)
	@.ci/packages $(TEST_PACKAGES) || $(SKIP_LOCALLY)
	@.ci/buildx build/docker || $(SKIP_LOCALLY)
	$(BIN)/python -m pytest -q -n $(WORKERS) -m 'examples and not slow and not cluster'

# ENGINES: some of those that docs/engines.md lists; all by default. TESTS: test files instead of the usual ones.
# QUICK: if set, a few of the usual ones.
ENGINES ?=
TESTS ?=
QUICK ?=

engines: venv base ## run the engine tests on Docker, Podman and others (as root)
	@.ci/packages $(TEST_PACKAGES)
	@.ci/buildx build/docker
	$(BIN)/python -m tests.support.machines.matrix $(ENGINES) $(if $(QUICK),--quick) $(addprefix --file ,$(TESTS))

# TESTS: a file or folder of tests, such as tests/cluster/test_failures.py.
cluster: venv base ## run tasks on two nodes, each with its own engine and Dask worker (as root)
	@.ci/packages $(TEST_PACKAGES) sshd=openssh-server openssl=openssl
	$(BIN)/python -m pytest -q -m cluster $(or $(TESTS),tests/cluster)

# PYTHONS: versions instead of all that are supported.
PYTHONS ?=

pythons: ## run the tests that need no engine on each supported Python that is installed
	@PYTHONS="$(PYTHONS)" .ci/pythons

# ATTACK_INPUTS: hostile inputs for each parser. ATTACK_EXAMPLES: examples of the tests with random values.
# ATTACK_KILLS: repetitions of the tests that kill processes; KILL_MOMENTS: times that one kills a server.
ATTACK_INPUTS ?= 5000
ATTACK_SEED ?= 1
ATTACK_EXAMPLES ?= 500
ATTACK_KILLS ?= 5
KILL_TESTS ?= tests/faults/test_processes.py tests/manager/test_restart.py
KILL_MOMENTS ?= 50

attack: venv base ## hostile input for the parsers, kills at bad times, and slow tests
	$(BIN)/python -m tests.attack --inputs $(ATTACK_INPUTS) --seed $(ATTACK_SEED)
	HYPOTHESIS_EXAMPLES=$(ATTACK_EXAMPLES) $(BIN)/python -m pytest -q -m 'hypothesis or slow'
	for number in $$(seq $(ATTACK_KILLS)); do \
	    KILL_MOMENTS=$(KILL_MOMENTS) $(BIN)/python -m pytest -q $(KILL_TESTS) || exit 1; \
	done

lint: venv ## check style, types and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: venv ## format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: venv reference ## build the site into build/site and check its links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "build/site/index.html"

reference: venv ## generate docs/reference from the program
	@$(BIN)/python docs/generate.py

screenshot: venv base ui ## draw the pictures of the README from real runs
	@$(BIN)/python docs/screenshot.py
	@.ci/packages chromium=chromium
	@$(BIN)/python docs/page_screenshots.py

ui: venv ## build the web page with Node
	@.ci/ui
	@echo "localrun/server/ui/assets/index.html"

# TESTS: a folder or file of tests, such as tests/browser/test_tasks.py.
browser: venv ui ## test the web page in Chromium, on a real engine if possible
	@.ci/packages chromium=chromium
	@$(MAKE) base || $(SKIP_LOCALLY)
	@.ci/ui test
	$(BIN)/python -m pytest -q -m browser $(or $(TESTS),tests/browser)

ui-test: venv ## test the parts of the web page with Node
	@.ci/ui test

bench: venv base ## measure against docker run, side by side
	$(BIN)/python benchmarks/run.py

venv: .venv/made ## create .venv with everything that is needed

.venv/made: pyproject.toml .ci/venv
	@.ci/venv $(PYTHON)

docker: ## start a Docker engine if none answers (as root)
	@.ci/engine

base: docker ## build the base images of the samples without a registry
	@case "$(BASE_IMAGE)" in localrun-base/*) samples/base/make.sh ;; esac

clean: ## remove everything that these targets created here
	rm -rf .venv demo-output build dist localrun/server/ui/assets localrun/server/ui/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
