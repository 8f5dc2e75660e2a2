import { spawn } from 'node:child_process';
import t from 'tap';
import { log, ticketTag } from '../src/log.js';
import { childEnvironment } from './support/process.js';

const module = new URL('../src/log.ts', import.meta.url).href;

/** Runs a few lines with the log in a process of its own; `readBytes` closes its stdout after so many. */
function logging(script: string, readBytes = Number.POSITIVE_INFINITY): Promise<{ code: number | null; out: string }> {
  const source = `const { configureLog, flushLog, log, lostLines, print } = await import(${JSON.stringify(module)});\n${script}`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: childEnvironment(),
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    if (out.length >= readBytes) child.stdout.destroy();
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out })));
}

const json = "configureLog({ level: 'info', pretty: false });\n";

t.test('the log is silent until it is configured', async (t) => {
  t.equal(log.level, 'silent');
  t.strictSame(await logging("log.error('x');"), { code: 0, out: '' });
});

t.test('an event is one line of JSON', async (t) => {
  const { out } = await logging(`${json}log.debug('no'); log.info({ event: 'online', n: 1 }, 'a\\nb'); log.warn('w');`);
  const lines = out.trimEnd().split('\n');
  t.equal(lines.length, 2);
  t.match(JSON.parse(lines[0] ?? ''), { level: 'info', time: /^\d{4}-.*Z$/, event: 'online', n: 1, msg: 'a\nb' });
  t.match(JSON.parse(lines[1] ?? ''), { level: 'warn', msg: 'w' });
});

t.test('on a terminal an event is readable', async (t) => {
  const { out } = await logging(
    "configureLog({ level: 'info', pretty: true }); log.info({ event: 'e', n: 1 }, 'hello');",
  );
  t.match(out, /INFO.*hello.*"n":1/);
});

t.test('nothing is lost at the end of the process, in order', async (t) => {
  const { out, code } = await logging(
    `${json}for (let n = 0; n < 5000; n++) log.info({ n }); await flushLog(); process.exit(7);`,
  );
  t.equal(code, 7);
  const numbers = out
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line).n);
  t.strictSame(
    numbers,
    Array.from({ length: 5000 }, (_, n) => n),
  );
});

t.test('a process that ends by itself has written all', async (t) => {
  const { out } = await logging(`${json}for (let n = 0; n < 5000; n++) log.info({ n });`);
  t.equal(out.trimEnd().split('\n').length, 5000);
});

t.test('flushLog waits for what was logged', async (t) => {
  const { out } = await logging(`${json}log.info('first'); await flushLog(); print('second\\n');`);
  t.match(out, /first.*\nsecond\n$/);
});

t.test('what waits for a reader is bounded: lines beyond it are lost and counted, and it goes on', async (t) => {
  const { out } = await logging(`${json}for (let n = 0; n < 20_000; n++) log.info({ n }, 'x'.repeat(1000));
    const lost = lostLines(); await flushLog(); log.info({ lost });`);
  const lines = out.trimEnd().split('\n');
  const { lost } = JSON.parse(lines.pop() ?? '');
  t.ok(lost > 10_000 && lost < 13_000, `8 MiB are kept, ${lost} of 20,000 lines are lost`);
  t.equal(lines.length, 20_000 - lost);
});

t.test('a reader that goes away neither stops the process nor keeps it from ending', async (t) => {
  const writer = `${json}let n = 0;
    const timer = setInterval(() => {
      for (let i = 0; i < 100; i++) log.info({ n: n++ });
      if (lostLines() > 0) { clearInterval(timer); log.info('last'); flushLog().then(() => process.exit(3)); }
    }, 1);`;
  t.equal((await logging(writer, 10)).code, 3);
});

const tags: readonly (readonly [ticket: string, tag: string])[] = [
  ['uid:demo:0df37e76e75f9d66a6c7', 'uid:demo:0df37e…'],
  ['uid:vid:x:0123456789', 'uid:vid:x:012345…'],
  ['uid:a', 'malformed'],
  ['0df37e76e75f9d66a6c7', 'malformed'],
  [':a:0123456789', 'malformed'],
  ['', 'malformed'],
];

for (const [ticket, tag] of tags)
  t.test(`"${ticket}" is logged as ${tag}`, async (t) => t.equal(ticketTag(ticket), tag));

t.test('a tag is short, whatever a client sends', async (t) => {
  t.ok(ticketTag(`uid:${'x'.repeat(20_000)}:0123456789`).length < 320);
});
