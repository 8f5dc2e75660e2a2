# NexTalk as a container: docker build -t nextalk .
#     docker run -e NEXTALK_DOMAINS=example.com:APIKEY -p 8080:8080 -p 1883:1883 --ulimit nofile=200000 nextalk
# Debian 13 has the glibc that the current native build of uWebSockets.js wants; Alpine's musl will not do.

FROM node:22-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/built.mjs scripts/
COPY client client
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund
# The native builds for every other system and Node are 200 MB.
RUN keep=$(node --input-type=module -e "import { pickBuild, thisMachine } from './dist/uws.js'; \
        const build = pickBuild(thisMachine()); \
        if (build.message) throw new Error(build.message); \
        console.log(build.package + '/' + build.file)") \
    && find node_modules/uws-node20 node_modules/uws-node22 -name '*.node' ! -path "node_modules/$keep" -delete \
    && find dist -name '*.map' -delete

FROM node:22-trixie-slim
ENV NODE_ENV=production NEXTALK_HOST=0.0.0.0
COPY --from=build /src/package.json /app/
COPY --from=build /src/node_modules /app/node_modules
COPY --from=build /src/dist /app/dist
RUN ln -s /app/dist/main.js /usr/local/bin/nextalk && chmod 0755 /app/dist/main.js && install -d -o node -g node /data
WORKDIR /data
VOLUME /data
USER node
# HTTP and WebSocket, MQTT, MQTT over TLS. The admin port, 8081, stays on the container's own loopback.
EXPOSE 8080 1883 8883
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:8081/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/main.js"]
