# What the workflow runs on, from the same lock as `make env` (docs/clusters.md). The code is not in it: it is what lies in
# the folder that is mounted, so an edit needs no new image.
#
#   docker build -t diffusion-anomaly-benchmark .
#   docker build -t diffusion-anomaly-benchmark:cpu --build-arg EXTRA_INDEX=<PyTorch's index of CPU builds> .
#
# The first is for NVIDIA cards (torch's packages bring CUDA, the host its driver) and computes on CPUs too; the second is
# for CPUs alone, and gigabytes smaller.
FROM python:3.11-slim-bookworm

# A package index besides pip's own, preferred where it has a local build (2.13.0+cpu) of the version that is locked.
ARG EXTRA_INDEX=""

SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# DVC and the records ask git; torch.compile's kernels for cards take a C compiler. Their versions matter to no result.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc git libc6-dev \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /environment
COPY pyproject.toml constraints.txt README.md ./

# pip installs no package's dependencies alone: an empty one comes, and goes.
RUN mkdir stages \
    && pip install --no-cache-dir ${EXTRA_INDEX:+--extra-index-url "$EXTRA_INDEX"} --constraint constraints.txt ".[slurm]" \
    && pip uninstall --yes diffusion-anomaly-benchmark \
    && rm -r stages build ./*.egg-info \
    && python -c "import dvc, snakemake, torch"

# Whoever runs it (docker run --user) can write where Matplotlib and others keep their caches.
ENV HOME=/tmp
WORKDIR /benchmark
