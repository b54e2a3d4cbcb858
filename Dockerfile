# One image for every stage; the command says which: `worker --only ingest`, `topics create`, ...
FROM python:3.11-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

RUN useradd --system --uid 10001 --create-home tagger
WORKDIR /app

# What changes seldom comes first, so that a changed source line installs nothing again.
COPY requirements.lock ./
RUN pip install --require-hashes --only-binary :all: -r requirements.lock

COPY pyproject.toml README.md ./
COPY schemas schemas
COPY tagger tagger
COPY streams streams
RUN pip install --no-deps --no-build-isolation . && rm -rf build ./*.egg-info schemas tagger streams
COPY rules rules

USER tagger
ENTRYPOINT ["tagger"]
CMD ["--help"]
