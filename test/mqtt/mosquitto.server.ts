/** Debian's command line clients against the broker. */
import t from 'tap';
import { spawnTethered } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';
import { tlsFiles } from '../support/tls.js';
import { address, own, testBroker } from './support/broker.js';
import { client } from './support/clients.js';
import { ManualClock } from './support/clock.js';

const skip = skipWithout('mosquitto_pub', 'mosquitto_sub', 'mosquitto_rr');

interface Finished {
  readonly code: number | null;
  readonly text: string;
}

/** Runs a command; answers the process, and what it wrote when it has ended. */
function run(name: 'mosquitto_pub' | 'mosquitto_sub' | 'mosquitto_rr', port: number, args: readonly string[]) {
  const login = ['-h', '127.0.0.1', '-p', String(port), '-u', own.domain, '-P', own.apikey];
  // Line by line: otherwise they write to a pipe only when they end.
  const child = spawnTethered('stdbuf', ['-oL', program(name) ?? name, ...login, ...args]);
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    text += chunk;
  });
  const finished = new Promise<Finished>((resolve) => child.on('close', (code) => resolve({ code, text })));
  const says = (wanted: string) =>
    new Promise<void>((resolve) => {
      const look = () => text.includes(wanted) && resolve();
      child.stdout?.on('data', look);
      child.stderr?.on('data', look);
      look();
    });
  return { finished, says, kill: () => child.kill('SIGKILL') };
}

for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
  t.test(`mosquitto_sub receives what mosquitto_pub publishes, ${version}`, { skip }, async (t) => {
    const { port } = await testBroker(t);
    const sub = run('mosquitto_sub', port, ['-V', version, '-t', 'a/#', '-q', '2', '-C', '3', '-v', '-d']);
    await sub.says('received SUBACK');
    for (const qos of ['0', '1', '2']) {
      const pub = await run('mosquitto_pub', port, ['-V', version, '-t', `a/${qos}`, '-m', `m${qos}`, '-q', qos])
        .finished;
      t.equal(pub.code, 0, pub.text);
    }
    const { code, text } = await sub.finished;
    t.equal(code, 0);
    for (const qos of ['0', '1', '2']) t.match(text, new RegExp(`^a/${qos} m${qos}$`, 'm'));
  });
}

t.test('mosquitto_sub gets retained publications, and its session stays when it ends', { skip }, async (t) => {
  const { port } = await testBroker(t);
  await run('mosquitto_pub', port, ['-t', 'kept', '-m', 'retained', '-r', '-q', '1']).finished;
  const session = ['-t', 'kept', '-q', '1', '-c', '-i', 'sub', '-C', '1', '-F', '%r %p'];
  t.equal((await run('mosquitto_sub', port, session).finished).text, '1 retained\n');
  await run('mosquitto_pub', port, ['-t', 'kept', '-m', 'while away', '-q', '1']).finished;
  t.match((await run('mosquitto_sub', port, session).finished).text, '0 while away');
});

t.test('mosquitto_sub gets the properties that mosquitto_pub sends', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const to = await client(t, `mqtt://127.0.0.1:${port}`);
  await to.client.subscribeAsync('t', { qos: 1 });
  const properties = ['-D', 'publish', 'content-type', 'text/x', '-D', 'publish', 'user-property', 'k', 'v'];
  const alias = ['-D', 'publish', 'topic-alias', '1', '-D', 'publish', 'message-expiry-interval', '60'];
  await run('mosquitto_pub', port, ['-V', 'mqttv5', '-t', 't', '-m', 'x', '-q', '1', ...properties, ...alias]).finished;
  t.match(await to.next(), {
    properties: { contentType: 'text/x', userProperties: { k: 'v' }, messageExpiryInterval: 60 },
  });
});

t.test('mosquitto_sub gets its share of a shared subscription', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const share = ['-V', 'mqttv5', '-t', '$share/g/jobs', '-q', '1', '-C', '2', '-d'];
  const subs = [run('mosquitto_sub', port, share), run('mosquitto_sub', port, share)];
  for (const sub of subs) await sub.says('received SUBACK');
  for (const job of ['1', '2', '3', '4'])
    await run('mosquitto_pub', port, ['-t', 'jobs', '-m', `job${job}`, '-q', '1']).finished;
  const texts = (await Promise.all(subs.map(({ finished }) => finished))).map(
    ({ text }) => text.match(/^job\d$/gm) ?? [],
  );
  t.strictSame(texts.flat().sort(), ['job1', 'job2', 'job3', 'job4']);
});

t.test('mosquitto_rr gets the answer to its request', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const server = await client(t, `mqtt://127.0.0.1:${port}`);
  await server.client.subscribeAsync('ask', { qos: 1 });
  server.client.on('message', (_topic, payload, { properties }) => {
    const { responseTopic, correlationData } = properties ?? {};
    server.client.publish(responseTopic ?? '', `re: ${payload}`, { properties: { correlationData } });
  });
  const { code, text } = await run('mosquitto_rr', port, ['-V', 'mqttv5', '-t', 'ask', '-e', 'answer', '-m', 'what?'])
    .finished;
  t.equal(code, 0);
  t.equal(text, 're: what?\n');
});

