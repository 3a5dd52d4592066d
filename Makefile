# Everything a newcomer needs: `make demo` to see it, `make check` and `make test` to work on it.

SHELL := /bin/bash
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
# Debian keeps servers in /usr/sbin, which is not on the PATH of an ordinary user.
export PATH := $(PATH):/usr/sbin:/sbin

# Installed packages have their bytecode; without it a daemon takes 50 % longer to start.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
ARGS ?=
WORKERS ?= 4
RELEASE ?=
ONLY ?=
# A file is the unit, in the order of tests/conftest.py: the longest first.
SPREAD = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# What `make demo` and `make run` need, and the tools to try the demo.
SYSTEM_PACKAGES := pdns-server pdns-backend-remote bind9-dnsutils curl
# What `make demo ARGS=--fleet` needs beyond that.
FLEET_PACKAGES := mariadb-server-core
# What the tests need beyond that; mariadb-server-core is the server without a service.
TEST_PACKAGES := pdns-backend-bind pdns-backend-pipe pdns-backend-mysql pdns-backend-lua2 pdns-tools \
	mariadb-server-core mariadb-client-core galera-4 postgresql dnsperf iproute2 \
	libfaketime prometheus knot tini unbound \
	chromium-headless-shell fonts-inter fonts-jetbrains-mono libatomic1 netbase
# What `make bench` compares with, beyond that.
BENCH_PACKAGES := gdnsd haproxy
# What `make matrix` puts into its systems: all that their suites start.
MATRIX_PACKAGES := python3 python3-venv $(SYSTEM_PACKAGES) $(filter-out postgresql prometheus chromium-headless-shell \
	fonts-% libatomic1,$(TEST_PACKAGES))

.PHONY: setup setup-tests demo run check test soak coverage mutants bench pictures docs constraints dist deb \
	matrix test-deb clean help FORCE

help:  ## show this
	@echo 'make TARGET [ARGS="..."]'
	@sed -n 's/^\([a-z-]*\):[^#]*## /  \1\t/p' Makefile | expand -t 12

setup: $(VENV)/.installed  ## install what is missing and build .venv/
	@.ci/packages $(SYSTEM_PACKAGES)

demo: setup  ## targets, the daemon and PowerDNS on this machine; ARGS: --once, --fleet
	@$(if $(findstring --fleet,$(ARGS)),.ci/packages $(FLEET_PACKAGES))
	@$(BIN)/dnslb-backend demo $(ARGS)

run: setup  ## dnslb-backend serve, with ARGS="-c dnslb.toml"
	@$(BIN)/dnslb-backend serve $(ARGS)

check: setup $(VENV)/.installed-dev  ## lint, format, types, layers, sizes
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) --quiet tests/test_layers.py tests/test_sizes.py

test: setup-tests  ## every test except the long ones; ARGS go to pytest
	$(PYTEST) -m "not soak and not debian" $(SPREAD) $(ARGS)

soak: setup-tests  ## the long ones: faults, leaks
	$(PYTEST) -m soak --timeout 3600 $(ARGS)

coverage: setup-tests  ## the branches that the tests do not reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -m "not soak and not debian" $(SPREAD) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

mutants: setup $(VENV)/.installed-mutants  ## small mistakes in the core that its tests do not notice
	$(BIN)/python -m tests.mutants $(ARGS)

bench: setup-tests  ## measure; ARGS go to tests.bench
	@.ci/packages $(BENCH_PACKAGES)
	$(BIN)/python -m tests.bench $(ARGS)

pictures: setup-tests  ## regenerate the pictures of docs/page.md
	$(BIN)/python -m tests.page.pictures

docs: setup-tests  ## make docs/configuration.md and the JSON Schema anew, and try what documents say
	$(BIN)/python -m dnslb_backend.config.reference > docs/configuration.md.new
	mv docs/configuration.md.new docs/configuration.md
	$(BIN)/dnslb-backend schema config > configs/dnslb.schema.json
	$(BIN)/dnslb-backend schema config records > configs/records.schema.json
	$(PYTEST) --quiet tests/test_docs.py tests/config/test_reference.py \
		tests/config/test_json_schema.py tests/system/test_documents.py

constraints:  ## choose the newest versions for the image; ARGS=--verify installs those that it has
	@.ci/constraints $(ARGS)

dist: setup $(VENV)/.installed-dev  ## wheel and source distribution, in dist/
	$(BIN)/python -m build

deb:  ## Debian packages, in dist/; RELEASE=trixie builds that one only
	.ci/deb $(RELEASE)

matrix: setup-tests  ## the suites with other PowerDNS, Python and MariaDB; ONLY=trixie runs that one only
	$(BIN)/python -m tests.matrix $(ONLY) $(ARGS) --packages $(MATRIX_PACKAGES)

test-deb: setup-tests  ## build the Debian packages and try them in fresh systems
	$(PYTEST) -m debian --timeout 3600 tests/packaging/test_debian.py $(ARGS)

clean:  ## remove .venv/ and all else that was built
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* htmlcov
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find dnslb_backend tests -name __pycache__ -prune -exec rm -rf {} +

setup-tests: setup $(VENV)/.installed-dev
	@.ci/packages $(TEST_PACKAGES)

# The stamp names its tree: in a tree that was moved, the scripts of .venv/ point to the old path.
ifneq ($(file <$(VENV)/.installed),$(CURDIR))
$(VENV)/.installed: FORCE
endif

$(VENV)/.installed: pyproject.toml
	@.ci/venv $(VENV)
	$(PIP) install --editable .
	@echo "$(CURDIR)" > $@

# --group is known to pip since 25.1; Debian 12 makes environments with 23.0.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --upgrade 'pip>=25.1'
	$(PIP) install --group dev
	@touch $@

$(VENV)/.installed-mutants: $(VENV)/.installed-dev
	$(PIP) install --group mutants
	@touch $@
