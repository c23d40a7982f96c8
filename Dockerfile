# One image for all processes: web pages by default, workers and tick by their commands (docker-compose.yml).
FROM python:3.11-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.lock requirements-build.lock ./
RUN python -m pip install --require-hashes --requirement requirements-build.lock \
    && python -m pip wheel --no-build-isolation --require-hashes --requirement requirements.lock --wheel-dir /wheels
COPY pyproject.toml README.md ./
COPY newsletter newsletter
COPY workers workers
COPY templates templates
RUN python -m pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/newsletter \
    && python -m pip --python /opt/newsletter/bin/python install --no-index --no-deps /wheels/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/newsletter --create-home --shell /usr/sbin/nologin newsletter
COPY --from=build /opt/newsletter /opt/newsletter
ENV PATH=/opt/newsletter/bin:$PATH PYTHONUNBUFFERED=1 NEWSLETTER_HOME=/var/lib/newsletter
USER newsletter
WORKDIR /var/lib/newsletter
VOLUME /var/lib/newsletter
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
ENTRYPOINT ["newsletter"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