t.test('The will of mosquitto_sub goes out when it is killed, and not when it ends itself', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const watcher = await client(t, `mqtt://127.0.0.1:${port}`);
  await watcher.client.subscribeAsync('wills', { qos: 1 });
  const will = ['--will-topic', 'wills', '--will-payload', 'gone', '--will-qos', '1', '-t', 'x', '-d'];
  for (const version of ['mqttv311', 'mqttv5']) {
    const polite = run('mosquitto_sub', port, ['-V', version, ...will, '-E']);
    t.equal((await polite.finished).code, 0);
    const killed = run('mosquitto_sub', port, ['-V', version, ...will]);
    await killed.says('received SUBACK');
    killed.kill();
    t.match(await watcher.next(), { payload: Buffer.from('gone'), qos: 1, retain: false });
    t.strictSame(watcher.rest, []);
  }
});

t.test(
  'mosquitto_sub gets everything within the receive maximum and packet size that it names',
  { skip },
  async (t) => {
    const { port } = await testBroker(t);
    // Not topic aliases: mosquitto's library takes none, whatever it says.
    const maxima = ['-D', 'connect', 'receive-maximum', '1', '-D', 'connect', 'maximum-packet-size', '60'];
    const identifier = ['-D', 'subscribe', 'subscription-identifier', '77'];
    const args = ['-V', 'mqttv5', '-t', 't', '-q', '2', '-C', '3', '-F', '%j', '-d', ...maxima, ...identifier];
    const sub = run('mosquitto_sub', port, args);
    await sub.says('received SUBACK');
    const pub = (text: string) =>
      run('mosquitto_pub', port, ['-V', 'mqttv5', '-t', 't', '-m', text, '-q', '2']).finished;
    for (const text of ['one', 'x'.repeat(100), 'two', 'three']) t.equal((await pub(text)).code, 0);
    const { code, text } = await sub.finished;
    t.equal(code, 0);
    const lines = text.split('\n').filter((line) => line.startsWith('{'));
    t.match(
      lines.map((line) => JSON.parse(line)),
      [
        { topic: 't', payload: 'one', qos: 2 },
        { topic: 't', payload: 'two', qos: 2 },
        { topic: 't', payload: 'three', qos: 2 },
      ],
    );
  },
);

t.test('A session of mosquitto_sub is kept for its expiry, in 5.0', { skip }, async (t) => {
  const clock = new ManualClock();
  const { port } = await testBroker(t, {}, clock);
  const session = ['-V', 'mqttv5', '-i', 'sub', '-c', '-x', '60', '-t', 'kept', '-q', '1', '-k', '65535'];
  const publish = () => run('mosquitto_pub', port, ['-t', 'kept', '-m', 'away', '-q', '1', '-k', '65535']).finished;
  await run('mosquitto_sub', port, [...session, '-E']).finished;
  await publish();
  clock.advance(59_000);
  t.match((await run('mosquitto_sub', port, [...session, '-C', '1']).finished).text, 'away');
  await publish();
  clock.advance(60_000);
  const { text } = await run('mosquitto_sub', port, [...session, '-E', '-d']).finished;
  t.match(text, 'CONNACK (0)');
  t.notMatch(text, 'received PUBLISH');
});

t.test('mosquitto_pub deletes a publication that it retained', { skip }, async (t) => {
  const { port } = await testBroker(t);
  for (const topic of ['kept/a', 'kept/b']) await run('mosquitto_pub', port, ['-t', topic, '-m', 'x', '-r']).finished;
  t.equal((await run('mosquitto_sub', port, ['-t', 'kept/#', '--retained-only', '-C', '2']).finished).text, 'x\nx\n');
  for (const topic of ['kept/a', 'kept/b']) await run('mosquitto_pub', port, ['-t', topic, '-n', '-r']).finished;
  const late = await client(t, `mqtt://127.0.0.1:${port}`);
  await late.client.subscribeAsync('kept/#', { qos: 1 });
  await late.client.publishAsync('kept/marker', 'marker', { qos: 1 });
  t.equal(await late.payload(), 'marker');
});

t.test('mosquitto_sub receives what mosquitto_pub publishes, over TLS', { skip }, async (t) => {
  const files = tlsFiles(t);
  const broker = await testBroker(t, { tls: files, mqtt: { port: 0, tlsPort: -1 } });
  const port = broker.mqtt.tlsPort ?? 0;
  const trust = ['--cafile', files.cert, '-V', 'mqttv5', '-t', 'secret', '-q', '1'];
  const sub = run('mosquitto_sub', port, [...trust, '-C', '1', '-d']);
  await sub.says('received SUBACK');
  t.equal((await run('mosquitto_pub', port, [...trust, '-m', 'x']).finished).code, 0);
  t.match((await sub.finished).text, /^x$/m);
});

t.test('A ticket chats with mosquitto: its packets come, and what it publishes is in its name', { skip }, async (t) => {
  const broker = await testBroker(t);
  const tickets = { jack: await broker.online('jack'), anna: await broker.online('anna') };
  const phone = ['-V', 'mqttv5', '-q', '1'];
  const sub = run('mosquitto_sub', broker.port, [...phone, '-t', address('anna'), '-C', '1', '-P', tickets.anna, '-d']);
  await sub.says('received SUBACK');
  const body = ['-t', address('anna'), '-m', '{"body":"hi","from":"eve"}', '-P', tickets.jack];
  t.equal((await run('mosquitto_pub', broker.port, [...phone, ...body]).finished).code, 0);
  const frame = (await sub.finished).text.split('\n').find((line) => line.startsWith('{"status"'));
  t.match(JSON.parse(frame ?? ''), { messages: [{ from: 'jack', to: 'anna', body: 'hi' }] });
});

t.test('mosquitto_pub with a wrong key is refused', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const { code, text } = await run('mosquitto_pub', port, ['-t', 'x', '-m', 'x', '-P', 'wrong']).finished;
  t.not(code, 0);
  t.match(text, /not authorised|bad user name/i);
});
