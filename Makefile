# SPDX-FileCopyrightText: The Drogue IoT Ajour authors
# SPDX-License-Identifier: Apache-2.0

export KO_CONFIG_PATH ?= ko.yaml
GO ?= go
TOOLS := -modfile=test/tools/go.mod
# With KUBECONFIG set, the cluster that it names is used, and none is made.
ifdef KUBECONFIG
CLUSTER_ENV := true
else
CLUSTER_ENV := eval "$$(bin/cluster env)"
CLUSTER := cluster
endif

.PHONY: help build demo screenshots test e2e cluster deploy cluster-down kubeconfig lint fmt fuzz bench bench-cluster clean

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

build: ## build bin/ajour, and bin/ajour-step that it needs beside it
	@echo "Compiling bin/ajour; the first time takes some minutes."
	@mkdir -p bin && $(GO) build -trimpath -o bin/ ./cmd/ajour ./cmd/ajour-step

demo: build ## build a firmware on this machine and show it; ONCE=1 ends after that
	@$(GO) run -trimpath ./test/demo $(if $(ONCE),-once)

screenshots: build ## show every page of the web console, in .cache/screenshots
	@test/packages
	@$(GO) run ./test/console/screenshots

test: build ## run all tests that need no cluster; installs Debian packages if run as root
	@test/packages
	$(GO) test -race -timeout 20m $$($(GO) list ./... | grep -v '/test/e2e$$')

e2e: deploy ## run the tests of an installation on a cluster; starts one if KUBECONFIG is unset, as root
	$(CLUSTER_ENV) && $(GO) test -timeout 30m -count=1 ./test/e2e

cluster: ## start a real cluster on this machine, as root
	@test/packages cluster
	@$(GO) build -o bin/cluster ./test/cluster
	@bin/cluster up

deploy: build $(CLUSTER) ## install Ajour on the cluster, with a Drogue registry and an issuer to try it
	@$(CLUSTER_ENV) && test/cluster/deploy

cluster-down: ## end the cluster, and remove all that it left
	@$(GO) build -o bin/cluster ./test/cluster
	@bin/cluster down
	@test/cluster/nothing-left

kubeconfig: ## print the path of the cluster's kubeconfig
	@bin/cluster kubeconfig

# The cache of the linters keeps paths: another checkout must not share it.
lint: export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint
lint: ## run the linters
	$(GO) tool $(TOOLS) golangci-lint run
	$(GO) mod tidy -diff

fmt: ## format the code
	$(GO) tool $(TOOLS) golangci-lint fmt

fuzz: ## run each fuzz test for FUZZTIME, 10 s if unset
	@test/fuzz "$(or $(FUZZTIME),10s)"

bench: ## measure fetch and publish beside git, oras and crane; takes some minutes
	@test/packages
	@$(GO) run ./test/bench

bench-cluster: deploy ## measure triggers, conditions and services on the cluster
	@$(CLUSTER_ENV) && $(GO) run ./test/bench/cluster

clean: ## remove what was built
	rm -rf bin
