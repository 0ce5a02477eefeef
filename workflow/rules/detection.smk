# Slices -> noise, the latents -> healthy reconstructions and anomaly maps.


# Encoding to the largest L passes all others and does not know s: one job a class (and repeat), for every method that
# encodes so.
rule latents:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        denoiser="results/{benchmark}/checkpoints/{repeat}/denoiser.safetensors",
        code=code("stages.detection.latents"),
    output:
        directory("results/{benchmark}/latents/{repeat}/{encode_class}"),
    log:
        "results/{benchmark}/logs/latents/{repeat}/{encode_class}.log",
    wildcard_constraints:
        encode_class="healthy|diseased|none",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        parameters=section("latents", "encode_class"),
        splits=splits,
        state="results/{benchmark}/state/{repeat}/latents/{encode_class}",
    shell:
        "python -m stages.detection.latents --parameters {params.parameters:q} --encode-class {wildcards.encode_class} "
        "--data {input.data} --split-list {input.split} --splits {params.splits} --denoiser {input.denoiser} "
        "--output {output} --state {params.state} --threads {threads} 3>&2 2>&1 | tee -i {log}"


# Each method by the module of its detector. A new s decodes only itself; a new L encodes again and thus decodes all that
# start from the same encoding. (With `ancient` around the latents, Snakemake 9.27 encodes and then forgets the new jobs
# until it is called again.)
rule detect:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        latents=latents_of,
        checkpoints=checkpoints_of(detect_networks),
        code=lambda wildcards: code(detector_module(wildcards)),
    output:
        directory("results/{benchmark}/maps/{repeat}/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/detect/{repeat}/{method}/{setting}.log",
    wildcard_constraints:
        method=one_of(own_methods()),
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        module=detector_module,
        parameters=detect_section,
        networks=arguments_of(detect_networks),
        latents=latents_argument,
        splits=splits,
        state="results/{benchmark}/state/{repeat}/maps/{method}/{setting}",
    shell:
        "python -m {params.module} --parameters {params.parameters:q} --data {input.data} "
        "--split-list {input.split} --splits {params.splits} --networks {params.networks} {params.latents} "
        "--output {output} --state {params.state} --threads {threads} 3>&2 2>&1 | tee -i {log}"


# Maps of a few slices by several solvers and strides, and what each of them took.
rule trade_off_maps:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        checkpoints=checkpoints_of(sampled_networks("trade_off_maps")),
        code=code("stages.detection.trade_off_maps"),
    output:
        directory("results/{benchmark}/maps/{repeat}/_trade_off"),
    log:
        "results/{benchmark}/logs/trade_off_maps/{repeat}.log",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 720 * attempt,
    params:
        parameters=section("trade_off_maps"),
        networks=arguments_of(sampled_networks("trade_off_maps")),
        split=trade_off_split,
        state="results/{benchmark}/state/{repeat}/maps/_trade_off",
    shell:
        "python -m stages.detection.trade_off_maps --parameters {params.parameters:q} --data {input.data} "
        "--split-list {input.split} --split {params.split} --networks {params.networks} --output {output} "
        "--state {params.state} --threads {threads} 3>&2 2>&1 | tee -i {log}"


# One slice on its way to noise and back, for Fig. 1.
rule trajectory:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        checkpoints=checkpoints_of(sampled_networks("trajectory")),
        code=code("stages.detection.trajectory"),
    output:
        directory("results/{benchmark}/maps/{repeat}/_trajectory"),
    log:
        "results/{benchmark}/logs/trajectory/{repeat}.log",
    retries: 1
    conda:
        "../../environment.yml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        parameters=section("trajectory"),
        networks=arguments_of(sampled_networks("trajectory")),
        state="results/{benchmark}/state/{repeat}/maps/_trajectory",
    shell:
        "python -m stages.detection.trajectory --parameters {params.parameters:q} --data {input.data} "
        "--split-list {input.split} --split test --networks {params.networks} --output {output} "
        "--state {params.state} --threads {threads} 3>&2 2>&1 | tee -i {log}"
