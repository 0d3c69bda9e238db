# `make` alone lists the targets: each line below with `##` is its own help.

SHELL   := /bin/sh
GO      ?= go
BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
FUZZTIME ?= 30s

# Packages that are no others with a build tag are not run with it once more:
# scripts/tagged.sh finds the others, and test-race has them all but e2e/process.

# What the race detector does not watch: SQLite, which is C in Go's clothes, and
# the libc below it, where most of its time went. It does watch SQLite's driver.
unwatched := modernc.org/sqlite/lib modernc.org/libc/... modernc.org/memory
race      := -race $(patsubst %,-gcflags=%=-race=false,$(unwatched))

osp_cli  := github.com/osproxy/osproxy/cmd/osp/cli
ospd_cli := github.com/osproxy/osproxy/cmd/ospd/cli

.DEFAULT_GOAL := help
.PHONY: help build demo demo-cluster test test-race test-model test-postgres test-servers test-plain test-image test-all check lint fuzz cover bench soak packaged release-snapshot clean

help: ## print this list
	@echo "usage: make TARGET"
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | \
		awk -F'|' '{ printf "  %-18s %s\n", $$1, $$2 }'

build: ## build bin/osp and bin/ospd (static, no cgo)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X $(osp_cli).version=$(VERSION) -X $(osp_cli).commit=$(COMMIT) -X $(osp_cli).date=$(DATE)' -o $(BIN)/osp ./cmd/osp
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X $(ospd_cli).buildVersion=$(VERSION) -X $(ospd_cli).buildCommit=$(COMMIT)' -o $(BIN)/ospd ./cmd/ospd

demo: build ## start a daemon, put and get 64 MiB, kill a put and resume it
	@OSP_BIN=$(CURDIR)/$(BIN) sh scripts/demo.sh

demo-cluster: build ## three nodes on Postgres and MinIO: put through one, kill it, get through another (needs Postgres, MinIO, curl)
	@OSP_BIN=$(CURDIR)/$(BIN) sh scripts/demo-cluster.sh

test: ## vet and test; needs Go and git, nothing else
	$(GO) vet ./...
	$(GO) test ./...

test-race: ## the same under the race detector, but for those of whole processes (needs a C compiler)
	@command -v "$$($(GO) env CC)" >/dev/null 2>&1 || { \
		echo "test-race needs a C compiler: apt-get install gcc libc6-dev" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test $(race) -timeout 40m $$($(GO) list ./... | grep -v /e2e/process)

test-servers: ## all tests of whole processes and on real S3 servers, with crash points, full disk, large files, browser (needs Linux, root, MinIO, versitygw, Postgres, Chromium)
	@sh scripts/need-servers.sh
	$(GO) vet -tags servers ./e2e/... ./store/...
	$(GO) vet -tags crashpoints ./daemon/... ./cmd/...
	$(GO) vet -tags unlockedcommit ./daemon/meta
	packages=$$(sh scripts/tagged.sh servers ./e2e/... ./store/...) && $(GO) test -tags servers -count=1 -timeout 40m $$packages

test-postgres: ## the tests of the daemon with its metadata on Postgres (needs Postgres and PgBouncer, starts its own servers)
	@sh scripts/need-postgres.sh
	$(GO) vet -tags postgres ./...
	packages=$$(sh scripts/tagged.sh postgres ./daemon/...) && $(GO) test -tags postgres -count=1 -timeout 45m $$packages
	$(GO) test -tags postgres -count=1 -run '^TestPostgres' ./e2e/process

test-model: ## two owners in 2,000 random sequences of 50 steps, with fsck after each; the other models in 200 each; operations held between statements
	$(GO) test ./daemon -count=1 -timeout 20m -run '^TestWhatLivesReads$$' -rapid.checks=2000 -rapid.steps=50
	$(GO) test ./daemon/meta ./daemon/upload ./daemon/file -count=1 -timeout 20m -rapid.checks=200 \
		-run '^(TestSQLite|TestModel|TestChunkModel|TestAnyCutAndAnyRange)$$/^(model|job_model|[01]|mem|local|streamed)$$'
	$(GO) test -tags servers ./daemon/meta -count=1 -timeout 20m -run '^(TestSQLiteInterleaved|TestModelFindsAMissingCheck|TestJobModelFindsAMissingCheck)$$'

test-image: ## the image and the compose files, without a container's engine (needs Linux, root and nginx)
	cd e2e/image && $(GO) vet ./... && $(GO) test -count=1 ./...

test-plain: check test-race test-model test-postgres ## everything that needs no S3 server

test-all: test-plain test-image test-servers fuzz ## everything; fails and says how to get what is missing

check: ## format, vet on every platform, import rules
	@out=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); [ -z "$$out" ] || { \
		echo "not formatted (run gofmt -w):"; echo "$$out"; exit 1; }
	$(GO) vet ./...
	GOOS=darwin CGO_ENABLED=0 $(GO) vet ./cmd/... ./client/... ./store/...
	GOOS=windows CGO_ENABLED=0 $(GO) vet ./cmd/osp/... ./client/...
	$(GO) test -run '^TestArch' ./e2e

lint: ## golangci-lint, with the version that .ci/run pins
	@command -v golangci-lint >/dev/null 2>&1 || { \
		echo "lint needs golangci-lint: $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$$(cat .ci/golangci-lint.version)" >&2; exit 1; }
	golangci-lint run ./...

fuzz: ## run each fuzz target for FUZZTIME (30s), two at a time
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' sh scripts/fuzz.sh

cover: ## test coverage of the whole module, in coverage.out
	$(GO) test -coverpkg=./... -coverprofile=coverage.out ./...
	$(GO) tool cover -func=coverage.out | tail -1

bench: build ## measure beside nginx + curl and other peers (BENCH=put-1g,get-4k ROUNDS=5 PEERS=nginx LARGE=1)
	@GO='$(GO)' OSP_BIN='$(BIN)' BENCH='$(BENCH)' ROUNDS='$(ROUNDS)' PEERS='$(PEERS)' LARGE='$(LARGE)' sh scripts/bench.sh

soak: ## by hand: 200 kills in each direction; put, kill, resume and get 10 GiB (needs 25 GB of disk)
	OSP_E2E_KILLS=200 $(GO) test -count=1 -timeout 1h -v -run '^TestKilled' ./e2e/process
	OSP_E2E_LARGE_MIB=10240 $(GO) test -tags servers -count=1 -timeout 3h -v -run '^TestLargeFile' ./e2e/process

packaged: ## write completions/ and manpages/, as packages have them
	@GO='$(GO)' sh scripts/packaged.sh . '$(VERSION)' '$(DATE)'

release-snapshot: ## build release archives in dist/ (needs goreleaser v2)
	@command -v goreleaser >/dev/null 2>&1 || { \
		echo "release-snapshot needs goreleaser: $(GO) install github.com/goreleaser/goreleaser/v2@v2.16.0" >&2; exit 1; }
	goreleaser release --snapshot --clean

clean: ## remove what the other targets made
	rm -rf $(BIN) dist completions manpages coverage.out
