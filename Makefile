# `make` lists what there is. PYTHON is the Python that .venv is made with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SITE := build/site
TREE := build/tree
FOLDERS := compat interpret predictors jobs commands views
# What is not installed but type-checked and linted with the rest, where it exists.
BESIDE := $(wildcard fixtures benchmarks)
ALLENNLP := allennlp==2.10.1 allennlp-models==2.10.1

export HF_HUB_OFFLINE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# One thread a process is the fastest for models this small, and gives the same numbers everywhere.
SINGLE := OMP_NUM_THREADS=1
WORKERS ?= 2
PYTEST := $(SINGLE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install demo browser test test-all mutate lint typecheck benchmark real fixtures docs docs-site clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with everything in it; quick when nothing changed

# The pins of AllenNLP and its models cannot be met, so they come without their dependencies:
# setup.py declares them.
$(STAMP): setup.py pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV): about two minutes, and a download of the libraries ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,explore,models]'
	@$(BIN)/python -m pip install --quiet --no-deps $(ALLENNLP)
	@$(BIN)/allennlp-saliency enable --no-plugins-file
	@touch $@

# An extra of setup.py that only one target needs: nobody else has to wait for it.
EXTRA := $(VENV)/.extra-

$(EXTRA)%: $(STAMP)
	@echo "Adding the extra '$*' to $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

demo: install ## interpret sentences with five trained models and show the heat maps
	@$(SINGLE) $(BIN)/python -m allennlp_saliency.commands.demo

# The tests of the pages run in it. Only root may install it; the tests say what to do elsewhere.
browser: ## install Chromium (Debian, Ubuntu; as root) for the tests of the pages, if there is none
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ test "$$(id -u)" = 0 && command -v apt-get > /dev/null && \
		echo "Installing Chromium for the tests of the pages ..." && \
		timeout 120 apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive timeout 240 apt-get -qq install --no-install-recommends chromium > /dev/null; } || \
		echo "No Chromium: the tests of the pages are skipped. Install it, e.g.: sudo apt-get install chromium"

test: install browser ## the tests, without the slow ones
	$(PYTEST) -m "not slow and not gpu"

test-all: install $(EXTRA)ray browser ## all tests that this machine can run
	$(PYTEST)

mutate: install $(EXTRA)mutation ## change FILE in many ways, list the changes that no test notices (TESTS=… SAMPLE=…)
	@$(SINGLE) $(BIN)/python -m tests.house.mutate $(FILE) $(TESTS) $(if $(SAMPLE),--sample $(SAMPLE))

lint: install ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# mypy must see the folders where they are installed to, so it looks at a tree of links.
typecheck: install ## mypy on the package as it is installed, the fixtures and the benchmarks
	@rm -rf $(TREE) && mkdir -p $(TREE)/allennlp_saliency
	@ln -s $(abspath $(wildcard allennlp_saliency/*)) $(abspath $(FOLDERS)) $(TREE)/allennlp_saliency
	@$(if $(BESIDE),ln -s $(abspath $(BESIDE)) $(TREE))
	cd $(TREE) && $(abspath $(BIN))/python -m mypy --config-file $(abspath pyproject.toml) \
		--cache-dir $(abspath .mypy_cache) -p allennlp_saliency $(addprefix -p ,$(BESIDE))

benchmark: install $(EXTRA)benchmark ## side by side with the peers; writes benchmarks/RESULTS.md
	$(SINGLE) $(BIN)/python -m benchmarks

real: install $(EXTRA)real ## fetch two trained models, explain real texts; writes docs/real-models.md
	$(SINGLE) $(BIN)/python -W ignore -m benchmarks.real

fixtures: install ## train the fixtures' models again, with the same results
	$(SINGLE) $(BIN)/python -m fixtures.build

docs: install ## write the generated parts of the documentation again
	@set -e; for script in $(wildcard docs/*.py); do \
		echo "$$script"; $(SINGLE) $(BIN)/python $$script; done

docs-site: install $(EXTRA)docs ## the documentation as a site in build/site, to be read offline
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --site-dir $(SITE)
	@echo "Open $(SITE)/index.html in a browser."

clean: ## remove what the other targets made
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
