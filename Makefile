# Everything runs in .venv, and the local stack's functions in .venv-lambda; uv makes both from uv.lock.
# `make run` and `make test` set up all that they need.
SHELL := /bin/sh
.DEFAULT_GOAL := help

UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
PY := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
# Where it is set, each of the many processes would compile all its packages again.
export PYTHONDONTWRITEBYTECODE :=
STACK_TESTS := devtools/storm/tests devtools/chaos/tests tests/integration tests/browser
TOOL_TESTS := tests/local tests/console tests/sfn_local devtools benchmarks
CHECK_TESTS := tests/unit tests/ops tests/statemachine tests/infrastructure
EXPORT := export --frozen --quiet --no-dev --no-emit-project

help: ## Show the targets
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{printf "  %-20s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Run it on this machine

run: .venv ## Start the whole pipeline (PORT=3000 EMULATOR_PORT=4566 MODEL=)
	@exec $(PY) -m local run

stop: .venv ## Stop a local stack that was left behind
	@$(PY) -m local stop

token: .venv ## Renew the demo users' tokens in .local/
	@$(PY) -m local token

invoke: .venv ## Run one task of the local stack: make invoke TASK=classify EVENT=billing
	@$(PY) -m local invoke "$(TASK)" "$(EVENT)"

mail: .venv ## Show the mails that the local stack would have sent to the support team
	@$(PY) -m local mail

inbox: .venv ## Show the notifications that the team's tools have received from the local stack
	@$(PY) -m local inbox

rehearse: .venv ## Let the model fail for new tickets, and see what happens (FAULT=throttle|error|slow|deny|malformed N=1)
	@$(PY) -m local rehearse "$(or $(FAULT),deny)" $(or $(N),1)

dashboard: .venv-bench ## Draw the dashboard of the local stack: .local/dashboard.png
	@.venv-bench/bin/python -m devtools.dashboard

##@ Operate it (the local stack; STACK= and PROFILE= for a deployed one)

ticket: .venv ## Show one ticket: state, failure, executions, last log lines (TICKET=)
	@$(PY) -m ops ticket

trace: .venv ## Show one ticket's whole story: executions, states, waits, durations, tokens, cost (TICKET=)
	@$(PY) -m ops trace

console: .venv ## See executions, tickets and numbers in a browser, on this machine only (PORT=8080)
	@exec $(PY) -m console

cost: .venv ## Price what the stack used, by part, per ticket and per million tickets (SINCE=1d)
	@$(PY) -m ops cost

replay: .venv ## Replay failed tickets (TICKET= SINCE=2h ERROR= DRY_RUN=1)
	@$(PY) -m ops replay

recover: .venv ## Replay tickets that only the log still holds (SINCE=14d DRY_RUN=1)
	@$(PY) -m ops recover

dismiss: .venv ## Remove what no replay can fix from the queue (TICKET= or MESSAGE=, REASON="…" SAVE= DRY_RUN=1)
	@$(PY) -m ops dismiss

rollback: .venv ## Return to the versions that the last deployment replaced (DRY_RUN=1)
	@$(PY) -m ops rollback

corrections: .venv ## Save what agents corrected and customers rated, as candidates for the gold set (SINCE=30d SAVE=<file>)
	@$(PY) -m ops corrections

sweep: .venv ## Send stuck tickets to the waiting room now, without waiting for the schedule
	@$(PY) -m ops sweep

digest: .venv ## Send the digest now, without waiting for the schedule
	@$(PY) -m ops digest

verify-aws: .venv ## Check a stack with tickets of its own (DEADLINE=300)
	@exec $(PY) -m ops verify

deploy: .venv ## Deploy to AWS with your own profile, if the model can be called there (STAGE=default|prod ARGS=)
	@$(PY) -m ops.check_model --config-env $(or $(STAGE),default) $(ARGS)
	@$(PY) -m infra.assemble
	.venv/bin/sam build --template-file .template.yaml --config-env $(or $(STAGE),default)
	@$(PY) -m infra.artifact .aws-sam/build
	.venv/bin/sam deploy --config-env $(or $(STAGE),default) $(ARGS)

##@ Change it

unit: .venv ## Run the unit tests: no server, no network
	$(PY) -m pytest -q -n auto tests/unit

check: lint ## Run the linters, and the tests that need no stack
	$(PY) -m pytest -q -n auto $(CHECK_TESTS)

integration: .venv chromium ## Run the tests on whole local stacks
	$(PY) -m pytest -q -n 3 --dist loadfile $(STACK_TESTS)

# What needs no stack runs on every core; then, file by file, what starts stacks: three at a time, because they
# often wait.
test: lint .venv-evals chromium ## Run everything
	$(PY) -m pytest -n auto --durations=15 --cov --cov-report= --cov-fail-under=0 $(CHECK_TESTS) $(TOOL_TESTS) $(addprefix --ignore=,$(STACK_TESTS))
	.venv-evals/bin/python -m pytest -q -n auto --dist loadfile evals
	$(PY) -m pytest -n 3 --dist loadfile --durations=25 --cov --cov-append --cov-report=term $(STACK_TESTS)

chromium: .venv ## Install Chromium for the browser tests, if there is none
	@$(PY) -m tests.browser.chromium

screenshots: .venv chromium ## Draw the pages of the console: docs/images
	@$(PY) -m tests.browser.screenshots

lint: .venv ## Run the linters: locked requirements, generated contract, ruff, mypy, import-linter, cfn-lint
	@$(MAKE) --no-print-directory -j 2 lint-template lint-code

lint-code: .venv
	@$(UV) lock --check --offline --quiet && $(UV) $(EXPORT) | diff functions/requirements.txt - \
		|| { echo "Dependencies have changed: run make requirements."; exit 1; }
	@$(PY) -m api.build --check
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports

lint-template: .venv
	$(PY) -m infra.assemble
	.venv/bin/cfn-lint

format: .venv ## Format the code, and fix what ruff can fix
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

openapi: .venv ## After a change of api/openapi.source.yaml: generate api/openapi.yaml
	@$(PY) -m api.build

docs: .venv ## After a change of the template's parameters: write their table in docs/configuration.md
	@$(PY) -m devtools.parameter_table

requirements: | $(UV) ## After a change of dependencies: write uv.lock and functions/requirements.txt
	@$(UV) lock
	@$(UV) $(EXPORT) > functions/requirements.txt

# The check passes if no stack is running, or if .venv is missing or broken.
clean: ## Remove what the targets made
	@! $(PY) -m local running 2>/dev/null
	rm -rf .venv .venv-lambda .venv-bench .venv-evals .venv-second-opinion .uv .local .aws-sam .template.yaml .coverage* .mypy_cache .ruff_cache .pytest_cache

##@ Prove it

storm: .venv ## Show that overload is latency (SCENARIO=quota|open|outage|replay|pairs N= QUOTA= OUTAGE= SEED=)
	@$(PY) -m devtools.storm

chaos: .venv ## Show that faults lose no accepted ticket (N=500 SEED=)
	@$(PY) -m devtools.chaos

bench: .venv-bench ## Measure speed, memory, size and cost: results.json, docs/performance.md (PARTS=load,single,…)
	@.venv-bench/bin/python -m benchmarks

profile: .venv-bench ## Show where the time of a ticket goes, as a table and a picture (N=20 CONCURRENCY=1)
	@.venv-bench/bin/python -m benchmarks.profile

simulate: .venv-bench ## Simulate a load with an outage of the model (RATE=100 OUTAGE=600 QUOTA=125 RESUME=100 SEED=1)
	@.venv-bench/bin/python -m benchmarks.simulation

fuzz: .venv ## Send what api/openapi.yaml allows, and what it does not, to a local stack (EXAMPLES=2000 SEED=)
	@seed=$(or $(SEED),$$(date +%s)); echo "SEED=$$seed"; FUZZ_SEED=$$seed FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) \
		$(PY) -m pytest -q -s --timeout 1800 tests/integration/test_openapi_conformance.py

