/** The browser library as it is shipped: its size, its names, and the package that npm makes of it. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { builtLibrary } from '../support/library.js';
import { childEnvironment, pristine, tether } from '../support/process.js';

const root = join(import.meta.dirname, '../..');
const npm = process.env.npm_execpath ?? '/usr/lib/node_modules/npm/bin/npm-cli.js';
/** A registry that does not answer is an error, not a test that hangs. */
const NPM_MS = 250_000;

async function run(cwd: string, ...args: readonly string[]): Promise<string> {
  const [first = '', ...rest] = [...tether, 'env', ...pristine, process.execPath, ...args];
  return (await promisify(execFile)(first, rest, { cwd, env: childEnvironment(), timeout: NPM_MS })).stdout;
}

t.test(
  'the library has at most 10 KB gzipped, the widget 40, and the library names one thing for script tags',
  async (t) => {
    const folder = await builtLibrary();
    for (const name of ['client.js', 'client.global.js']) {
      const bytes = gzipSync(readFileSync(join(folder, name)), { level: 9 }).length;
      t.ok(bytes <= 10 * 1024, `${name}: ${bytes} bytes`);
      t.match(readFileSync(join(folder, name), 'utf8'), /^\/\*! nextalk-client 1\.0\.0, MIT \*\//);
    }
    const widget = readFileSync(join(folder, 'widget.js'));
    const bytes = gzipSync(widget, { level: 9 }).length;
    t.ok(bytes <= 40 * 1024, `widget.js: ${bytes} bytes, the library among them`);
    t.match(widget.toString(), /^\/\*! nextalk-chat 1\.0\.0, MIT \*\//);
    const script = readFileSync(join(folder, 'client.global.js'), 'utf8');
    const names = await run(
      folder,
      '-e',
      `const before = Object.keys(globalThis); (0, eval)(${JSON.stringify(script)});
     console.log(Object.keys(globalThis).filter((name) => !before.includes(name)).join(), Object.keys(NexTalk).join());`,
    );
    t.equal(names, 'NexTalk connect,ChatError\n');
    for (const name of ['client.js', 'client.global.js', 'client-tabs-1.0.0.js', 'widget.js']) {
      t.notMatch(
        readFileSync(join(folder, name), 'utf8'),
        /console\.|\beval\b|new Function|innerHTML/,
        `${name} fits a strict page`,
      );
    }
  },
);

t.test('the package installs into an empty folder, runs in Node and is typed', { timeout: 800_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-client-package-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  // Packed from a copy, which another test's build does not change meanwhile.
  const source = join(folder, 'source');
  const ours = (path: string): boolean => !path.includes('/client/dist');
  cpSync(join(root, 'client'), join(source, 'client'), { recursive: true, filter: ours });
  cpSync(join(root, 'tsconfig.json'), join(source, 'tsconfig.json'));
  symlinkSync(join(root, 'node_modules'), join(source, 'node_modules'));
  await run(join(source, 'client'), npm, 'pack', '--silent', '--pack-destination', folder);
  const user = join(folder, 'user');
  cpSync(t.testdir({ 'package.json': '{"type":"module"}' }), user, { recursive: true });
  await run(user, npm, 'install', '../nextalk-client-1.0.0.tgz', '--offline', '--no-audit', '--no-fund');
  const installed = join(user, 'node_modules/nextalk-client');
  t.strictSame(readdirSync(installed).sort(), ['LICENSE', 'README.md', 'dist', 'package.json']);
  t.strictSame(
    readdirSync(join(user, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['nextalk-client'],
  );

  await t.test('with the errors that a mistake deserves', async (t) => {
    const program = `import { connect, ChatError } from 'nextalk-client';
      for (const options of [{}, { token: 'x' }, { online() {} }, { token: 'x', server: 'localhost:8080' }]) {
        try { connect(options); } catch (error) { console.log(error.name, error.message); }
      }
      const chat = connect({ server: 'http://127.0.0.1:9', token: () => null });
      await chat.ready.catch((error) => console.log(error instanceof ChatError, error.code, error.detail));`;
    t.equal(
      await run(user, '--input-type=module', '-e', program),
      'TypeError connect needs `token`, or `online` and `domain`\nTypeError connect needs `server`\n' +
        'TypeError connect needs `token`, or `online` and `domain`\nTypeError connect needs `server` with http or https\n' +
        'true 410 not signed in\n',
    );
  });

  await t.test('with types that a strict compiler takes', async (t) => {
    writeFileSync(
      join(user, 'page.ts'),
      `import { type ChatError, connect, type Message } from 'nextalk-client';
      import type { NexTalkChat } from 'nextalk-client/widget';
      export const open = (element: NexTalkChat): void => element.open('gid:lobby');
      const chat = connect({ server: 'https://im.example.com', token: async () => 'x', transports: ['events'] });
      const off: () => void = chat.on('message', ({ from, body }: Message) => void (from + body));
      chat.on('missed', ({ count }) => count?.toFixed());
      export const sent: Promise<{ id: string; outcome: string }> = chat.send({ to: 'jack', body: 'hi' }).finally(off);
      export const shows: string[] = [...chat.presences.values()].map(({ show }) => show);
      export const code = (error: ChatError): number => error.code;
      // @ts-expect-error: there is no such event
      chat.on('massage', () => undefined);`,
    );
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    const flags = '--noEmit --strict --module nodenext --target es2022 --lib es2022,dom --skipLibCheck false --types';
    await run(user, tsc, ...flags.split(' '), '', 'page.ts');
    t.pass('it compiles');
  });
});
