# trailmill on a base without a shell. `scripts/image` builds it: that passes commit and version.
#
# No --platform and no cross compiler: buildx compiles for each platform on that platform, or emulated.
# Tags are exact where the registry has exact ones. The base's tag moves with Debian's security fixes,
# which is wanted; for a build that never changes: --build-arg BASE=…@sha256:….
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

# Debian 12, so that the program finds the base's glibc.
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src
COPY Cargo.lock ./
COPY scripts/machine.sh scripts/
RUN ["bash", "-c", ". scripts/machine.sh && need_build_tools && need_python"]

COPY . ./
ARG TARGETARCH
ARG TRAILMILL_COMMIT=unknown
# Sources may carry older times than the cached build of others; cargo would take them for built.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,id=trailmill-$TARGETARCH,target=/src/target,sharing=locked \
    touch build.rs src/lib.rs src/main.rs && scripts/image --layer /layer

# hadolint ignore=DL3006
FROM ${BASE}
COPY --from=build /layer/ /
ARG TRAILMILL_COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="trailmill" \
      org.opencontainers.image.description="CloudTrail logs to partitioned Parquet, registered in Glue" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${TRAILMILL_COMMIT}" \
      org.opencontainers.image.base.name="gcr.io/distroless/cc-debian12:nonroot"
# By number: Kubernetes cannot tell from a name that it is not root.
USER 65532:65532
# A job's health is its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/trailmill"]
