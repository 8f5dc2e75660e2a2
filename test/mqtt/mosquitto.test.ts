/** Debian's command line clients against the broker. */
import { type ChildProcess, spawn } from 'node:child_process';
import t from 'tap';
import { program, skipWithout } from '../support/programs.js';
import { own, testBroker } from './support/broker.js';
import { client } from './support/clients.js';

const skip = skipWithout('mosquitto_pub', 'mosquitto_sub', 'mosquitto_rr');

interface Finished {
  readonly code: number | null;
  readonly text: string;
}

/** Runs one; answers the process and what it wrote when it has ended. */
function run(name: 'mosquitto_pub' | 'mosquitto_sub' | 'mosquitto_rr', port: number, args: readonly string[]) {
  const login = ['-h', '127.0.0.1', '-p', String(port), '-u', own.domain, '-P', own.apikey];
  // Line by line: to a pipe they would write when they end.
  const child: ChildProcess = spawn('stdbuf', ['-oL', program(name) ?? name, ...login, ...args]);
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
  return { finished, says };
}

for (const version of ['mqttv31', 'mqttv311', 'mqttv5']) {
  t.test(`mosquitto_pub and mosquitto_sub meet, ${version}`, { skip }, async (t) => {
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

t.test('mosquitto_sub gets retained publications and leaves a session behind', { skip }, async (t) => {
  const { port } = await testBroker(t);
  await run('mosquitto_pub', port, ['-t', 'kept', '-m', 'retained', '-r', '-q', '1']).finished;
  const session = ['-t', 'kept', '-q', '1', '-c', '-i', 'sub', '-C', '1', '-F', '%r %p'];
  t.equal((await run('mosquitto_sub', port, session).finished).text, '1 retained\n');
  await run('mosquitto_pub', port, ['-t', 'kept', '-m', 'while away', '-q', '1']).finished;
  t.match((await run('mosquitto_sub', port, session).finished).text, '0 while away');
});

t.test('Properties of mosquitto_pub arrive', { skip }, async (t) => {
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

t.test('mosquitto_sub takes its share', { skip }, async (t) => {
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

t.test('mosquitto_rr gets its answer', { skip }, async (t) => {
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

t.test('A wrong key is refused', { skip }, async (t) => {
  const { port } = await testBroker(t);
  const { code, text } = await run('mosquitto_pub', port, ['-t', 'x', '-m', 'x', '-P', 'wrong']).finished;
  t.not(code, 0);
  t.match(text, /not authorised|bad user name/i);
});
