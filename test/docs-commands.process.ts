/**
 * No command of README.md and docs/ is left untried: it is run here, or by another test (test/support/pages.ts), or it is
 * an exception with its reason. What is in `sh` fences and what is set off by four spaces counts as a command.
 */
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { select } from '../bench/catalogue.js';
import { loadConfig } from '../src/config.js';
import { client } from './mqtt/support/clients.js';
import {
  anyPorts,
  apikey,
  configure,
  type DocumentedCommand,
  domain,
  online,
  presences,
  printed,
  started,
  startNats,
  succeed,
} from './support/documented-command.js';
import { type Block, commandsIn, indentedBlocks, readBlocks } from './support/markdown.js';
import { listening } from './support/nats.js';
import { FOLLOWED, PACKAGING } from './support/pages.js';
import { freePort } from './support/ports.js';
import { nextalk, spawnTethered } from './support/process.js';
import { program, skipWithout } from './support/programs.js';
import { seriesOf } from './support/prometheus.js';
import { installProgram } from './support/reader.js';
import { testServer } from './support/server.js';
import { Terminal } from './support/terminal.js';

const root = join(import.meta.dirname, '..');
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }));
const followed = new Set(Object.values(FOLLOWED).flatMap((list) => Object.keys(list)));

/** What stands on a page and no reader runs; a reader takes the server's program for `npm start`, and skips other scripts. */
function commandsOf({ name, text }: { name: string; text: string }): string[] {
  const fenced = readBlocks(text)
    .filter(({ language }) => language === 'sh')
    .flatMap((block) => commandsIn(block.text));
  const left = followed.has(name) ? fenced.filter((line) => /^npm (?!start)/.test(line)) : fenced;
  return [...left, ...indentedBlocks(text).flatMap(commandsIn)];
}

const commands = pages.flatMap(commandsOf);

/** Commands that no test runs, each with the reason. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  'npm install': 'changes the packages from which the tests themselves run; npm start is run from a copy',
  'npm test': 'is what runs this test',
  'nextalk domain add shop.example': 'asks a server that runs: test/domains/command.process.ts',
  'curl -X POST http://127.0.0.1:8081/api/domains/shop.example/kick -d \'{"id":"jack"}\'':
    'asks a server that runs: test/domains/bans.server.ts',
  'curl -X POST http://127.0.0.1:8081/api/domains/shop.example/ban -d \'{"address":"192.0.2.7","minutes":60,"reason":"spam"}\'':
    'asks a server that runs: test/domains/bans.server.ts',
  'nextalk domain rotate shop.example': 'asks a server that runs: test/domains/command.process.ts',
  'ssh -L 8081:127.0.0.1:8081 im.example.com': 'takes another machine',
  'docker build -t nextalk .': 'takes Docker, and its registry',
  'docker run -d --name nextalk --ulimit nofile=200000 -p 8080:8080 -p 1883:1883 -e NEXTALK_DOMAINS=example.com:APIKEY nextalk':
    'takes Docker, and its registry',
  "docker run -d --name nextalk --ulimit nofile=200000 -p 8080:8080 -p 1883:1883 -p 127.0.0.1:8081:8081 -e NEXTALK_DOMAINS=example.com:APIKEY -e 'NEXTALK_SET=admin.host=0.0.0.0;admin.token=TOKEN' nextalk":
    'takes Docker, and its registry',
  'certbot renew --deploy-hook "systemctl reload nextalk"': 'takes root, systemd and a domain of one’s own',
  'cp deploy/sysctl.conf /etc/sysctl.d/60-nextalk.conf && sysctl --system': 'changes the kernel’s settings, as root',
};

/** Benchmarks, which take both cores for minutes: only their flags are tried. */
const BENCHMARKS = [
  'npm run bench',
  'npm run bench -- --quick ws-fanout',
  'npm run bench -- --json after.json rest-ws',
  'npm run bench -- --before OTHER/dist/main.js',
  'npm run bench -- --paired single',
  'npm run bench:connections -- --connections 100000 --bare',
  'npm run bench:cluster -- --nodes 10 --users 1000000',
  'npm run bench:cluster -- --nodes 3 --users 300000 --lease 15000 --jetstream',
  'npm run bench:reliability -- --nodes 3 --clients 500 --rate 1 --scenarios kill,deploy',
  'npm run bench:reliability -- --clients 1000 --scenarios jitter,avalanche',
] as const;

