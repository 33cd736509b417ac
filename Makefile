# The two commands of the README are `make demo` and `make test`. Both install what is missing (setup.sh says what and
# why) and can be repeated. Everything is built into one target with one profile.
SHELL   := /bin/sh
CARGO   ?= cargo
TARGET  := $(or $(CARGO_TARGET_DIR),target)
OB_LAB  := $(TARGET)/debug/ob-lab

.PHONY: bench demo explore test test-all setup build lint deny clean-lab

setup:
	@sh acceptance-tests/setup.sh

# tools/protoc goes first: the others ask for it while they are built.
build: setup
	@$(CARGO) build --locked --workspace --bin protoc
	@$(CARGO) build --locked --workspace --bin terraform-provider-ob --bin ob --bin ob-lab

# Two lab hosts, a primary and its standby by terraform, a switchover under load, destroy.
demo: build
	@$(OB_LAB) demo examples/complete/standby

# All tests, the same each time: formatting, lints, unit and contract tests, the plugin under a real terraform, stories
# with real sshd and seekdb, the committed points of both crash sweeps. What CI runs.
test: build lint deny
	@CARGO="$(CARGO)" sh acceptance-tests/test.sh
	@$(TARGET)/debug/ob schema write --check

# Looks where `make test` does not: other points of the sweeps each time, for OB_EXPLORE_MINUTES each. OB_SEED repeats a run.
# With them go the stories that only 1.3 of seekdb has, and the whole life of a pair of it.
explore: build
	@OB_EXPLORE_MINUTES=$(or $(OB_EXPLORE_MINUTES),12) $(CARGO) test --locked --workspace --no-fail-fast --test sweeps -- --nocapture
	@OB_EXPLORE_MINUTES=$(or $(OB_EXPLORE_MINUTES),12) $(CARGO) test --locked --workspace --no-fail-fast --test stories _1_3 -- --nocapture

# Every point of every sweep (hours); the harness of terraform-plugin-testing drives the release build.
test-all: build lint deny
	@$(CARGO) build --locked --release -p terraform-provider-ob --bin terraform-provider-ob
	@OB_TEST_ALL=1 $(CARGO) test --locked --workspace -- --nocapture

# The provider and its peers (ansible, pyinfra, parallel-ssh, OpenSSH, rsync) side by side, as release builds:
# docs/benchmarks.md. PART="a d" measures single parts, OB_BENCH_ROUNDS (5) the rounds. The tables also go to a directory.
bench: setup
	@$(CARGO) build --locked --release -p terraform-provider-ob --bin terraform-provider-ob
	@$(CARGO) build --locked --release -p acceptance-tests --bin ob-bench --bin ob-lab
	@$(TARGET)/release/ob-bench run $(PART) --out $(TARGET)/bench

lint: setup
	@sh tools/shellcheck.sh
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Licences, bans and sources of all dependencies (deny.toml); known vulnerabilities where their database can be reached.
deny: setup
	@sh tools/deny.sh $(TARGET)

clean-lab:
	@$(OB_LAB) gc
