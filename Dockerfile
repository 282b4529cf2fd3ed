# Postern in a container. This file stands in the repository's root because Heroku takes the folder of the container
# file as the build context, as it takes heroku.yml, app.json and Procfile from the root and nowhere else.
# deploy/container-check builds both stages without a container engine, from this very file; it knows the instructions
# that are used here and refuses others.

FROM debian:bookworm AS build
WORKDIR /src
# First what changes seldom: the layer with the compiler is built once.
COPY deploy/dependencies deploy/
RUN deploy/dependencies
COPY . .
RUN cmake --preset release && cmake --build --preset release --target postern

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      ca-certificates \
      libboost-container1.81.0 libboost-json1.81.0 libboost-url1.81.0 libssl3 libyaml-cpp0.7 \
      libgit2-1.5 libprometheus-cpp-core1.0 \
      libsoci-core4.0 libsoci-sqlite3-4.0 libsoci-postgresql4.0 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1500 --no-create-home --user-group --home-dir /var/lib/postern --shell /usr/sbin/nologin postern \
 && install -d -m 1777 /var/lib/postern
# Writable for any user id: Heroku runs an image under an id of its own choice, whatever USER says. What lies here may be
# lost at any time: it holds no credential.
WORKDIR /var/lib/postern
COPY --from=build /src/build/release/postern /usr/local/bin/postern
USER postern
# The exec form in both: a shell in between would die at SIGTERM and take from Postern the seconds in which it finishes
# the write in flight. On Heroku a CMD without an ENTRYPOINT is run by a shell.
ENTRYPOINT ["/usr/local/bin/postern"]
CMD ["run"]