const start: DocumentedCommand = {
  title: 'npm start compiles and serves the domain with a new key',
  commands: ['npm start -- --host 0.0.0.0 --domain example.com:$(openssl rand -hex 16)'],
  needs: ['openssl'],
  async run({ t, window, copy }, command) {
    const files = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'scripts'];
    for (const name of files) cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const terminal = window(anyPorts);
    terminal.start(`cd ${copy} && ${command.replace('0.0.0.0', '127.0.0.1')}`);
    const { url } = await started(terminal);
    t.match(await online(url, '1'), { status: 'error', message: 'authentication failed' }, 'the key is a new one');
  },
};

const cluster: readonly DocumentedCommand[] = [
  {
    title: 'two nodes of docs/cluster.md are one server',
    commands: [
      'nats-server --addr 10.0.0.1 --user nextalk --pass SECRET --jetstream --store_dir /var/lib/nats',
      'NEXTALK_NATS=nats://nextalk:SECRET@10.0.0.1:4222 nextalk --config nextalk.json --set cluster.store=jetstream --set cluster.node=one',
    ],
    needs: ['nats-server'],
    async run(place, server, node) {
      const here = await startNats(place, server.replace('/var/lib/nats', join(place.folder, 'nats')));
      configure(place.folder);
      const [first, second] = [place.window(anyPorts), place.window(anyPorts)];
      first.start(here(node));
      second.start(here(node.replace('cluster.node=one', 'cluster.node=two')));
      const [one, other] = await Promise.all([started(first), started(second)]);
      place.t.match(await online(one.url, '1'), { success: true });
      place.t.strictSame(await presences(other.url, '1'), { 1: 'available' }, 'the other node knows');
    },
  },
  {
    title: 'the workers of docs/cluster.md are one server, as many as there are cores',
    commands: ['nextalk --config nextalk.json --workers auto'],
    needs: ['nats-server'],
    async run(place, workers) {
      configure(place.folder);
      const window = place.window(anyPorts);
      window.start(workers);
      const found = await started(window);
      place.t.equal(found.workers, availableParallelism());
      place.t.match(await online(found.url, '1'), { success: true });
    },
  },
];

const operating: readonly DocumentedCommand[] = [
  {
    title: 'doctor finds what docs/deploying.md shows',
    commands: ['nextalk doctor --config /etc/nextalk/nextalk.json'],
    async run(place, command) {
      const out = await succeed(place, command.replace('/etc/nextalk/nextalk.json', configure(place.folder)), anyPorts);
      const subjects = (text: string): string[] =>
        [...text.matchAll(/^\w+ +([\w ]+): /gm)].map(([, name = '']) => name);
      const shown = readBlocks(pageOf('docs/deploying.md')).find(({ language }) => language === 'text')?.text ?? '';
      place.t.strictSame(
        subjects(out).slice(0, 3),
        subjects(shown),
        'its first findings are those that the page shows',
      );
    },
  },
  {
    title: 'a hashed key of docs/deploying.md is a key',
    commands: ['printf %s "$APIKEY" | sha256sum'],
    async run(place, command) {
      const [hash = ''] = (await succeed(place, command, { APIKEY: apikey })).split(' ');
      const server = await testServer(place.t, { domains: [{ domain, apikey: `sha256:${hash}` }] });
      place.t.match(await online(`http://${server.host}`, '1'), { success: true });
    },
  },
  {
    title: 'the metrics of docs/metrics.md are there',
    commands: ['curl http://127.0.0.1:8081/metrics'],
    needs: ['curl'],
    async run(place, command) {
      const server = await testServer(place.t, { admin: { port: -1 } });
      const out = await succeed(place, command.replace('8081', String(server.adminPort)));
      place.t.equal(seriesOf(out).get('nextalk_ready'), 1);
    },
  },
];

