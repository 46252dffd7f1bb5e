# Worker and beat. The CPU build of torch; for a GPU: docker build --build-arg TORCH=cu128 .

FROM python:3.12-slim AS build
ARG TORCH=cpu
RUN pip install --no-cache-dir uv && uv venv /opt/vidsearch
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY plugin plugin
COPY tasks tasks
COPY mappings mappings
RUN uv pip install --no-cache --python /opt/vidsearch/bin/python \
    --torch-backend "${TORCH}" ".[worker,opensearch]"

FROM python:3.12-slim
COPY --from=build /opt/vidsearch /opt/vidsearch
# The folders are made here, so that volumes mounted on them belong to the user.
RUN useradd --system --uid 10001 --create-home vidsearch \
    && install -d -o vidsearch /var/lib/vidsearch /var/lib/vidsearch/models /var/lib/vidsearch/beat
ENV PATH=/opt/vidsearch/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HOME=/var/lib/vidsearch/models
USER vidsearch
WORKDIR /var/lib/vidsearch
CMD ["celery", "-A", "vidsearch_tasks", "worker", "--loglevel", "INFO", "--concurrency", "1"]
