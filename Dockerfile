# The service as an image. CPU by default; for an NVIDIA GPU build with
#   --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
FROM python:3.11.13-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/saccade
WORKDIR /src
# The dependencies are a layer of their own, so that a change of the code does not download torch again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && /opt/saccade/bin/pip install --extra-index-url "${TORCH_INDEX}" -c constraints.txt -r requirements.txt
COPY README.md LICENSE ./
COPY streaming streaming
COPY engines engines
COPY actors actors
COPY dashboards dashboards
COPY lab lab
RUN /opt/saccade/bin/pip install --no-deps .

FROM python:3.11.13-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin saccade \
 && install -d -o saccade -g saccade -m 0700 /var/lib/saccade
COPY --from=build /opt/saccade /opt/saccade
ENV PATH=/opt/saccade/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SACCADE_HOST=0.0.0.0 \
    SACCADE_PORT=8400 \
    SACCADE_STATE_DIR=/var/lib/saccade \
    SACCADE_CACHE_DIR=/var/lib/saccade/compiled
USER saccade
WORKDIR /var/lib/saccade
VOLUME /var/lib/saccade
EXPOSE 8400
# /ready needs no token. The first start compiles the models, which can take a minute.
HEALTHCHECK --interval=10s --timeout=3s --start-period=120s --retries=3 \
  CMD ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8400/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["saccade"]
CMD ["up"]
