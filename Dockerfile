# SPDX-License-Identifier: Apache-2.0
# docker build -t signet . && docker run -v "$PWD/models:/models:ro" -p 8000:8000 -p 8001:8001 signet
FROM debian:12 AS build
COPY . /src/signet
WORKDIR /src/signet
RUN apt-get update && apt-get build-dep -y --no-install-recommends ./ && dpkg-buildpackage -b -us -uc

FROM debian:12-slim
COPY --from=build /src/signet_*.deb /tmp/
# The package makes user signet, and else would bring all of systemd for it.
RUN apt-get update && \
	apt-get install -y --no-install-recommends systemd-standalone-sysusers /tmp/signet_*.deb && \
	rm -rf /var/lib/apt/lists/* /tmp/signet_*.deb
USER signet
EXPOSE 8000 8001
ENTRYPOINT ["signetd"]
CMD ["--model-root=/models", "--http=0.0.0.0:8000", "--grpc=0.0.0.0:8001"]
