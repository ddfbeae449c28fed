# Everything that is typed here; `make help` lists it. Paths are relative: the tree may be anywhere.

.DEFAULT_GOAL := build
.PHONY: help build push sbom release bootstrap system demo test faults soak bench bench-uploaders bench-latency lint format lock clean

PYTHON ?=
KEEP ?=
export PYTHON

# container/image and datalake-sync-vm/ say what they mean.
TAG ?=
REGISTRY ?= cfbregistry.azurecr.io
DOCKER ?=
BASE ?=
BUILD_OPTIONS ?=
PUSH_OPTIONS ?=
export TAG REGISTRY DOCKER BASE BUILD_OPTIONS PUSH_OPTIONS

VENV := .venv/.installed
TOOLS := embedded/node_modules/.installed

help:
	@echo 'make build           the image REGISTRY/sync_to_azure:TAG (TAG=the short commit hash, DOCKER=docker, podman or buildah);'
	@echo '                     make alone does this too'
	@echo 'make push            push it to REGISTRY (cfbregistry.azurecr.io)'
	@echo 'make sbom            a CycloneDX bill of the Python packages in the image, into build/sbom.json'
	@echo 'make release         check that everything is ready for a release, then build sdist and wheel into dist/ and test them'
	@echo 'make demo            upload realistic runs into an embedded Azure and prove that they arrived'
	@echo 'make demo KEEP=1     the same, and keep its folder for inspection'
	@echo 'make test            all checks and tests (ARGS="-e py312" for another Python by name)'
	@echo 'make faults          inject 500 faults and pairs of faults, and check the invariants; takes an hour (SEED=1 RUNS=20 MINUTES=5 LANES=2 CLASSES=link,lock ONLY="AzCopy killed")'
	@echo 'make soak            300 passes while an instrument writes runs, with their resources and leftovers (SEED=1 PASSES=20)'
	@echo 'make bench           speed and memory, compared with AzCopy alone; takes a quarter of an hour'
	@echo 'make bench-uploaders  native uploader, AzCopy and the SDK compared; takes half an hour'
	@echo 'make bench-latency   the same with a round trip of 0, 5 and 20 ms; takes half an hour'
	@echo 'make lint            formatting, style, types, imports only'
	@echo 'make format          format the sources'
	@echo 'make lock            renew the list of what the image installs, by version and hash (container/requirements.lock)'
	@echo 'make bootstrap       install what the others need (each does so automatically)'
	@echo 'make clean           remove everything that the others created'

# What is needed is installed once, and again when its list changes.
$(VENV): setup.py pyproject.toml cronbeat/pyproject.toml
	@bash embedded/bootstrap python

# A look that takes a moment, each time: the tree may have come to another machine.
system:
	@bash embedded/bootstrap system

$(TOOLS): embedded/package-lock.json | system
	@bash embedded/bootstrap tools

bootstrap: system $(VENV) $(TOOLS)

build:
	@bash container/image build

push:
	@bash container/image push

sbom:
	@bash container/image sbom

# The tree, the changelog, the tag, then all tests, then what is built.
release: bootstrap
	@bash .ci/release

demo: bootstrap
	@.venv/bin/python -m embedded.demo $(if $(KEEP),--keep)

# All steps, one after the other; ARGS go to tox.
test: bootstrap
	@bash embedded/bootstrap browser
	@bash embedded/bootstrap database
	@bash embedded/bootstrap deployed
	@.venv/bin/python -m tox run $(ARGS)

# It writes its table into docs/reliability.md.
faults: bootstrap
	@.venv/bin/python -u -m tests.faults --write --runs $(or $(RUNS),500) --minutes $(or $(MINUTES),60) \
	    --lanes $(or $(LANES),4) $(if $(SEED),--seed $(SEED)) $(if $(CLASSES),--classes '$(CLASSES)') \
	    $(if $(ONLY),--only '$(ONLY)')

# Likewise.
soak: bootstrap
	@.venv/bin/python -u -m tests.faults.soak --write --passes $(or $(PASSES),300) $(if $(SEED),--seed $(SEED))

# All of them, even if one misses its target; the exit code tells.
bench: bootstrap
	@failed=0; for each in first_pass idle_pass memory; do \
	    .venv/bin/python -u -m benchmarks.$$each $(if $(FOLDER),--folder $(FOLDER)) || failed=1; echo; \
	done; exit $$failed

# PARTS="reads killed" measures these again; FOLDER as above.
bench-uploaders: bootstrap
	@bash embedded/bootstrap bench
	@.venv/bin/python -u -m benchmarks.uploaders $(if $(FOLDER),--folder $(FOLDER)) $(PARTS)

# ARGUMENTS="--quick", "--minutes 20"; goes on where it was stopped.
bench-latency: bootstrap
	@bash embedded/bootstrap bench
	@.venv/bin/python -u -m benchmarks.latency $(if $(FOLDER),--folder $(FOLDER)) $(ARGUMENTS)

lint: $(VENV)
	@.venv/bin/python -m tox run -e lint

# What the image installs, by version and hash.
lock: $(VENV)
	@.venv/bin/python container/lock

format: $(VENV)
	@.venv/bin/python -m black .

clean:
	rm -rf .venv .tox build dist *.egg-info .mypy_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf embedded/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
