# `make` alone lists the targets. Everything works from a fresh clone: what a
# target needs and can be made, it makes. Go and Python tools are pinned in
# tools/go.mod and requirements/dev.txt, the UI's in backend/ui/web/package-lock.json.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV_PYTHON := $(CURDIR)/.venv/bin/python
TOOLS := $(CURDIR)/.tools
WEB := backend/ui/web
MODULES := apps/articles backend tracing/go tracing/go/tracegen tracing/go/tracelint
# Tests and benchmarks against other packages, whose dependencies stay out of the workspace.
APART := tracing/go/bench bench/otlpload bench/floor
# Those whose code runs concurrently.
RACE_MODULES := apps/articles backend tracing/go

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: up
up: bin/throughline ## run the whole system (PORT_OFFSET=1000 moves every port)
	@exec bin/throughline up --port-offset $(or $(PORT_OFFSET),0)

.PHONY: test
test: export PYTEST_COVER = --cov
test: need-node need-chromium need-gcc check test-race test-alone browser e2e deploy ## set up what is missing and run every test

.PHONY: check
check: check-go check-python check-ui ## lint, format, types and unit tests

.PHONY: bin/throughline
bin/throughline:
	@command -v go >/dev/null || { echo 'go is not on PATH: install Go 1.26 or newer' >&2; exit 1; }
	@go build -o $@ ./backend/cmd/throughline

# Go

GO_TOOLS := $(TOOLS)/staticcheck $(TOOLS)/gofumpt $(TOOLS)/benchstat
$(GO_TOOLS) &: tools/go.mod
	cd tools && GOWORK=off GOBIN=$(TOOLS) go install tool
	@touch $(GO_TOOLS)

.PHONY: check-go
check-go: $(GO_TOOLS)
	@unformatted=$$($(TOOLS)/gofumpt -l apps backend tracing tools); \
	  if [ -n "$$unformatted" ]; then echo "not gofumpt-formatted (make fmt):" $$unformatted >&2; exit 1; fi
	@for m in $(MODULES); do (cd $$m && go vet -tags e2e ./... && $(TOOLS)/staticcheck -tags e2e ./...); done
	cd tracing/go/tracelint && go build -o $(TOOLS)/tracelint .
	@for m in apps/articles tracing/go; do (cd $$m && $(TOOLS)/tracelint ./...); done
	TRACEGEN_CHECK=1 go generate -run tracegen ./apps/articles/...
	@for m in $(APART); do (cd $$m && GOWORK=off go vet ./... && GOWORK=off $(TOOLS)/staticcheck ./...); done
	cd tools && GOWORK=off go vet ./... && GOWORK=off go test ./...
	go test $(MODULES:%=./%/...)

.PHONY: test-race
test-race:
	go test -race -timeout 30m $(RACE_MODULES:%=./%/...)

# Each module builds and passes without the workspace too, as its users have it.
.PHONY: test-alone
test-alone:
	@for m in $(MODULES) $(APART); do echo "$$m, GOWORK=off"; (cd $$m && GOWORK=off go test ./...); done

# Python

DEV_STAMP := .venv/.dev-requirements
$(DEV_STAMP): requirements/dev.txt tracing/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo 'Python 3.10 or newer is needed: install python3 and its venv module' >&2; exit 1; }
	test -x $(VENV_PYTHON) || $(PYTHON) -m venv .venv
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e tracing/python
	@touch $@

.PHONY: check-python
check-python: $(DEV_STAMP)
	.venv/bin/ruff format --check tracing/python apps/suggestions
	.venv/bin/ruff check tracing/python apps/suggestions
	cd tracing/python && $(VENV_PYTHON) -m mypy && $(VENV_PYTHON) -m pyright --pythonpath $(VENV_PYTHON)
	cd tracing/python && $(VENV_PYTHON) -m pytest -q $(PYTEST_COVER)
	cd apps/suggestions && $(VENV_PYTHON) -m mypy && $(VENV_PYTHON) -m pytest -q
	cd apps/suggestions && $(VENV_PYTHON) -m throughline_tracing.check suggestions \
	  --ignore 'suggestions.config.*' --ignore 'suggestions.server.*' --ignore 'suggestions.views.*'

