# The two that matter: `make demo` and `make test`. `make help` lists all.
.DEFAULT_GOAL := help
PREFIX ?= /usr/local

help: ## List the targets
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

demo: ## Two clients talk through a gateway on this machine: publish, ack, reply, wildcards, presence, a lost connection
	@cargo build --locked --package realtime-pubsub-examples --bin demo
	@cargo run --quiet --locked --package realtime-pubsub-examples --bin demo

test: ## Everything: formatting, lints, unit, doc, property and integration tests, all languages, with a summary
	@scripts/test.sh

test-%: ## One suite: test-rust, test-c, test-python, test-free-threaded, test-node, test-kotlin, test-swift, test-conformance, test-interop, test-cluster, test-console, test-packaging
	@scripts/test.sh $*

bench: ## The client and the gateway beside bare tokio-tungstenite, in one table; ARGS=--json for JSON
	@cargo run --release --locked --package realtime-pubsub-cli -- bench $(ARGS)

soak: ## Ten minutes of mixed load with reconnects and killed clients; fails if memory grows or anything is left behind
	@cargo run --release --locked --package realtime-pubsub-cli -- bench --soak 10m

bench-load: ## 10,000 connections, 1,000 topics, mixed fan-out: the gateway beside nats-server and Mosquitto where they are installed; ARGS=--json
	@cargo run --release --locked --package realtime-pubsub-cli -- bench --load $(ARGS)

soak-load: ## Ten minutes of half that load with clients that are killed; fails if memory grows or a delivery is missing
	@cargo run --release --locked --package realtime-pubsub-cli -- bench --load --soak 10m $(ARGS)

package: ## Build what users install into target/packages: wheel, npm, C, Kotlin, Swift, crates, command line
	@scripts/package.sh

version-%: ## Change the version number everywhere: version-1.2.3
	@scripts/version.py $*

bench-compare: ## Our clients, the published ones and bare WebSockets beside each other; writes the README's table and chart
	@tests/bench/run.sh

fuzz: ## Fuzz the parsers and the life of a connection for a short while (needs the nightly toolchain and cargo-fuzz)
	@scripts/fuzz.sh

bindings: ## Generate the Kotlin and Swift bindings
	@bindings/uniffi/generate.sh

install: ## Install the C library, its headers, pkg-config file and CMake package below PREFIX
	@bindings/c/install.sh $(PREFIX)

.PHONY: help demo test bench soak bench-load soak-load fuzz bindings install package bench-compare
