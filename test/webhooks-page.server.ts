/** The programs of docs/webhooks.md, with the server that they are written for: who missed a message gets an e-mail, once. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { exchange } from './support/http.js';
import { type Block, readBlocks } from './support/markdown.js';
import { listening } from './support/nats.js';
import { freePort } from './support/ports.js';
import { spawnTethered } from './support/process.js';
import { type Program, program, skipWithout } from './support/programs.js';
import { type Settings, testServer } from './support/server.js';
import { until } from './support/until.js';
import { signature } from './support/webhook.js';

const blocks = readBlocks(readFileSync(join(import.meta.dirname, '../docs/webhooks.md'), 'utf8'));

function block(title: string): string {
  return blocks.find(({ attributes }: Block) => attributes.get('title') === title)?.text ?? '';
}

const SETTINGS = JSON.parse(block('webhooks.json')) as { domains: [Settings & { webhookSecret: string }] };
const [DOMAIN] = SETTINGS.domains;

/** Puts a `sendmail` into a folder that keeps what it is given; the answer reads that. */
function mailFolder(folder: string): () => string {
  const file = join(folder, 'mails');
  writeFileSync(join(folder, 'sendmail'), `#!/bin/sh\ncat >> '${file}'\n`);
  chmodSync(join(folder, 'sendmail'), 0o755);
  return () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
}

interface Language {
  readonly name: string;
  readonly needs: readonly Program[];
  readonly path: string;
  readonly start: (folder: string, port: number) => [command: string, args: string[]];
}

const LANGUAGES: readonly Language[] = [
  {
    name: 'PHP',
    needs: ['php'],
    path: '/events.php',
    start: (folder, port) => {
      writeFileSync(join(folder, 'events.php'), block('events.php'));
      const sendmail = `sendmail_path=${join(folder, 'sendmail')} -t`;
      return [program('php') ?? '', ['-d', sendmail, '-S', `127.0.0.1:${port}`, '-t', folder]];
    },
  },
  {
    name: 'Node',
    needs: [],
    path: '/events',
    start: (folder, port) => {
      const code = block('events.mjs').replace("listen(3000, 'localhost'", `listen(${port}, '127.0.0.1'`);
      writeFileSync(join(folder, 'events.mjs'), code);
      return [process.execPath, [join(folder, 'events.mjs')]];
    },
  },
];

for (const { name, needs, path, start } of LANGUAGES) {
  t.test(`the program in ${name} mails whoever missed a message, once`, { skip: skipWithout(...needs) }, async (t) => {
    const folder = t.testdir({});
    const mails = mailFolder(folder);
    const port = await freePort();
    const [command, args] = start(folder, port);
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    const child = spawnTethered(command, args, { stdio: 'ignore', env });
    t.teardown(() => child.kill('SIGKILL'));
    await listening(port);
    const url = `http://127.0.0.1:${port}${path}`;
    const server = await testServer(t, { domains: [{ ...DOMAIN, events: { ...(DOMAIN.events as object), url } }] });
    const site = server.site({ domain: 'localhost', apikey: 'public' });
    await site.arrive('rose');
    await site.push('anna', 'rose', 'she is there');
    await site.push('anna', 'jack', 'Where are you? ☃', { nick: 'Anna' });
    await site.push('anna', 'nobody', 'without an address');
    await until('the first mail', () => mails().includes('Where are you?'));
    t.match(mails(), /To: jack@example\.com.*Subject: You missed a message.*Anna wrote:\s+Where are you\? ☃/s);
    t.notMatch(mails(), /she is there|without an address/);
    const events = (body: string) => [{ id: 'one', kind: 'undelivered', name: 'jack', packet: { nick: 'A', body } }];
    const post = async (text: string, signed: string) => {
      const headers = { 'x-nextalk-signature': signed };
      return (await exchange(port, { method: 'POST', path, body: text, type: 'application/json', headers }).answer)
        .status;
    };
    const body = JSON.stringify({ domain: 'localhost', events: events('twice') });
    const good = `sha256=00,${signature(DOMAIN.webhookSecret, body)}`;
    t.strictSame([await post(body, good), await post(body, good)], [204, 204]);
    t.equal(await post(JSON.stringify({ events: events('forged') }), signature('wrong', body)), 401);
    await until('a mail of what was posted', () => mails().includes('twice'));
    await site.push('anna', 'jack', 'the last');
    await until('the last mail', () => mails().includes('the last'));
    t.equal(mails().split('twice').length, 2, 'once');
    t.notMatch(mails(), /forged/);
  });
}
