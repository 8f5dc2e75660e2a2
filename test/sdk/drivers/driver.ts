/** Makes one call of the Node library, and says what came of it as the table does. */
import { NexTalk, NexTalkError, type Options, parseEvents, parseMessage } from '../../../sdk/node/src/index.js';
import type { Json, Outcome, Question } from '../table.js';

function plain(value: unknown): unknown {
  if (value instanceof NexTalkError) return { error: thrown(value) };
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [key, plain(one)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(fields.map(([name, one]) => [name, plain(one)]));
}

function thrown(error: unknown): unknown {
  if (error instanceof TypeError) return 'argument';
  if (!(error instanceof NexTalkError)) throw error;
  const { status, message, detail, retryAfter } = error;
  return { status, message, ...(detail === undefined ? {} : { detail }), ...(retryAfter ? { retryAfter } : {}) };
}

function options(client: Json, waits: number[]): Options {
  const { now, random, ...rest } = client;
  const clock = {
    now: () => Number(now) * 1000,
    random: () => Number(random),
    sleep: async (ms: number) => void waits.push(ms),
  };
  // The table holds what a program in JavaScript might hand over, whatever the types say.
  return { ...rest, clock } as unknown as Options;
}

async function collected(value: unknown): Promise<unknown> {
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return value;
  const all: unknown[] = [];
  for await (const one of value as AsyncIterable<unknown>) all.push(one);
  return all;
}

async function returned(site: NexTalk, { call, args }: Question): Promise<unknown> {
  if (call === 'parseEvents') return parseEvents(String(args[0]));
  if (call === 'parseMessage') return parseMessage(String(args[0]));
  const method: unknown = Reflect.get(site, call);
  if (typeof method !== 'function') throw new Error(`no call ${call}`);
  return collected(await Reflect.apply(method, site, args));
}

export async function ask(question: Question): Promise<Outcome> {
  const waits: number[] = [];
  try {
    const value = plain(await returned(new NexTalk(options(question.client, waits)), question));
    return { ...(value === undefined ? {} : { returns: value }), waits };
  } catch (error) {
    return { throws: thrown(error), waits };
  }
}
