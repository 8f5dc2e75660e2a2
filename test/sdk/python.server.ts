/** What the Python library promises beyond its calls: the oldest Python, threads, forks, connections that end. */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { childEnvironment, tether } from '../support/process.js';
import { program, skipWithout } from '../support/programs.js';
import { siteA, type TestServer, testServer } from '../support/server.js';

const run = promisify(execFile);
const source = join(import.meta.dirname, '../../sdk/python/src');
const python = { skip: skipWithout('python3') };

async function output(lines: string, ...args: readonly string[]): Promise<string> {
  const [first = '', ...rest] = [...tether, program('python3') ?? '', '-c', lines, ...args];
  const env = childEnvironment({ PYTHONPATH: source, PYTHONDONTWRITEBYTECODE: '1' });
  return (await run(first, rest, { env })).stdout;
}

/** Runs lines of Python that find `chat`, a client of site A without retries. */
function withClient(server: TestServer, lines: string): Promise<string> {
  const options = `"http://${server.host}", "${siteA.domain}", "${siteA.apikey}", retries=0`;
  return output(`import os, sys, threading, time\nimport nextalk\nchat = nextalk.NexTalk(${options})\n${lines}`);
}

t.test('the Python library is written in Python 3.8', python, async (t) => {
  const folder = join(source, 'nextalk');
  const files = readdirSync(folder).filter((name) => name.endsWith('.py'));
  t.ok(files.length > 4);
  const parse = 'import ast, sys\nfor path in sys.argv[1:]: ast.parse(open(path).read(), feature_version=(3, 8))';
  await output(parse, ...files.map((name) => join(folder, name)));
});

t.test('threads of Python share a client, and each gets its own answers', python, async (t) => {
  const server = await testServer(t);
  for (let n = 0; n < 8; n++) await server.site().online(`user-${n}`, { show: n % 2 === 0 ? 'away' : 'dnd' });
  const lines = `
wrong = []
def ask(n):
    wanted = {f"user-{n}": "dnd" if n % 2 else "away"}
    for _ in range(25):
        try: found = chat.presences([f"user-{n}"])
        except Exception as error: found = error
        if found != wanted: wrong.append(found)
threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(wrong)`;
  t.equal(await withClient(server, lines), '[]\n');
});

t.test('a thread of Python uses its connection again', python, async (t) => {
  const server = await testServer(t);
  const lines = `
sockets = set()
for _ in range(20):
    chat.presences(["jack"])
    sockets.add(chat._transport._threads.kept.connection.sock.getsockname())
print(len(sockets))`;
  t.equal(await withClient(server, lines), '1\n');
});

t.test('a client of Python that was used before a fork is used by both processes', python, async (t) => {
  const server = await testServer(t);
  for (const name of ['parent', 'child']) await server.site().online(name, { show: 'away' });
  const lines = `
chat.presences(["parent"])
child = os.fork()
name = "parent" if child else "child"
wrong = sum(chat.presences([name]) != {name: "away"} for _ in range(50))
if child: wrong += os.waitpid(child, 0)[1]
else: os._exit(wrong)
print(wrong)`;
  t.equal(await withClient(server, lines), '0\n');
});

t.test('a call of Python after its connection has ended opens another one', python, async (t) => {
  const server = await testServer(t);
  await server.site().online('jack', { show: 'away' });
  const lines = `
import socket
chat.presences(["jack"])
chat._transport._threads.kept.connection.sock.shutdown(socket.SHUT_RDWR)
print(chat.presences(["jack"]))`;
  t.equal(await withClient(server, lines), "{'jack': 'away'}\n");
});
