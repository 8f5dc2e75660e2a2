/** The pages of the site libraries begin with lines that work. */
import { execFile } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment, tether } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';
import { testServer } from '../support/server.js';
import { firstExample } from './readme.js';

const run = promisify(execFile);
const sdk = join(import.meta.dirname, '../../sdk');

t.test('the page of the Python library begins with lines that work', { skip: skipWithout('python3') }, async (t) => {
  const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public' }] });
  const folder = t.testdir({});
  writeFileSync(join(folder, 'first.py'), firstExample('python', `http://${server.host}`));
  const [first = '', ...rest] = [...tether, program('python3') ?? '', 'first.py'];
  const env = childEnvironment({ PYTHONPATH: join(sdk, 'python/src'), PYTHONDONTWRITEBYTECODE: '1' });
  const { stdout } = await run(first, rest, { cwd: folder, env });
  t.match(stdout, /^uid:jack:[0-9a-f]+ ws:\S+\n\{'jack': 'available'\}\n$/);
});

t.test('the page of the PHP library begins with lines that work', { skip: skipWithout('php') }, async (t) => {
  const server = await testServer(t, { domains: [{ domain: 'localhost', apikey: 'public' }] });
  const folder = t.testdir({});
  copyFileSync(join(sdk, 'php/src/NexTalk.php'), join(folder, 'NexTalk.php'));
  writeFileSync(join(folder, 'first.php'), firstExample('php', `http://${server.host}`));
  const [first = '', ...rest] = [...tether, program('php') ?? '', 'first.php'];
  const { stdout } = await run(first, rest, { cwd: folder, env: childEnvironment() });
  t.match(stdout, /^uid:jack:[0-9a-f]+ ws:\S+\nArray\n\(\n {4}\[jack\] => available\n\)\n/);
});
