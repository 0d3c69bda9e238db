# The image of ospd: two static binaries, the certificates of authorities, a
# user and a data folder of his, and nothing else. No shell, no package manager.
#
#   docker build --build-arg VERSION=v1.2.3 --build-arg COMMIT=$(git rev-parse HEAD) -t ospd .
#
# e2e/image follows these instructions without a container's engine: what is
# made under paths of the build stage lies below its WORKDIR for that.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
ARG COMMIT=unknown
ARG DATE=unknown
RUN make build VERSION="$VERSION" COMMIT="$COMMIT" DATE="$DATE"
RUN mkdir -p image/var/lib/ospd image/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY deploy/passwd deploy/group /etc/
COPY --from=build /src/bin/osp /src/bin/ospd /usr/bin/
COPY --from=build --chown=65532:65532 /src/image/tmp /tmp
COPY --from=build --chown=65532:65532 /src/image/var/lib/ospd /var/lib/ospd

# They go before a configuration file, so that HEALTHCHECK asks where ospd listens.
ENV OSPD_DATA=/var/lib/ospd \
    OSPD_LISTEN=0.0.0.0:8888

USER 65532:65532
VOLUME ["/var/lib/ospd"]
EXPOSE 8888
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/bin/ospd", "healthcheck"]
ENTRYPOINT ["/usr/bin/ospd"]
CMD ["serve"]

ARG VERSION=unknown
ARG COMMIT=unknown
ARG DATE=unknown
LABEL org.opencontainers.image.title="ospd" \
      org.opencontainers.image.description="Stores files behind uids, whatever holds their bytes" \
      org.opencontainers.image.source="https://github.com/osproxy/osproxy" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$DATE"
