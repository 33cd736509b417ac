# The two commands of the README are `make demo` and `make test`. Both install what is missing
# (setup.sh says what and why) and can be repeated. Everything is built into one target directory
# with one profile.
SHELL   := /bin/sh
CARGO   ?= cargo
TARGET  := $(or $(CARGO_TARGET_DIR),target)
OB_LAB  := $(TARGET)/debug/ob-lab

.PHONY: bench demo explore test test-all setup build lint deny clean-lab

setup:
	@sh acceptance-tests/setup.sh

# tools/protoc is built first, because the build of the others calls it.
build: setup
	@$(CARGO) build --locked --workspace --bin protoc
	@$(CARGO) build --locked --workspace --bin terraform-provider-ob --bin ob --bin ob-lab

# Makes two lab hosts, applies a primary and its standby, switches over under load, destroys all.
demo: build
	@$(OB_LAB) demo examples/complete/standby

# Runs all tests, the same each time: formatting, lints, unit and contract tests, the plugin under a
# real terraform, stories with real sshd and seekdb, and the committed points of both crash sweeps.
# CI runs this.
test: build lint deny
	@CARGO="$(CARGO)" sh acceptance-tests/test.sh
	@$(TARGET)/debug/ob schema write --check

# Tries what `make test` does not: other points of each sweep every time, for OB_EXPLORE_MINUTES per
# sweep. OB_SEED repeats a run. It also runs the stories of seekdb 1.3 alone, and the whole life of
# a pair of 1.3.
explore: build
	@OB_EXPLORE_MINUTES=$(or $(OB_EXPLORE_MINUTES),12) $(CARGO) test --locked --workspace \
		--no-fail-fast --test sweeps -- --nocapture
	@OB_EXPLORE_MINUTES=$(or $(OB_EXPLORE_MINUTES),12) $(CARGO) test --locked --workspace \
		--no-fail-fast --test stories _1_3 -- --nocapture

# Tries every point of every sweep, which takes hours. The harness of terraform-plugin-testing
# drives the release build.
test-all: build lint deny
	@$(CARGO) build --locked --release -p terraform-provider-ob --bin terraform-provider-ob
	@OB_TEST_ALL=1 $(CARGO) test --locked --workspace -- --nocapture

# Measures the release build of the provider beside its peers (ansible, pyinfra, parallel-ssh,
# OpenSSH, rsync): docs/benchmarks.md. PART="a d" measures single parts; OB_BENCH_ROUNDS (5) sets
# the number of rounds. The tables are also written to $(TARGET)/bench.
bench: setup
	@$(CARGO) build --locked --release -p terraform-provider-ob --bin terraform-provider-ob
	@$(CARGO) build --locked --release -p acceptance-tests --bin ob-bench --bin ob-lab
	@$(TARGET)/release/ob-bench run $(PART) --out $(TARGET)/bench

lint: setup
	@sh tools/shellcheck.sh
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Checks licences, bans and sources of all dependencies (deny.toml), and known vulnerabilities if
# their database can be reached.
deny: setup
	@sh tools/deny.sh $(TARGET)

clean-lab:
	@$(OB_LAB) gc
