/** The service of systemd: deploy/nextalk.service, and what the server tells a service manager. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { nextalk, spawnTethered } from './support/process.js';
import { program, skipWithout } from './support/programs.js';

const unit = join(import.meta.dirname, '../deploy/nextalk.service');
const ports = ['--port', '0', '--mqtt-port', '0', '--admin-port', '0'];

/** What a service manager hears: each datagram on a socket of its own, as one line of JSON. */
const listener = `
import json, os, socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print(json.dumps('listening'), flush=True)
while True:
    data, fds, flags, address = socket.recv_fds(manager, 65536, 8)
    if data.startswith(b'BARRIER=1'):
        for fd in fds: os.close(fd)
    else:
        print(json.dumps(data.decode()), flush=True)
`;

interface Cleaner {
  teardown(fn: () => unknown): void;
}

async function serviceManager(t: Cleaner): Promise<{ socket: string; heard: AsyncIterator<string> }> {
  // The folder's path is short, because the path of a socket may have few characters.
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-notify-'));
  const socket = join(folder, 'notify');
  const child = spawnTethered('python3', ['-c', listener, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await once(child, 'close');
    rmSync(folder, { recursive: true });
  });
  if (!child.stdout) throw new Error('no pipe');
  const heard = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await heard.next();
  return { socket, heard };
}

async function next(heard: AsyncIterator<string>): Promise<string[]> {
  return String(JSON.parse(String((await heard.next()).value))).split('\n');
}

t.test(
  'a service manager is told when clients are taken, and when the server ends',
  { skip: skipWithout('systemd-notify', 'python3') },
  async (t) => {
    const { socket, heard } = await serviceManager(t);
    const server = nextalk(t, ports, { env: { NOTIFY_SOCKET: socket } });
    const { url } = await server.event('started');
    t.strictSame(await next(heard), ['READY=1', `STATUS=NexTalk serves 1 domain on ${url}`]);
    server.kill('SIGTERM');
    t.strictSame(await next(heard), ['STOPPING=1']);
    t.equal(await server.ended, 0);
  },
);

t.test('a server whose service manager cannot be told says so, and serves', async (t) => {
  const server = nextalk(t, ports, { env: { NOTIFY_SOCKET: '/nowhere/notify' } });
  await server.event('started');
  t.match(await server.event('systemd-not-told'), { level: 'warn' });
});

t.test('systemd accepts the unit as it stands', { skip: skipWithout('systemd-analyze') }, async (t) => {
  const child = spawnTethered(program('systemd-analyze') ?? '', ['verify', unit], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr?.on('data', (text) => {
    complaints += text;
  });
  const [code] = await once(child, 'close');
  t.strictSame([complaints.split('\n').filter((line) => line.includes('nextalk.service')), code], [[], 0]);
});

t.test('a wrong configuration is exit code 2 of the service itself, which is not started again', async (t) => {
  const text = readFileSync(unit, 'utf8');
  t.match(text, /^RestartPreventExitStatus=2$/m);
  // RestartPreventExitStatus is of the main process: a check before it that fails is started again for ever.
  t.notMatch(text, /^ExecStartPre=/m);
  t.match(text, /^Type=notify$/m);
  t.match(text, /^NotifyAccess=all$/m);
});
