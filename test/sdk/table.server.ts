/** The site libraries do what their table says, each as a process of its language, against a server that records. */
import t, { type Test } from 'tap';
import { freePort } from '../support/ports.js';
import { skipWithout } from '../support/programs.js';
import { type Ask, languages } from './languages.js';
import { Recorder } from './recorder.js';
import { type CallCase, type Json, type Outcome, type Question, table, withoutMadeIds } from './table.js';

const { domain, apiKey } = table.client;
const authorization = `Basic ${Buffer.from(`${domain}:${apiKey}`).toString('base64')}`;
const MADE_ID = /^[A-Za-z0-9._~-]{16,64}$/;

/** The ids that messages carry beyond those of the case, by the order in which they came. */
function madeIds(recorder: Recorder, args: readonly unknown[]): Map<string, string> {
  const given = JSON.stringify(args);
  const made = new Map<string, string>();
  for (const { parameters, json } of recorder.requests) {
    const messages = (json as { messages?: Json[] } | undefined)?.messages ?? [parameters ?? {}];
    for (const { id } of messages) {
      if (typeof id !== 'string' || given.includes(JSON.stringify(id)) || made.has(id)) continue;
      made.set(id, `$${made.size + 1}`);
    }
  }
  return made;
}

/** How a connection failed is said in each system's own words. */
function withoutWords({ returns, throws }: Outcome): Json {
  const { detail, ...rest } = (typeof throws === 'object' ? throws : {}) as Json;
  if (throws !== undefined) return { throws: rest.status === 0 ? rest : throws };
  return returns === undefined || returns === null ? {} : { returns };
}

async function compare(t: Test, ask: Ask, recorder: Recorder, test: CallCase): Promise<void> {
  const server = test.client?.server === 'closed' ? `http://127.0.0.1:${await freePort()}` : `${recorder.url}/`;
  recorder.script(test.answers);
  const client = { ...table.client, ...test.client, server };
  const outcome = await ask({ client, call: test.call, args: test.args });
  const givesUp = test.answers.some(({ fault }) => fault === 'silence' || fault === 'half');
  if (givesUp) await recorder.seen(test.requests.length);
  const made = madeIds(recorder, test.args);
  for (const id of made.keys()) t.match(id, MADE_ID);
  const seen = recorder.requests.map(({ authorization: _, ...request }) => request);
  t.strictSame(withoutMadeIds(seen, made), test.requests, 'the requests');
  t.strictSame(withoutMadeIds(withoutWords(outcome), made), withoutWords(test), 'what comes of them');
  if (test.waits !== undefined) t.strictSame(outcome.waits, test.waits, 'the pauses');
  for (const request of recorder.requests) t.equal(request.authorization, authorization, 'HTTP Basic');
  // A library may still have one of an earlier case.
  if (test.oneConnection) t.ok(recorder.connections <= 1, `opened ${recorder.connections} connections`);
}

for (const { name, needs, start } of languages) {
  t.test(`the ${name} library`, { skip: skipWithout(...needs) }, async (t) => {
    const recorder = new Recorder();
    await recorder.listen();
    t.teardown(() => recorder.close());
    const ask = start(t);
    const client = { ...table.client, server: recorder.url };
    /** A call that asks no server, with an outcome that says so. */
    const local = async (question: Question): Promise<Outcome> => {
      const { waits, ...outcome } = await ask(question);
      return outcome;
    };

    for (const test of table.calls) await t.test(test.title, (t) => compare(t, ask, recorder, test));

    for (const test of table.tokens) {
      await t.test(test.title, async (t) => {
        const { sub, claims = {}, ttl = 3600, now, secret, token, throws } = test;
        const args = test.ttl === undefined ? [sub, claims] : [sub, claims, ttl];
        const outcome = await local({ client: { ...client, now, tokenSecret: secret }, call: 'token', args });
        t.strictSame(outcome, throws === undefined ? { returns: token } : { throws });
      });
    }

    for (const { title, secrets, body, signature, genuine } of table.webhooks) {
      await t.test(`webhook: ${title}`, async (t) => {
        const more = secrets === undefined ? {} : { webhookSecret: secrets };
        const outcome = await local({ client: { ...client, ...more }, call: 'verifyWebhook', args: [body, signature] });
        t.strictSame(outcome, { returns: genuine });
      });
    }

    for (const { title, call, body, returns, throws } of table.events) {
      await t.test(title, async (t) => {
        const outcome = await local({ client, call, args: [body] });
        t.strictSame(outcome, throws === undefined ? { returns } : { throws });
      });
    }
  });
}