const npm: readonly DocumentedCommand[] = [
  {
    title: 'npm run demo shows the example site',
    commands: ['npm run demo'],
    async run({ t, folder, window }, command) {
      // It ends with its terminal, and what it keeps with the test.
      const terminal = window({ PORT: '0', SITE_PORT: '0', TMPDIR: folder });
      terminal.start(command);
      const [, url = ''] = await printed(terminal, /Example site +(\S+)\n/);
      t.equal((await fetch(url)).status, 200);
    },
  },
  {
    title: 'npm run bench lists scenarios, also those that pages name',
    commands: ['npm run bench -- --list'],
    async run(place, command) {
      place.t.match(await succeed(place, command), /^ws-fanout\S*: /m);
      const scenarios = BENCHMARKS.flatMap((line) => line.match(/\b(?:ws|rest)-\w+/) ?? []);
      place.t.ok(select(scenarios).length >= scenarios.length, `there are scenarios called ${scenarios}`);
    },
  },
  {
    title: 'npm run bench:compare compares two files',
    commands: ['npm run bench:compare before.json after.json'],
    async run(place, command) {
      const results = {
        date: 'today',
        machine: 'this one',
        runs: 1,
        quick: true,
        versions: {},
        skipped: [],
        series: [],
      };
      const path = (name: string): string => join(place.folder, name);
      for (const name of ['before.json', 'after.json']) writeFileSync(path(name), JSON.stringify(results));
      const typed = command.replace(/\w+\.json/g, path);
      place.t.match(await succeed(place, typed), /^A: .*before\.json, today, 1 runs$/m);
    },
  },
  {
    title: 'the flags of the benchmarks are known',
    commands: BENCHMARKS,
    async run(place, ...typed) {
      // A flag that is not known ends the benchmark before --help answers.
      const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
      const asked = typed.map((command) => {
        const [, name = '', flags = ''] = /^npm run (\S+)(?: --(?= )(.*))?$/.exec(command) ?? [];
        return `cd ${root} && node_modules/.bin/${scripts[name]}${flags} --help`;
      });
      const outs = await Promise.all(asked.map((command) => succeed(place, command)));
      for (const out of outs) place.t.match(out, /^npm run bench/m);
    },
  },
];

const mqtt: readonly DocumentedCommand[] = [
  {
    title: 'mosquitto_rr gets the answer',
    commands: ['mosquitto_rr -V 5 -h localhost -u localhost -P public -t services/time -e services/time/answer -m now'],
    needs: ['mosquitto_rr'],
    async run(place, command) {
      const server = await testServer(place.t, { domains: [], mqtt: { port: -1 } });
      const login = { username: 'localhost', password: 'public' };
      const responder = await client(place.t, `mqtt://127.0.0.1:${server.mqttPort}`, login);
      await responder.client.subscribeAsync('services/time', { qos: 1 });
      responder.client.on('message', (_topic, payload, { properties }) => {
        responder.client.publish(properties?.responseTopic ?? '', `${payload}: six`);
      });
      place.t.equal(await succeed(place, `${command} -p ${server.mqttPort}`), 'now: six\n');
    },
  },
  {
    title: 'the conformance tests run against another broker',
    commands: [
      'MQTT_BROKER=127.0.0.1:1883 MQTT_WEBSOCKET=ws://127.0.0.1:9001 npx tap test/mqtt-conformance/conformance.test.ts',
    ],
    needs: ['mosquitto'],
    async run(place, command) {
      const [tcp, webSocket] = [await freePort(), await freePort()];
      const broker = `allow_anonymous true\nlistener ${tcp} 127.0.0.1\nlistener ${webSocket} 127.0.0.1\nprotocol websockets\n`;
      writeFileSync(join(place.folder, 'mosquitto.conf'), broker);
      const child = spawnTethered(program('mosquitto') ?? '', ['-c', 'mosquitto.conf'], {
        cwd: place.folder,
        stdio: 'ignore',
      });
      place.t.teardown(() => child.kill());
      await listening(webSocket);
      // A few scenarios are enough, and node alone runs them: a tap within tap would write over the results of the outer one.
      const typed = command
        .replace('1883', String(tcp))
        .replace('9001', String(webSocket))
        .replace('npx tap test', `node --import tsx ${root}/test`);
      const out = await succeed(place, `ONLY='between TCP and WebSocket' ${typed}`);
      place.t.match(out, /^ok \d+ - .*\(5\.0\)/m);
    },
  },
];

const documented = [start, ...cluster, ...operating, ...npm, ...mqtt];

function pageOf(name: string): string {
  return pages.find((page) => page.name === name)?.text ?? '';
}

t.test('every command is run, here or by another test, or is an exception that is still there', async (t) => {
  t.ok(commands.length > 25, `${commands.length} commands`);
  const runs = pageOf('docs/security.md').match(/^npx tap test\/.*$/m) ?? [];
  const known = [
    ...Object.keys(EXCEPTIONS),
    ...Object.values(PACKAGING),
    ...runs,
    ...documented.flatMap((entry) => entry.commands),
  ];
  const untried = commands.filter((command) => !known.includes(command));
  t.strictSame(untried, [], 'a command of the pages that nothing runs');
  const gone = known.filter((command) => !commands.includes(command));
  t.strictSame(gone, [], 'what is run or excepted here, and stands on no page');
  t.equal(new Set(known).size, known.length, 'each in one way');
  for (const file of runs.flatMap((line) => line.split(' ').slice(2))) {
    t.ok(existsSync(join(root, file)) && /\.(test|server|process)\.ts$/.test(file), `${file} is one of the tests`);
  }
});

