/** Clients that an operator or owner ends, and keeps out for a time. */
import { isIP } from 'node:net';
import { BAN_KINDS, type Ban, type BanKind, LONGEST_MINUTES, MOST_BANS } from '../directory/bans.js';
import { type Outcome, refused, type Viewer } from '../directory/operations.js';
import type { Plain } from '../directory/registers.js';
import { endpointTarget } from '../protocols/caller.js';
import { networkOf } from '../protocols/client-address.js';
import type { Context } from '../protocols/context.js';
import { answerError, answerJson, type Handler, maySee } from './answer.js';
import { readObject } from './body.js';
import { changing, changingBy } from './changing.js';

const BAN_MINUTES = 60;
const REASON_CHARACTERS = 200;
const VALUE_CHARACTERS = 256;
const MINUTE_MS = 60_000;

interface Whom {
  readonly kind: BanKind;
  readonly value: string;
}

function wrong(detail: string): Outcome {
  return refused(400, 'bad request', detail);
}

/** Whom a body names, or what is wrong with it. */
function whomOf(context: Context, name: string, body: Plain, kinds: readonly BanKind[]): Whom | Outcome {
  const named = kinds.filter((kind) => body[kind] !== undefined);
  const [kind] = named;
  if (kind === undefined || named.length > 1) return wrong(`one of ${kinds.join(', ')} is required`);
  const value = body[kind];
  if (typeof value !== 'string' || value === '' || value.length > VALUE_CHARACTERS) {
    return wrong(`${kind} must be a text of 1 to ${VALUE_CHARACTERS} characters`);
  }
  if (kind === 'address') {
    const isNetwork = value.endsWith('::/64');
    if (isIP(isNetwork ? value.slice(0, -3) : value) === 0) return wrong('address must be an IP address');
    return { kind, value: networkOf(isNetwork ? value.slice(0, -3) : value) };
  }
  if (kind === 'clientId') return { kind, value };
  const domain = context.domains.get(name);
  const target = domain && endpointTarget(domain, value);
  return target
    ? { kind, value: domain.shortId(target.address) }
    : wrong('id is not the id of a user, visitor or service');
}

function shown({ kind, value, until, since, reason, by }: Ban): Plain {
  return { [kind]: value, until, since, reason, by };
}

class Moderation {
  constructor(private readonly context: Context) {}

  kick(viewer: Viewer, domain: string, body: Plain): Outcome {
    const whom = this.#whom(domain, body, ['id', 'clientId']);
    if ('status' in whom) return whom;
    this.context.state.kick(domain, whom.kind, whom.value);
    this.#record(viewer, 'kicked', domain, whom, []);
    return { status: 200, body: { domain, [whom.kind]: whom.value } };
  }

  ban(viewer: Viewer, domain: string, body: Plain): Outcome {
    const whom = this.#whom(domain, body, BAN_KINDS);
    if ('status' in whom) return whom;
    const { minutes = BAN_MINUTES, reason = '' } = body;
    if (typeof minutes !== 'number' || !(minutes > 0 && minutes <= LONGEST_MINUTES)) {
      return wrong(`minutes must be a number up to ${LONGEST_MINUTES}`);
    }
    if (typeof reason !== 'string' || reason.length > REASON_CHARACTERS) {
      return wrong(`reason must be a text of at most ${REASON_CHARACTERS} characters`);
    }
    const { bans, stamps } = this.context.state;
    if (!bans.of(domain).hasRoom(whom)) return refused(409, 'conflict', `a domain has at most ${MOST_BANS} bans`);
    const since = this.context.runtime.clock.now();
    const until = Math.round(since + minutes * MINUTE_MS);
    const ban: Ban = { domain, ...whom, stamp: stamps.next(), until, since, reason, by: viewer.name };
    bans.set(ban);
    this.#record(viewer, 'banned', domain, whom, [`${minutes} minutes`, ...(reason === '' ? [] : [reason])]);
    return { status: 201, body: { domain, ...shown(ban) } };
  }

  lift(viewer: Viewer, domain: string, body: Plain): Outcome {
    const whom = this.#whom(domain, body, BAN_KINDS);
    if ('status' in whom) return whom;
    const { bans, stamps } = this.context.state;
    const ban = bans.of(domain).find({ [whom.kind]: whom.value });
    if (!ban) return refused(404, 'not found', 'there is no such ban');
    bans.set({ ...ban, stamp: stamps.next(), until: 0 });
    this.#record(viewer, 'ban lifted', domain, whom, []);
    return { status: 200, body: { domain, [whom.kind]: whom.value } };
  }

  #whom(domain: string, body: Plain, kinds: readonly BanKind[]): Whom | Outcome {
    if (!this.context.domains.has(domain)) return refused(404, 'not found', 'there is no such domain');
    return whomOf(this.context, domain, body, kinds);
  }

  #record(viewer: Viewer, what: string, domain: string, { kind, value }: Whom, more: readonly string[]): void {
    const { audit } = this.context.state;
    const { name: who, address } = viewer;
    audit.record({
      at: this.context.runtime.clock.now(),
      who,
      address,
      what,
      domain,
      detail: [`${kind} ${value}`, ...more],
    });
  }
}

/** What any node answers alike. */
export const MODERATION_ROUTES: readonly string[] = [
  'POST /api/domains/{domain}/kick',
  'POST /api/domains/{domain}/ban',
  'GET /api/domains/{domain}/ban',
  'DELETE /api/domains/{domain}/ban',
];

export function moderationRoutes(context: Context): [string, Handler][] {
  const moderation = new Moderation(context);
  const list: Handler = (request) => {
    const { response, parts } = request;
    const domain = parts.get('domain') ?? '';
    if (!maySee(request, domain) || !context.domains.has(domain)) return answerError(response, 404, 'not found');
    answerJson(response, { bans: context.state.bans.of(domain).list().map(shown) });
  };
  const lift: Handler = changing(context, async (viewer, domain, { message, url }) => {
    const query = Object.fromEntries(BAN_KINDS.flatMap((kind) => [[kind, url.searchParams.get(kind) ?? undefined]]));
    const body = await readObject(message);
    return moderation.lift(viewer, domain, typeof body === 'string' ? query : { ...query, ...body });
  });
  return [
    ['POST /api/domains/{domain}/kick', changingBy(context, moderation.kick.bind(moderation))],
    ['POST /api/domains/{domain}/ban', changingBy(context, moderation.ban.bind(moderation))],
    ['GET /api/domains/{domain}/ban', list],
    ['DELETE /api/domains/{domain}/ban', lift],
  ];
}
