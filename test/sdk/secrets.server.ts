/** What a site prints or logs of a site library holds no secret. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment, pristine, tether } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';

const run = promisify(execFile);
const sdk = join(import.meta.dirname, '../../sdk');
const SECRET = 'k-secret-of-the-api-and-of-tokens-0123456789';

async function output(...command: readonly string[]): Promise<string> {
  const [first = '', ...rest] = [...tether, 'env', ...pristine, ...command];
  const env = childEnvironment({ PYTHONPATH: join(sdk, 'python/src'), PYTHONDONTWRITEBYTECODE: '1' });
  const { stdout, stderr } = await run(first, rest, { env, cwd: join(sdk, '..') });
  return stdout + stderr;
}

const programs = {
  node: `import { inspect } from 'node:util';
    import { NexTalk } from './sdk/node/src/index.ts';
    const options = { domain: 'd.example', apiKey: '${SECRET}', tokenSecret: '${SECRET}', retries: 0 };
    const chat = new NexTalk({ ...options, server: 'http://127.0.0.1:1' });
    console.log(inspect(chat, { depth: 9, showHidden: true }), JSON.stringify(chat));
    await chat.presences(['1']).catch((error) => console.log(inspect(error, { depth: 9, showHidden: true })));
    try { new NexTalk({ ...options, server: 'im' }); } catch (error) { console.log(error); }`,
  php: `require 'sdk/php/src/NexTalk.php';
    $options = ['tokenSecret' => '${SECRET}', 'retries' => 0];
    $chat = new NexTalk\\Client('http://127.0.0.1:1', 'd.example', '${SECRET}', $options);
    var_dump($chat); print_r($chat);
    try { $chat->presences(['1']); } catch (Exception $error) { echo $error, "\\n"; }
    try { new NexTalk\\Client('im', 'd.example', '${SECRET}', $options); } catch (Exception $error) { echo $error; }`,
  python: `import traceback, nextalk
secret = '${SECRET}'
chat = nextalk.NexTalk('http://127.0.0.1:1', 'd.example', secret, token_secret=secret, retries=0)
print(chat, repr(chat))
for call in (lambda: chat.presences(['1']), lambda: nextalk.NexTalk('im', 'd.example', secret)):
    try: call()
    except Exception: traceback.print_exc()`,
};

t.test('the Node library shows no secret', async (t) => {
  const args = ['--import', 'tsx', '--input-type=module', '-e', programs.node];
  const text = await output(process.execPath, ...args);
  t.match(text, /connection failed[\s\S]*server is an address/);
  t.notMatch(text, 'k-secret');
});

t.test('the PHP library shows no secret', { skip: skipWithout('php') }, async (t) => {
  const flags = ['-d', 'zend.exception_ignore_args=0', '-d', 'zend.exception_string_param_max_len=100'];
  const text = await output(program('php') ?? '', ...flags, '-r', programs.php);
  t.match(text, /connection failed[\s\S]*server is an address/);
  t.notMatch(text, 'k-secret');
});

t.test('the Python library shows no secret', { skip: skipWithout('python3') }, async (t) => {
  const text = await output(program('python3') ?? '', '-c', programs.python);
  t.match(text, /connection failed[\s\S]*server is an address/);
  t.notMatch(text, 'k-secret');
});
