/** A node that is so busy that it finds a lease over before it has read what NATS has sent it meanwhile. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { Mesh } from '../../src/cluster/mesh.js';
import type { Peer } from '../../src/cluster/peer.js';
import { Conditions } from '../../src/conditions.js';
import { ClusterMetrics } from '../../src/metrics.js';
import { ManualClock } from '../mqtt/support/clock.js';
import { turn } from '../mqtt/support/device.js';
import { type NatsServer, natsServer } from '../support/nats.js';
import { PeerNode } from '../support/peer-node.js';
import { childEnvironment } from '../support/process.js';
import { skipWithout } from '../support/programs.js';
import type { Cleaner } from '../support/server.js';

const skip = skipWithout('nats-server');
const CLUSTER = 'busy';
const LEASE_MS = 1000;
const BEAT_MS = LEASE_MS / 5;

/** Writes a file when a sign of life with a text has come by NATS, and NATS has done what it had to do before. */
const ONLOOKER = `
const [port, text, file] = process.argv.slice(1);
const socket = require('node:net').connect(Number(port), '127.0.0.1');
let had = '';
let asked = false;
socket.write('CONNECT {"verbose":false}\\r\\nSUB ${CLUSTER}.beat 1\\r\\nPING\\r\\n');
socket.on('data', (data) => {
  had += data;
  if (had.includes('PONG')) {
    if (asked) {
      require('node:fs').writeFileSync(file, '');
      process.exit();
    }
    console.log('ready');
    had = had.slice(had.indexOf('PONG') + 4);
  }
  if (!asked && had.includes(text)) {
    asked = true;
    had = '';
    socket.write('PING\\r\\n');
  }
});
`;

/** Another process that hears the nodes' signs of life, so that this one knows, without reading, what NATS has sent it. */
async function onlooker(t: Cleaner, { port }: NatsServer, text: string): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'nextalk-onlooker-'));
  const file = join(folder, 'seen');
  const child = spawn(process.execPath, ['-e', ONLOOKER, String(port), text, file], {
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await new Promise<void>((resolve) => createInterface({ input: child.stdout }).once('line', () => resolve()));
  const still = new Int32Array(new SharedArrayBuffer(4));
  return () => {
    while (!existsSync(file)) Atomics.wait(still, 0, 0, 5);
  };
}

/** A node, by its mesh alone, that has not heard of another one for nearly as long as the lease. */
async function nearTheEnd(t: Cleaner, nats: NatsServer) {
  const clock = new ManualClock();
  /** What it does when it loses the other one: whether that has certainly not had it, of each item that it was sent of late. */
  const lost: boolean[][] = [];
  const nothing = (): void => undefined;
  const mesh: Mesh = new Mesh(
    {
      ...{ urls: [nats.url], cluster: CLUSTER, node: 'n1', leaseMs: LEASE_MS, workers: new Set<string>(), clock },
      ...{ metrics: new ClusterMetrics(), conditions: new Conditions() },
      wake: () => setImmediate(() => mesh.flush()),
    },
    {
      ...{ joined: nothing, received: nothing, snapshotBegins: nothing, snapshotEnded: nothing, reset: nothing },
      snapshot: () => [].values(),
      hidden: ({ stream }) => {
        const sure: boolean[] = [];
        stream.takeBack(([kind], isSure) => kind === 'e' && sure.push(isSure) > 0);
        lost.push(sure);
      },
      gone: nothing,
    },
  );
  await mesh.start();
  t.teardown(() => mesh.close());
  const other = await PeerNode.join(t, nats, CLUSTER, 'n1');
  for (let beats = 0; beats < 5; beats += 1) {
    clock.advance(BEAT_MS);
    await turn();
  }
  return { clock, mesh, other, lost };
}

/** Calls `publish`, stands still until NATS has seen to that, and finds then that it is time for the next sign of life. */
function standStill(clock: ManualClock, publish: () => void, hasSeen: () => void): Promise<void> {
  return new Promise((resolve) => {
    // As the node's own timers do, before the event loop reads what has come.
    setTimeout(() => {
      publish();
      // The client of NATS writes when the code that runs now is through.
      queueMicrotask(() => {
        hasSeen();
        clock.advance(BEAT_MS);
        void turn().then(resolve);
      });
    });
  });
}

t.test('a node is not lost whose sign of life has come and has not been read', { skip }, async (t) => {
  const nats = await natsServer(t);
  const { clock, other, lost } = await nearTheEnd(t, nats);
  const hasSeen = await onlooker(t, nats, '"byhand"');
  await standStill(clock, () => other.beat(), hasSeen);
  t.equal(lost.length, 0);
  for (let beats = 0; beats < 6; beats += 1) {
    clock.advance(BEAT_MS);
    await turn();
  }
  t.equal(lost.length, 1, 'it is when no other one comes');
});

t.test('what a lost node has not had is known, though NATS’s word of it has not been read', { skip }, async (t) => {
  const nats = await natsServer(t);
  const { clock, mesh, other, lost } = await nearTheEnd(t, nats);
  await other.stopReading();
  const hasSeen = await onlooker(t, nats, '"leaving"');
  const publish = (): void => {
    mesh.send(mesh.peers.get('byhand') as Peer, '["e"]');
    mesh.flush();
    // NATS has this node's sign of life behind the frame.
    mesh.leave();
  };
  await standStill(clock, publish, hasSeen);
  t.strictSame(lost, [[true]]);
});
