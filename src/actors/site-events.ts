/**
 * What happens to a domain, told to its site: POSTed from an outbox, and published to MQTT backends. PROTOCOL.md section 17.
 * Only where the domain's `events` name the kind; presence-events.ts says which node of a cluster tells a change.
 */
import type { DomainConfig, EventsConfig } from '../config-domain.js';
import type { EventKind } from '../event-kinds.js';
import { heap } from '../heap.js';
import { seldom } from '../seldom.js';
import type { Address } from './address.js';
import { type Deletion, isItemOf, type MessageDeletion, nameOfDeleted } from './deletions.js';
import type { Domain } from './domain.js';
import type { EndpointRecord } from './endpoint-record.js';
import { newMessageId } from './message-id.js';
import { type Answered, Outbox, type OutboxRules, type OutboxView } from './outbox.js';
import { outboxKey } from './outbox-queue.js';
import type { Packet } from './packet.js';
import { PresenceEvents } from './presence-events.js';
import { Undelivered, type UndeliveredOutcome } from './undelivered.js';
import { nameOf } from './unseen.js';

/** The queue of a domain's events among its outboxes on disk. */
export const EVENTS_QUEUE = 'events';

type Fields = Readonly<Record<string, unknown>>;

const DAY_MS = 24 * 60 * 60_000;
const BATCH = 100;
const GATHER_MS = 200;
const LONGEST_PAUSE_MS = 5 * 60_000;
const ATTEMPTS = 10;

export class SiteEvents {
  readonly presence: PresenceEvents;
  #config: EventsConfig | null = null;
  #outbox: Outbox | null = null;
  readonly undelivered: Undelivered;