eval: .venv-evals ## Measure the triage on labelled tickets (MODEL=bedrock|http…|baseline MODEL_ID= HELD_OUT=1 DATA= MAX_USD=)
	@.venv-evals/bin/python -m evals

eval-compare: .venv-evals ## Compare runs of make eval; fails if B is worse beyond chance (A=<folder> B=<folder>)
	@.venv-evals/bin/python -m evals.compare

test-sfn-local: .venv ## Run the scenarios on AWS Step Functions Local (Docker, or SFN_LOCAL_ENDPOINT=)
	$(PY) -m pytest -q tests/sfn_local --sfn-local

test-second-opinion: .venv ## Compare with other implementations: LocalStack, Apache Velocity
	@$(MAKE) --no-print-directory .venv-second-opinion \
		|| echo "LocalStack could not be installed from PyPI: its tests are skipped."
	$(PY) -m pytest -q tests/second_opinion

# The lock file is the truth; touching the directory tells make that it is up to date.
.venv: pyproject.toml uv.lock .python-version | $(UV) .venv-lambda
	@test -d $@ || echo "Installing the packages into .venv: about 650 MB on disk, once …"
	@# Show the downloads, without uv's list of all packages.
	@{ $(UV) sync --frozen 2>&1 || echo FAILED; } \
		| awk '/^ [-+~] / {next} /^FAILED$$/ {failed = 1; next} {print; fflush()} END {exit failed}' >&2
	@touch .venv

# Lambda's own runtime: its boto3, and nothing of ours.
.venv-lambda: pyproject.toml uv.lock .python-version | $(UV)
	@$(UV) python find >/dev/null 2>&1 || $(UV) python install --quiet 2>/dev/null \
		|| { echo "Python $$(cat .python-version) is needed and could not be downloaded: install it, such as from" \
			"https://www.python.org/downloads, and try again."; exit 1; }
	@UV_PROJECT_ENVIRONMENT=.venv-lambda $(UV) sync --frozen --quiet --only-group lambda-runtime --compile-bytecode
	@touch .venv-lambda

# All of .venv, and what draws the plots.
.venv-bench: pyproject.toml uv.lock .python-version | $(UV) .venv
	@UV_PROJECT_ENVIRONMENT=$@ $(UV) sync --frozen --quiet --group bench
	@touch $@

# All of .venv, and the baseline.
.venv-evals: pyproject.toml uv.lock .python-version | $(UV) .venv
	@UV_PROJECT_ENVIRONMENT=$@ $(UV) sync --frozen --quiet --group evals
	@touch $@

.venv-second-opinion: tests/second_opinion/localstack.txt .python-version | $(UV)
	@$(UV) venv --quiet --clear $@ && $(UV) pip sync --quiet --require-hashes --python $@ $< || { rm -rf $@; exit 1; }
	@touch $@

.uv/bin/uv:
	@echo "Installing uv $(UV_VERSION) into .uv …"
	@python3 -m venv .uv >/dev/null 2>&1 && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) \
		|| python3 local/install_uv.py $(UV_VERSION) $@

.PHONY: help run stop token invoke mail inbox rehearse dashboard ticket trace console cost replay recover dismiss \
	rollback sweep digest verify-aws deploy unit check integration test chromium screenshots lint lint-code \
	lint-template format openapi docs requirements clean corrections eval eval-compare storm chaos bench profile \
	simulate fuzz test-sfn-local test-second-opinion