t.test('commands of the pages', { timeout: 1_200_000 }, async (t) => {
  const copy = t.testdir();
  for (const { title, commands, needs = [], run } of documented) {
    await t.test(title, { skip: skipWithout(...needs), timeout: 600_000 }, async (t) => {
      const folder = t.testdir({});
      const path = `${installProgram(folder, [join(copy, 'dist/main.js')])}:${process.env.PATH}`;
      const window = (env: Readonly<Record<string, string>> = {}): Terminal => {
        const terminal = new Terminal(folder, { ...env, PATH: path });
        t.teardown(() => terminal.close());
        return terminal;
      };
      await run({ t, folder, window, copy }, ...commands);
    });
  }
});

/**
 * Programs of the pages that other tests run: what a reader saves under a title, PHP, the widget's two lines and the page of
 * server-sent events (test/docs-site.browser.ts), the browser library's and the widget's (test/client), those of
 * docs/webhooks.md (test/webhooks-page.server.ts), those that sign tokens (test/tokens.server.ts).
 */
function isRunElsewhere(page: string, { language, attributes }: Block): boolean {
  if (page === 'docs/browser-library.md' || page === 'docs/long-connections.md') return language === 'js';
  if (page === 'docs/widget.md' || page === 'docs/webhooks.md') return true;
  if (page === 'docs/rest.md') return language === 'js' || language === 'php';
  const isOfSite = page === 'README.md' || page === 'docs/getting-started.md';
  return (followed.has(page) && attributes.has('title')) || (isOfSite && (language === 'php' || language === 'html'));
}

t.test(
  'the client of docs/mqtt.md receives and writes, and no other program on the pages is left untried',
  async (t) => {
    const known = new Set(['sh', 'json', 'text', 'yaml', 'nginx', '']);
    const left = pages.flatMap(({ name, text }) =>
      readBlocks(text).filter((block) => !known.has(block.language) && !isRunElsewhere(name, block)),
    );
    t.equal(left.length, 1, 'the client');
    const server = await testServer(t, { domains: [{ domain, apikey }], mqtt: { port: -1 } });
    const site = server.site({ domain, apikey });
    const anna = await site.arrive('anna', { rooms: 'friends' });
    const folder = t.testdir({
      'client.mjs': `${left[0]?.text}
      async function online(name) {
        const body = new URLSearchParams({ domain: '${domain}', apikey: '${apikey}', name, nick: name, rooms: 'friends' });
        const answer = await (await fetch('http://${server.host}/v5/presences/online', { method: 'POST', body })).json();
        console.log('ticket', answer.ticket);
        return answer;
      }`,
    });
    const jack = nextalk(t, [], { program: [join(folder, 'client.mjs')] });
    t.hasStrict(await anna.next(), { type: 'grponline', from: 'jack' });
    t.hasStrict(await anna.next(), { type: 'chat', from: 'jack', body: 'hi' });
    t.hasStrict(await anna.next(), {
      type: 'grpchat',
      from: 'jack',
      to: 'friends',
      body: 'plain text is a body as well',
    });
    await site.push('news', 'jack', 'Rain at six');
    t.equal((await jack.line(/^.*news.*$/m))[0], '/domain/example.com/uid/jack news Rain at six');
    const [, ended = ''] = await jack.line(/^ticket (\S+)$/m);
    t.equal((await site.post('/v5/presences/offline', { ticket: ended })).status, 200);
    await site.push('news', 'jack', 'Sun at seven');
    const [again] = await jack.line(/^.*Sun at seven$/m);
    t.equal(
      again,
      '/domain/example.com/uid/jack news Sun at seven',
      'with the ticket that it has got for the one that ended',
    );
  },
);

t.test('the settings of docs/deploying.md for TLS are valid', async (t) => {
  const shown = readBlocks(pageOf('docs/deploying.md')).find(({ language }) => language === 'json')?.text ?? '';
  t.match(loadConfig(JSON.parse(`{${shown}}`)), { config: { mqtt: { tlsPort: 8883 } } });
});
