/** A worker that an operator ends is replaced, and its clients go on at the others with their tickets. */
import t from 'tap';
import { CountingSocket } from '../support/counting.js';
import { exchange } from '../support/http.js';
import { skipWithout } from '../support/programs.js';
import { until } from '../support/until.js';
import { started, workersOf } from './support/workers.js';

const skip = skipWithout('nats-server');
const auth = { domain: 'localhost', apikey: 'public' };
const USERS = 6;

t.test(
  'each worker is ended in turn: every client goes on with its ticket, and nothing is lost',
  { skip },
  async (t) => {
    const { server, url } = await started(t, ['--set', 'cluster.leaveMs=500'], 3);
    const port = Number(new URL(url).port);
    const post = (path: string, form: Record<string, string>): Promise<unknown> =>
      until(`an answer of ${path}`, async () => {
        // A worker that ends refuses, or its connections end.
        const answer = await exchange(port, { method: 'POST', path, form, auth }).answer.catch(() => null);
        if (answer?.status === 200) return answer.body;
        if (answer && answer.status !== 503) throw new Error(`${path} answered ${answer.status} ${answer.text}`);
        return null;
      });
    const clients: CountingSocket[] = [];
    let isOver = false;
    const come = async (client: CountingSocket): Promise<void> => {
      const isThere = (): Promise<boolean> =>
        client.connect().then(
          () => true,
          () => false,
        );
      await until('a client connected again', async () => isOver || (await isThere()));
      client.socket?.once('close', () => isOver || void come(client));
    };
    for (let user = 0; user < USERS; user++) {
      const { ticket } = (await post('/v5/presences/online', { name: `u${user}`, nick: `u${user}` })) as {
        readonly ticket: string;
      };
      const client = new CountingSocket(port, ticket, 'localhost');
      clients.push(client);
      await come(client);
    }
    t.teardown(() => {
      isOver = true;
      for (const client of clients) client.close();
    });
    let sent = 0;
    const write = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const id = `m${sent}`;
        for (let user = 0; user < USERS; user++) {
          await post('/v5/messages', { from: 'site', to: `u${user}`, body: String(sent), id });
        }
        sent += 1;
      }
    };
    await write(3);
    for (const pid of workersOf(server)) {
      process.kill(pid, 'SIGTERM');
      const replaced = server.event('worker-started');
      await write(5);
      await replaced;
      await write(2);
    }
    const all = Array.from({ length: sent }, (_, n) => String(n));
    for (const [user, client] of clients.entries()) {
      await client.has(sent);
      t.strictSame(client.bodies, all, `user ${user} has each message once and in order`);
      t.strictSame([client.missed, client.lost], [0, 0]);
      t.notOk(client.frames.some(({ missed, status }) => missed !== undefined || status === 'error'));
    }
  },
);
