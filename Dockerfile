# The binary alone, in a small image, run by an unprivileged user.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY migrations migrations
COPY templates templates
COPY assets assets
COPY config config
COPY examples examples
COPY benches benches
COPY tests tests
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin flashsale && cp target/release/flashsale /flashsale

FROM debian:bookworm-slim
# The client of `stress` loads the system's certificates, also for plain HTTP.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /data flashsale && install -d -o flashsale /data
COPY --from=build /flashsale /usr/local/bin/flashsale
USER flashsale
WORKDIR /data
# The loopback addresses of a container cannot be reached from outside.
ENV FLASHSALE_DATA_DIR=/data \
    FLASHSALE_API_ADDR=0.0.0.0:3001 \
    FLASHSALE_WEB_ADDR=0.0.0.0:3000 \
    FLASHSALE_WORK_HEALTH_ADDR=0.0.0.0:3002
VOLUME /data
EXPOSE 3000 3001 3002
HEALTHCHECK --interval=5s --timeout=4s --start-period=20s --retries=6 \
    CMD ["flashsale", "healthcheck", "http://127.0.0.1:3001/readyz"]
ENTRYPOINT ["flashsale"]
CMD ["serve"]