  constructor(private readonly domain: Domain) {
    this.undelivered = new Undelivered(domain, (...message) => this.#raiseUndelivered(...message));
    this.presence = new PresenceEvents(domain, this);
  }

  /** Takes over the domain's settings. */
  configure(): void {
    this.#config = this.domain.settings.events;
    if (this.#config?.url) {
      if (this.#outbox) this.#outbox.restart(howPosted(this.domain.settings, this.#config.url));
      else this.#outbox = this.#newOutbox();
      return;
    }
    this.#outbox?.discard();
    this.#outbox = null;
  }

  /**
   * The server ends, or the domain: what waits stays on disk, and of what happens now the site is told only, after the next start,
   * which messages have found nobody.
   */
  end(): void {
    const kinds = this.#config?.kinds.filter((kind) => kind === 'undelivered') ?? [];
    this.#config = this.#config && { ...this.#config, kinds };
    const lost = this.#outbox?.close().length ?? 0;
    this.domain.metrics.events.discarded += lost;
  }

  get view(): OutboxView | null {
    return this.#outbox?.view ?? null;
  }

  wants(kind: EventKind): boolean {
    return this.#config?.kinds.includes(kind) ?? false;
  }

  /** `name`: of the message that the event carries (`messageName`); empty: it carries none. */
  raise(kind: EventKind | 'test', fields: Fields | string, name = ''): void {
    if (kind !== 'test' && !this.wants(kind)) return;
    const { metrics, runtime } = this.domain;
    const at = runtime.clock.now();
    const head = `{"id":${JSON.stringify(newMessageId(at))},"time":${at},"kind":"${kind}"`;
    const text = typeof fields === 'string' ? fields : JSON.stringify(fields).slice(1, -1);
    const json = text === '' ? `${head}}` : `${head},${text}}`;
    metrics.events.raised += 1;
    this.#outbox?.push(json, { name });
    this.domain.onEvent?.(kind, json);
  }

  /** Tells of an endpoint, by a kind that it wants. */
  about(kind: EventKind, record: Pick<EndpointRecord, 'address' | 'nick' | 'show'>, more: Fields = {}): void {
    const { address, nick, show } = record;
    this.raise(kind, { name: this.domain.shortId(address), nick, show, ...more });
  }

  /** A message has been accepted. */
  accepted(packet: Packet): void {
    if (this.wants('message')) this.raise('message', `"packet":${this.domain.runtime.encode(packet)}`, nameOf(packet));
  }

  /** A message's receiver was not there, or has not come for it: tells the site once for each receiver. */
  foundNobody(packet: Packet, receiver: Address, outcome: UndeliveredOutcome): void {
    if (packet.kind === 'message' && this.wants('undelivered')) this.undelivered.tell(packet, receiver, outcome);
  }

  #raiseUndelivered(packet: Packet, receiver: Address, outcome: UndeliveredOutcome): void {
    const name = JSON.stringify(this.domain.shortId(receiver));
    const fields = `"name":${name},"packet":${this.domain.runtime.encode(packet)},"outcome":"${outcome}"`;
    this.raise('undelivered', fields, nameOf(packet));
  }

  /** Whether events of the domain carry messages. */
  get carriesMessages(): boolean {
    return this.wants('message') || this.wants('undelivered');
  }

  /** A message is deleted: the events that carry it and wait for the site are not sent. */
  delete(deletion: MessageDeletion): void {
    this.#outbox?.delete(nameOfDeleted(deletion), (json) => isItemOf(deletion, json));
  }

  /** Takes out waiting events that carry deleted messages of a conversation or user, looking at one event in each step. */
  deleteAll(deletion: Deletion): Iterable<void> {
    return this.#outbox?.deleteAll((json) => isItemOf(deletion, json)) ?? [];
  }

  /** Takes over events that nodes have left unsent, those for which `isLeft` answers true. */
  takeOver(isLeft: (node: string) => boolean): void {
    this.#outbox?.takeOver(isLeft);
  }

  #newOutbox(): Outbox {
    const { domain } = this;
    const { runtime, metrics, memory } = domain;
    const { clock, store } = runtime;
    const rules: OutboxRules = {
      batch: BATCH,
      gatherMs: GATHER_MS,
      longestPauseMs: LONGEST_PAUSE_MS,
      oldestMs: DAY_MS,
      attempts: ATTEMPTS,
      words: {
        failed: (item) => JSON.stringify({ kind: 'failed', id: (JSON.parse(item) as { id: string }).id }),
        missed: (count) => JSON.stringify({ kind: 'missed', count }),
      },
      isOver: (_items, bytes) => this.#isOver(bytes),
      hasRoom: (bytes) => store?.hasRoom(bytes) ?? true,
      body: (items) => `{"domain":${JSON.stringify(domain.name)},"events":[${items.join()}]}`,
    };
    const post = (body: string, done: (answer: Answered) => void) =>
      runtime.post(domain, this.#config?.url ?? '', body, done);
    return new Outbox(
      rules,
      {
        clock,
        post,
        left: (way, count) => {
          metrics.events[way] += count;
        },
        changed: (items, bytes, inMemory) => {
          metrics.eventsWaiting += items;
          metrics.eventsWaitingBytes += bytes;
          memory.add(inMemory);
        },
        failed: (why, isTriedAgain) => {
          metrics.webhookFailures += 1;
          const what = { event: 'events not acknowledged', domain: domain.name, why, isTriedAgain };
          seldom.warn(
            `events ${domain.name}`,
            what,
            isTriedAgain ? 'the site is told again' : 'the site refused events',
          );
        },
      },
      store?.table('webhooks') ?? null,
      outboxKey(domain.name, EVENTS_QUEUE, store),
      howPosted(domain.settings, this.#config?.url ?? ''),
    );
  }

  #isOver(bytes: number): boolean {
    const { limits, metrics, memory } = this.domain;
    const isFull = limits.eventsBytes > 0 && bytes > limits.eventsBytes;
    if (isFull || memory.isOver) metrics.exceed(isFull ? 'eventsBytes' : 'bytesPerDomain');
    return isFull || memory.isOver || heap.isHigh;
  }
}

/** What a POST to the site depends on, besides its body. */
export function howPosted({ apikey, webhookSecret, webhookPrivate }: DomainConfig, url: string): string {
  return JSON.stringify([url, webhookSecret ?? apikey, webhookPrivate]);
}
