# SPDX-FileCopyrightText: The Drogue IoT Ajour authors
# SPDX-License-Identifier: Apache-2.0

export KO_CONFIG_PATH := ko.yaml
GO ?= go
TOOLS := -modfile=test/tools/go.mod

.PHONY: help build demo test lint fmt fuzz clean

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

build: ## build bin/ajour
	@echo "Compiling bin/ajour; the first time takes some minutes."
	@$(GO) build -trimpath -o bin/ajour ./cmd/ajour

demo: build ## build a firmware on this machine and show it; ONCE=1 ends after that
	@$(GO) run -trimpath ./test/demo $(if $(ONCE),-once)

test: build ## run all tests, after installing the Debian packages that they need
	@test/packages
	$(GO) test -race -timeout 20m ./...

# The cache of the linters keeps paths: another checkout must not share it.
lint: export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint
lint: ## run the linters
	$(GO) tool $(TOOLS) golangci-lint run
	$(GO) mod tidy -diff

fmt: ## format the code
	$(GO) tool $(TOOLS) golangci-lint fmt

fuzz: ## run each fuzz test for FUZZTIME, 10 s if unset
	@test/fuzz "$(or $(FUZZTIME),10s)"

clean: ## remove what was built
	rm -rf bin
