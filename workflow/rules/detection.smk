# Slices -> noise, the latents -> healthy reconstructions and anomaly maps.


# Where detection.shards is more than 1, shards are jobs of their own, on a card each, and a join on this machine makes the
# folder out of them; the rule that does all slices at once is what Snakemake falls back to.
localrules:
    join_latents,
    join_maps,


ruleorder: join_latents > latents
ruleorder: join_maps > detect


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
        runtime=minutes,
    params:
        parameters=section("latents", "encode_class"),
        splits=splits,
        shard="",
        state="results/{benchmark}/state/{repeat}/latents/{encode_class}",
    shell:
        "python -m stages.detection.latents --parameters {params.parameters:q} --encode-class {wildcards.encode_class:q} "
        "--data {input.data:q} --split-list {input.split:q} --splits {params.splits:q} --denoiser {input.denoiser:q} "
        "--output {output:q} --state {params.state:q} {params.shard:q} --threads {threads} 3>&2 2>&1 | tee -i {log:q}"


use rule latents as latents_shard with:
    output:
        temp(
            directory(
                "results/{benchmark}/state/{repeat}/shards/latents/{encode_class}/{shard}"
            )
        ),
    log:
        "results/{benchmark}/logs/latents_shard/{repeat}/{encode_class}/{shard}.log",
    wildcard_constraints:
        encode_class="healthy|diseased|none",
        shard="[1-9][0-9]*-of-[1-9][0-9]*",
    params:
        parameters=section("latents", "encode_class"),
        splits=splits,
        shard=lambda wildcards: ["--shard", wildcards.shard],
        state="results/{benchmark}/state/{repeat}/latents/{encode_class}/{shard}",


rule join_latents:
    input:
        shards=shards(
            "results/{benchmark}/latents/{repeat}/{encode_class}",
            "results/{benchmark}/state/{repeat}/shards/latents/{encode_class}",
        ),
        code=code("stages.detection.join"),
    output:
        directory("results/{benchmark}/latents/{repeat}/{encode_class}"),
    log:
        "results/{benchmark}/logs/join_latents/{repeat}/{encode_class}.log",
    wildcard_constraints:
        encode_class="healthy|diseased|none",
    conda:
        "../../environment.yml"
    shell:
        "python -m stages.detection.join --shards {input.shards:q} --output {output:q} 3>&2 2>&1 | tee -i {log:q}"


# Each method by the module of its detector. A new s decodes only itself; a new L encodes again and thus decodes all that
# start from the same encoding. (With `ancient` around the latents, Snakemake 9.27 encodes and then forgets the new jobs
# until it is called again.)
rule detect:
    input:
        data="results/{benchmark}/data",
        split=split_list,
        latents=latents_of,
        checkpoints=checkpoints_of(detect_networks),
        named=option_files,
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
        runtime=minutes,
    params:
        module=detector_module,
        parameters=detect_section,
        networks=arguments_of(detect_networks),
        latents=latents_argument,
        splits=splits,
        shard="",
        state="results/{benchmark}/state/{repeat}/maps/{method}/{setting}",
    shell:
        "python -m {params.module:q} --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --splits {params.splits:q} --networks {params.networks:q} {params.latents:q} "
        "--output {output:q} --state {params.state:q} {params.shard:q} --threads {threads} 3>&2 2>&1 | tee -i {log:q}"


use rule detect as detect_shard with:
    output:
        temp(
            directory(
                "results/{benchmark}/state/{repeat}/shards/maps/{method}/{setting}/{shard}"
            )
        ),
    log:
        "results/{benchmark}/logs/detect_shard/{repeat}/{method}/{setting}/{shard}.log",
    wildcard_constraints:
        method=one_of(own_methods()),
        shard="[1-9][0-9]*-of-[1-9][0-9]*",
    params:
        module=detector_module,
        parameters=detect_section,
        networks=arguments_of(detect_networks),
        latents=latents_argument,
        splits=splits,
        shard=lambda wildcards: ["--shard", wildcards.shard],
        state="results/{benchmark}/state/{repeat}/maps/{method}/{setting}/{shard}",


rule join_maps:
    input:
        shards=shards(
            "results/{benchmark}/maps/{repeat}/{method}/{setting}",
            "results/{benchmark}/state/{repeat}/shards/maps/{method}/{setting}",
        ),
        code=code("stages.detection.join"),
    output:
        directory("results/{benchmark}/maps/{repeat}/{method}/{setting}"),
    log:
        "results/{benchmark}/logs/join_maps/{repeat}/{method}/{setting}.log",
    wildcard_constraints:
        method=one_of(own_methods()),
    conda:
        "../../environment.yml"
    shell:
        "python -m stages.detection.join --shards {input.shards:q} --output {output:q} 3>&2 2>&1 | tee -i {log:q}"


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
        "python -m stages.detection.trade_off_maps --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --split {params.split:q} --networks {params.networks:q} --output {output:q} "
        "--state {params.state:q} --threads {threads} 3>&2 2>&1 | tee -i {log:q}"


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
        "python -m stages.detection.trajectory --parameters {params.parameters:q} --data {input.data:q} "
        "--split-list {input.split:q} --split test --networks {params.networks:q} --output {output:q} "
        "--state {params.state:q} --threads {threads} 3>&2 2>&1 | tee -i {log:q}"
