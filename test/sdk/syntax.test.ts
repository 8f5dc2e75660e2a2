/** The site libraries keep to the oldest version of their language that they promise. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment, tether } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';

const run = promisify(execFile);
const python = join(import.meta.dirname, '../../sdk/python/src/nextalk');

t.test('the Python library is written in Python 3.8', { skip: skipWithout('python3') }, async (t) => {
  const parse = 'import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), feature_version=(3, 8))';
  const files = readdirSync(python).filter((name) => name.endsWith('.py'));
  t.ok(files.length > 4);
  const [first = '', ...rest] = [...tether, program('python3') ?? '', '-c', parse];
  await run(first, [...rest, ...files.map((name) => join(python, name))], { env: childEnvironment() });
});
