# Everything a fresh machine needs is Python 3.11 and these targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= driftlake.yaml
SEED ?= 1
LOCKED := --generate-hashes --no-emit-index-url --no-header
export PYTHONPATH := $(CURDIR)
# Keep compiled modules, or every test that starts a process compiles ours again.
unexport PYTHONDONTWRITEBYTECODE
# Compiled once here, imported by every run: a cold start takes half the time.
export UV_COMPILE_BYTECODE := 1
export UV_LINK_MODE := copy

.PHONY: demo test ui check lint docs wheel audit sbom bench torture vega lock clean

demo: $(VENV)/.installed  ## the flights example, from raw data to the report
	@$(BIN)/python -m examples.nycflights.build
	@$(BIN)/driftlake lineage add examples/nycflights/data/lineage/*.yaml
	@$(BIN)/driftlake backfill --from 2013-03-01 --to 2013-12-31

# A quick answer while at work: .venv/bin/python -m pytest -n auto --dist loadfile -m "not spark and not services and not processes"
# Many more examples of the properties that cost seconds each: DRIFTLAKE_EXAMPLES=20 (tests/effort.py).
# The tests of a file stay on one worker, so that it makes their fixtures once; the long ones begin (tests/conftest.py).
test: $(VENV)/.spark  ## the whole test suite
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

ui: $(VENV)/.installed  ## Dagster's UI on http://localhost:3000
	@$(BIN)/python -m jobs.ui

check: lint test

lint: $(VENV)/.installed
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-cache --no-logo && $(BIN)/sqlfluff lint -q sql

docs: $(VENV)/.installed  ## regenerate the generated pages of docs/
	@$(BIN)/python docs/generate.py

wheel: $(VENV)/.installed  ## dist/driftlake-*.whl, which needs no checkout; the same files give the same bytes (hatchling)
	@$(BIN)/python -m hatchling build --target wheel

audit: $(VENV)/.installed  ## known vulnerabilities of what the locks install; ends with 2 if no source of advisories answers
	@$(BIN)/python .ci/audit.py requirements-uv.lock requirements.lock requirements-spark.lock

sbom: $(VENV)/.installed  ## dist/driftlake.cdx.json: a bill of materials (CycloneDX) of requirements.lock
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(BIN)/uv tool run --quiet --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --mc-type library -o dist/driftlake.cdx.json requirements.lock

bench: $(VENV)/.installed
	@$(BIN)/python -m bench.nightly

# Without SECONDS every fault has one round. With SECONDS, rounds begin until that time is over, for PostgreSQL until half
# of it, for Spark until a quarter; the last lines of each part name the faults that had none. Later parts run whatever an
# earlier one finds.
torture: $(VENV)/.installed  ## commands under kills, full disks, changed inputs and wrong clocks; SEED and SECONDS
	@failed=0; \
	$(BIN)/python -m bench.crashes --seed $(SEED) $(if $(SECONDS),--seconds $(SECONDS)) || failed=1; \
	$(BIN)/python -m bench.crashes --seed $(SEED) $(if $(SECONDS),--seconds $$(($(SECONDS) / 2))) --catalog postgres || failed=1; \
	$(BIN)/python -m bench.crashes --seed $(SEED) $(if $(SECONDS),--seconds $$(($(SECONDS) / 4))) --engine spark || failed=1; \
	$(BIN)/python -m bench.torture --seed $(SEED) $(if $(SECONDS),--seconds $(SECONDS)) || failed=1; \
	exit $$failed

vega: $(VENV)/.installed  ## after a change of vl-convert in requirements.lock: the library that draws the charts
	@$(BIN)/python -c 'import pathlib, vl_convert as v; pathlib.Path(f"driftlake/report/static/vega-{v.get_vega_version()}.js").write_text(v.javascript_bundle())'

lock: $(VENV)/.uv  ## after a change of the dependencies in pyproject.toml
	@echo uv==0.13.9 | $(BIN)/uv pip compile --quiet --no-annotate $(LOCKED) - -o requirements-uv.lock
	@$(BIN)/uv pip compile --quiet --extra dev $(LOCKED) pyproject.toml -o requirements.lock
	@sed -n 's/^spark = \["\(.*\)"\]$$/\1/p' pyproject.toml | $(BIN)/uv pip compile --quiet --no-annotate $(LOCKED) - -o requirements-spark.lock

$(VENV)/.uv: requirements-uv.lock
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.uv requirements.lock pyproject.toml
	@$(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Spark alone is half a gigabyte, so it has a lock of its own and only who runs its tests waits for it.
$(VENV)/.spark: $(VENV)/.installed requirements-spark.lock
	@$(BIN)/uv pip install --quiet --require-hashes -r requirements-spark.lock
	@touch $@

clean:
	rm -rf $(VENV) .dagster dist warehouse reports examples/nycflights/data
