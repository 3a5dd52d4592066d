# dnslb-backend as a container:  docker build --tag dnslb-backend .
# compose.yaml runs it beside PowerDNS and MariaDB, configs/kubernetes/ as a sidecar in a cluster;
# docs/containers.md explains both.

# Compilers, pip and the tree stay behind in this stage.
FROM debian:bookworm-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY pdns pdns
COPY sql sql
COPY dnslb_backend dnslb_backend
# For what is installed, and for what builds it: two builds of one tree have the same libraries.
ENV PIP_CONSTRAINT=/build/configs/container/constraints.txt
RUN python3 -m venv tools \
    && tools/bin/pip wheel --no-cache-dir --wheel-dir wheels ".[geo,grpc]" \
    && python3 -m venv --without-pip /opt/dnslb \
    && tools/bin/pip --python /opt/dnslb/bin/python install --no-cache-dir --no-index \
        --find-links wheels "dnslb-backend[geo,grpc]"

FROM debian:bookworm-slim
# What commands of exec checks need: --build-arg CHECK_PACKAGES="monitoring-plugins-basic".
ARG CHECK_PACKAGES=""
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 ${CHECK_PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
# The numbers are fixed, because volumes keep them. 953 is the group of PowerDNS, here and in its
# official image: its members may open the sockets in /run/dnslb, and create one there.
RUN groupadd --gid 953 pdns \
    && useradd --uid 10053 --gid pdns --no-create-home --home-dir /var/lib/dnslb \
        --shell /usr/sbin/nologin dnslb \
    && install --directory --owner=root --group=pdns --mode=0750 /etc/dnslb \
    && install --directory --owner=dnslb --group=pdns --mode=0770 /run/dnslb \
    && install --directory --owner=dnslb --group=pdns --mode=0700 /var/lib/dnslb
COPY --from=build /opt/dnslb /opt/dnslb
# As systemd sets them: the defaults of [state] path and [server] unix.
ENV PATH=/opt/dnslb/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    STATE_DIRECTORY=/var/lib/dnslb \
    RUNTIME_DIRECTORY=/run/dnslb
VOLUME ["/run/dnslb", "/var/lib/dnslb"]
EXPOSE 8053 8054
USER 10053:953
STOPSIGNAL SIGTERM
# Checks that the process answers; --ready would check that every record has an answer.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["dnslb-backend", "ping"]
ENTRYPOINT ["dnslb-backend"]
# The configuration is mounted at /etc/dnslb/dnslb.toml.
CMD ["serve"]
