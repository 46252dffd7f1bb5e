# Workers and beat:                 docker build -t vidsearch:local .
# The same for NVIDIA GPUs:         docker build --build-arg TORCH=cu128 -t vidsearch:cuda .
# The search page, without torch:   docker build --target page -t vidsearch-page:local .
#
# EXTRAS and PAGE_EXTRAS add extras, such as s3 or aws: --build-arg EXTRAS=worker,opensearch,metrics,export,s3

FROM python:3.12-slim AS tools
RUN pip install --no-cache-dir uv
# Images run without root, which can keep no bytecode: else each start compiles all of it anew.
ENV UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /src

FROM tools AS sources
COPY pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE ./
COPY plugin plugin
COPY tasks tasks
COPY mappings mappings

FROM tools AS build-worker
# cpu, or a CUDA version as uv knows it (cu126, cu128, …): the wheels of torch bring CUDA along.
ARG TORCH=cpu
ARG EXTRAS=worker,opensearch,metrics,export
# The packages first: this layer stays while only the sources change.
COPY pyproject.toml ./
RUN uv venv /opt/vidsearch \
    && uv pip install --python /opt/vidsearch/bin/python --torch-backend "${TORCH}" -r pyproject.toml $(echo "${EXTRAS}" | sed 's/[^,]*/--extra &/g; s/,/ /g')
COPY --from=sources /src /src
RUN uv pip install --python /opt/vidsearch/bin/python --no-deps .

FROM tools AS build-page
ARG PAGE_EXTRAS=web,query,opensearch,metrics
COPY pyproject.toml ./
RUN uv venv /opt/vidsearch \
    && uv pip install --python /opt/vidsearch/bin/python -r pyproject.toml $(echo "${PAGE_EXTRAS}" | sed 's/[^,]*/--extra &/g; s/,/ /g')
COPY --from=sources /src /src
RUN uv pip install --python /opt/vidsearch/bin/python --no-deps .

FROM python:3.12-slim AS runtime
# The base image comes without the bytecode of Python's own modules.
RUN python -m compileall -q -x site-packages "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
# The folders are made here, so that volumes mounted on them belong to the user.
RUN useradd --system --uid 10001 --create-home vidsearch \
    && install -d -o vidsearch /var/lib/vidsearch /var/lib/vidsearch/models /var/lib/vidsearch/beat
ENV PATH=/opt/vidsearch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/var/lib/vidsearch/models
USER 10001
WORKDIR /var/lib/vidsearch

FROM runtime AS page
COPY --from=build-page /opt/vidsearch /opt/vidsearch
EXPOSE 8800
CMD ["vidsearch", "web", "--host", "0.0.0.0"]

# The last one is built where no target is named.
FROM runtime AS worker
COPY --from=build-worker /opt/vidsearch /opt/vidsearch
# One thread per process, before numpy is imported: see docs/encoders.md, "Batches and threads".
ENV OMP_NUM_THREADS=1
CMD ["celery", "-A", "vidsearch_tasks", "worker", "--loglevel", "INFO", "--concurrency", "1"]