.PHONY: cover-python
cover-python: $(DEV_STAMP) ## the Python package's coverage by branches, at least 98 % (make test measures it too)
	cd tracing/python && $(VENV_PYTHON) -m pytest -q --cov

# UI

.PHONY: need-node
need-node:
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' 2>/dev/null || { echo 'Node 20 or newer is needed for the UI and its tests: install the package nodejs (with npm)' >&2; exit 1; }
	@command -v npm >/dev/null || { echo 'npm is needed for the UI and its tests: install the package npm' >&2; exit 1; }

.PHONY: need-chromium
need-chromium:
	@test -x /usr/bin/chromium || { echo 'Chromium is needed for the browser tests: install the package chromium (/usr/bin/chromium)' >&2; exit 1; }

.PHONY: need-gcc
need-gcc:
	@command -v gcc >/dev/null || { echo 'gcc is needed for the race detector: install the package gcc' >&2; exit 1; }

WEB_STAMP := $(WEB)/node_modules/.package-lock.json
$(WEB_STAMP): $(WEB)/package-lock.json
	cd $(WEB) && npm ci --silent
	@touch $@

.PHONY: ui
ui: need-node $(WEB_STAMP) ## rebuild the UI's bundle, which is committed
	cd $(WEB) && npm run --silent build

.PHONY: check-ui
check-ui: need-node $(WEB_STAMP)
	cd $(WEB) && npm run --silent typecheck && npm run --silent lint && npm run --silent test && npm run --silent check-bundle

.PHONY: browser
browser: need-node need-chromium $(WEB_STAMP) bin/throughline
	cd $(WEB) && npm run --silent browser

# The whole system

.PHONY: e2e
e2e: need-node need-chromium bin/throughline $(DEV_STAMP) $(WEB_STAMP)
	cd backend && go test -tags e2e -count 1 ./e2e/...

# What is shipped to run elsewhere: compose files, images, configurations, a real Collector. Its modules are many.
.PHONY: deploy
deploy: $(DEV_STAMP)
	cd tools/deploy && GOWORK=off go test -count 1 ./...

.PHONY: bench
bench: $(GO_TOOLS) $(DEV_STAMP) ## run the benchmarks and print their tables
	go test -run '^$$' -bench . -benchmem $(MODULES:%=./%/...)
	cd tracing/go/bench && GOWORK=off go test -run '^$$' -bench . -benchmem ./...
	cd backend && go test -tags e2e -run '^$$' -bench . -benchtime 300x ./e2e
	cd tracing/python && $(VENV_PYTHON) benchmarks/decorator.py
	cd tracing/python && $(VENV_PYTHON) benchmarks/middleware.py
	@if [ "$$(uname)" = Linux ]; then $(MAKE) bench-store; fi

# The whole server under load, against its floor and its peers; Linux only.
.PHONY: bench-store
bench-store: bin/throughline bin/otlpload bin/floor ## the server's figures alone: 1,000,000 spans, three times
	$(PYTHON) bench/measure.py --server bin/throughline --load bin/otlpload --floor bin/floor

.PHONY: bench-large
bench-large: bin/throughline bin/otlpload ## 10,000,000 spans, once: needs 8 GB of memory and 2 GB of disk
	$(PYTHON) bench/measure.py --server bin/throughline --load bin/otlpload --spans 10000000 --runs 1

.PHONY: bin/otlpload bin/floor
bin/otlpload bin/floor:
	cd bench/$(@F) && GOWORK=off go build -o $(CURDIR)/$@ .

.PHONY: fmt
fmt: $(GO_TOOLS) $(DEV_STAMP) need-node $(WEB_STAMP) ## format everything
	$(TOOLS)/gofumpt -w apps backend tracing tools
	.venv/bin/ruff format tracing/python apps/suggestions
	.venv/bin/ruff check --fix tracing/python apps/suggestions
	cd $(WEB) && npm run --silent fmt

.PHONY: clean
clean: ## remove what was built or installed (data of .throughline too)
	rm -rf bin .tools .venv .throughline $(WEB)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
