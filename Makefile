# What can be done here. On a fresh Debian each target first installs what it lacks (tests/harness/setup).
# `make test-SUITE ARGS="..."` runs one suite, with arguments to pick tests; tests/harness/README.md has more.

HARNESS := tests/harness
ARGS ?=
MINUTES ?= 30
suite = $(HARNESS)/test $(1) $(if $(ARGS),-- $(ARGS))

.PHONY: help setup build install test lint test-check test-unit test-pg test-regress test-isolation test-blackbox \
	test-driver assert-server test-assert soak demo bench psql clean distclean

help:                   ## what the targets do
	@sed -n 's/^\([a-z-]*\): .*##/\1\t/p' Makefile | expand -t 18

setup:                  ## install what is missing: packages (root or sudo), cargo-pgrx, Python environment
	@$(HARNESS)/setup

build: setup            ## build the extension as users run it
	@$(HARNESS)/install release

install: build          ## the same: it lies in a private PostgreSQL in target/pg/release

test:                   ## all suites
	@$(HARNESS)/test

lint:                   ## format, clippy, the project's own rules
	@$(HARNESS)/test fmt clippy check

test-check:             ## the project's own rules: layers, file sizes, SAFETY comments
	@$(call suite,check)

test-unit:              ## unit tests of the pure crates
	@$(call suite,unit)

test-pg:                ## tests inside a server
	@$(call suite,pg)

test-regress:           ## SQL with expected output
	@$(call suite,regress)

test-isolation:         ## concurrent sessions with expected output
	@$(call suite,isolation)

test-blackbox:          ## Python: through psycopg, psql, pg_dump; crashes and replicas
	@$(call suite,blackbox)

test-driver:            ## through a Rust driver
	@$(call suite,driver)

assert-server: setup    ## build PostgreSQL with assertions in target/assert-server
	@$(HARNESS)/assert-server

test-assert:            ## the suites that meet a server, on the server with assertions
	@TSC_PG=assert $(HARNESS)/test regress isolation blackbox driver

soak:                   ## random and concurrent tests for MINUTES=30
	@$(HARNESS)/test soak $(MINUTES)

demo:                   ## load real data and query it
	@$(HARNESS)/setup && $(HARNESS)/install release && demo/run

bench: build            ## measure (benches/)
	@benches/run $(ARGS)

psql: setup             ## psql on a private server that ends with it
	@$(HARNESS)/install dev && $(HARNESS)/psql

clean:                  ## remove all that was built, but not the tools
	@find target -mindepth 1 -maxdepth 1 ! -name tools ! -name venv ! -name assert-server -exec rm -rf {} +

distclean:              ## remove the tools, too
	@rm -rf target
