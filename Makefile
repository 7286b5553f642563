# Every target works on a fresh clone. Those that need redis-server say so.
.DEFAULT_GOAL := help
.PHONY: help build demo test race lint bench browser fuzz soak picture guards chaos deps ci

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
BUDGET      ?= 10m
ROUNDS      ?= 500
SEED        ?= 1
REPORT      ?= bin/soak.md

help: ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build the command into bin/
	go build -o bin/ ./cmd/mintonce

demo: ## see in under a minute what it is for
	go run ./cmd/demo

test: ## all tests; those over a real Redis need redis-server and say so if they skip
	go test ./...

race: ## all tests with the race detector; redis-server is required
	MINTONCE_REQUIRE_REDIS=1 go test -race ./...

lint: ## formatting, vet, staticcheck
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not formatted, run gofmt -w:"; echo "$$files"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

bench: ## everything beside its plain alternative, in under 10 minutes; needs redis-server; writes docs/benchmarks.md
	cd integration/bench && go run . -out ../../docs

browser: ## the dashboard in headless Chromium; writes docs/dashboard/*.png
	cd integration/browser && MINTONCE_REQUIRE_CHROMIUM=1 go test -update ./...

fuzz: ## each fuzz target for FUZZTIME (10s)
	@go list ./... | while read -r package; do \
	  go test -list '^Fuzz' "$$package" | grep '^Fuzz' | while read -r target; do \
	    echo "$$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	  done || exit 1; \
	done

soak: ## simulate days of faults for BUDGET (10m) on each setting, from new seeds; a page of REPORT (bin/soak.md)
	@mkdir -p $(dir $(REPORT)) && printf '# Soak\n\n%s, %s\n\n' "$$(date -u +%Y-%m-%d)" "$$(git rev-parse --short HEAD)" >$(REPORT)
	MINTONCE_REPORT=$(abspath $(REPORT)) MINTONCE_BUDGET=$(BUDGET) go test -timeout 0 -run 'Memory|Redis|Rotating' ./integration/simulation; code=$$?; cat $(REPORT); exit $$code

picture: ## draw the simulated day of docs/simulation.md anew
	MINTONCE_SEED=3 MINTONCE_PICTURE=$(CURDIR)/docs/simulation/day.svg go test -count 1 -run Memory ./integration/simulation
	MINTONCE_SEED=3 MINTONCE_PICTURE=$(CURDIR)/docs/simulation/burst.svg MINTONCE_PICTURE_FROM=10h7m MINTONCE_PICTURE_SPAN=12m go test -count 1 -run Memory ./integration/simulation

guards: ## take away each guard of the protocol and see who notices, some minutes; writes docs/guards.md
	go run ./integration/mutation -out docs/guards.md

chaos: ## ROUNDS (500) of kill, stop, flush, failover and worse on a real Redis, from SEED (1); writes docs/chaos.md
	MINTONCE_REQUIRE_REDIS=1 MINTONCE_CHAOS_ROUNDS=$(ROUNDS) MINTONCE_CHAOS_SEED=$(SEED) MINTONCE_CHAOS_REPORT=$(CURDIR)/docs/chaos.md \
	  go test -count 1 -timeout 0 -v -run '^TestChaos$$' ./integration

deps: ## prove that the command holds no module that only tests or the demo need
	@! go list -deps ./cmd/mintonce | grep -E 'miniredis|gopher-lua|go-internal|goleak|chromedp|^testing$$|porcupine|opentelemetry' || \
	  { echo "cmd/mintonce depends on packages that only tests need"; exit 1; }
	@! go list -deps ./coordinator | grep '\.' | grep -vE '^(github.com/mintonce/mintonce/coordinator|golang.org/x/sync|vendor/|crypto/)' || \
	  { echo "coordinator depends on more than the standard library and x/sync"; exit 1; }

ci: ## what continuous integration runs
	.ci/run
