# The program in an image of its own. docs/operations.md says how to use it, alone and with compose.yaml.

FROM python:3.13-slim AS build
# Extras with a file in requirements/, separated by spaces: dask s3
ARG EXTRAS=""
WORKDIR /source
RUN python -m venv /opt/nl2sql-align
ENV PATH=/opt/nl2sql-align/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements requirements
RUN for lock in main $EXTRAS; do \
        pip install --no-deps --require-hashes -r "requirements/$lock.txt" || exit 1; \
    done
COPY . .
RUN pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 align && install -d -o align -g align /data
COPY --from=build /opt/nl2sql-align /opt/nl2sql-align
COPY --chmod=755 docker/worker.sh /usr/local/bin/nl2sql-align-worker
ENV PATH=/opt/nl2sql-align/bin:$PATH \
    PREFECT_HOME=/data/.prefect \
    XDG_CACHE_HOME=/data/.cache \
    DO_NOT_TRACK=1 \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
USER align
WORKDIR /data
VOLUME /data
# compose.yaml has checks of its own for the server and the worker.
HEALTHCHECK --interval=60s --timeout=30s CMD ["nl2sql-align", "--version"]
ENTRYPOINT ["nl2sql-align"]
CMD ["--help"]
