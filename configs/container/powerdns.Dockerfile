# PowerDNS of the distribution, as compose.yaml runs it: its configuration is mounted. User and group
# have the numbers of the official image.
FROM debian:bookworm-slim
# The user is created first, so that the package uses it instead of creating one with another number.
RUN groupadd --gid 953 pdns \
    && useradd --uid 953 --gid pdns --no-create-home --home-dir /var/spool/powerdns \
        --shell /usr/sbin/nologin pdns \
    && install --directory --owner=pdns --group=pdns --mode=0770 /run/dnslb
RUN apt-get update \
    && apt-get install --yes --no-install-recommends pdns-backend-remote pdns-server tini \
    && rm -rf /var/lib/apt/lists/* /etc/powerdns/*
VOLUME ["/run/dnslb"]
EXPOSE 5300/udp 5300/tcp
USER 953:953
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 \
    CMD ["pdns_control", "--config-dir=/etc/powerdns", "rping"]
# As the first process of a container PowerDNS would ignore SIGTERM: tini forwards it.
ENTRYPOINT ["tini", "--", "pdns_server"]
CMD ["--config-dir=/etc/powerdns"]
