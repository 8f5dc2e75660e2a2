/** The webhook of a service: its messages wait in an outbox, and are POSTed to the site one after another. PROTOCOL.md section 9. */
import type { OutboxWay } from '../event-kinds.js';
import { heap } from '../heap.js';
import type { DropReason } from '../metrics.js';
import { seldom } from '../seldom.js';
import { part } from '../store/keys.js';
import type { Address } from './address.js';
import { type Deletion, isItemOf, type MessageDeletion, nameOfDeleted } from './deletions.js';
import type { Domain } from './domain.js';
import { Outbox, type OutboxPort, type OutboxRules, type OutboxView } from './outbox.js';
import type { Waiting } from './outbox-queue.js';
import { outboxKey } from './outbox-queue.js';
import { Packet } from './packet.js';
import { exceededBound } from './queue-limits.js';
import { howPosted } from './site-events.js';
import { nameOf } from './unseen.js';

const LONGEST_PAUSE_MS = 30_000;
const ATTEMPTS = 10;

/** How the ways out of an outbox are counted. */
const DROPS: Readonly<Record<Exclude<OutboxWay, 'acknowledged'>, DropReason>> = {
  refused: 'webhookFailed',
  failed: 'webhookFailed',
  discarded: 'webhookFailed',
  deleted: 'deleted',
  tooOld: 'expired',
  expired: 'expired',
  overflow: 'queueOverflow',
  noRoom: 'quotaExceeded',
};

/** The queue of a service among the outboxes of its domain on disk. */
export function serviceQueue(id: string): string {
  return `service ${part(id)}`;
}

export class ServiceWebhook {
  readonly startedAt: number;
  readonly #outbox: Outbox;

  constructor(
    private readonly domain: Domain,
    private readonly address: Address,
    readonly id: string,
  ) {
    const { runtime, name, metrics } = domain;
    this.startedAt = runtime.clock.now();
    metrics.connections.webhook += 1;
    domain.webhooks.add(this);
    const table = runtime.store?.table<never>('webhooks') ?? null;
    this.#outbox = new Outbox(
      this.#rules(),
      this.#port(),
      table,
      outboxKey(name, serviceQueue(id), runtime.store),
      this.#how,
    );
  }

  get view(): OutboxView {
    return this.#outbox.view;
  }

  /** Takes over messages for this webhook that nodes have left, those for which `isLeft` answers true. */
  takeOver(isLeft: (node: string) => boolean): void {
    this.#outbox.takeOver(isLeft);
  }

  push(packet: Packet): void {
    const { metrics, runtime } = this.domain;
    metrics.delivered.message += 1;
    if (packet.trace !== null) packet.trace.hop('queued', packet, this.address, 'webhook');
    this.#outbox.push(runtime.encode(packet), { name: nameOf(packet), expiresAt: packet.expiresAt, note: packet });
  }

  /** A message is deleted: it is not sent where it waits for the site. */
  delete(deletion: MessageDeletion): void {
    this.#outbox.delete(nameOfDeleted(deletion), (json) => isItemOf(deletion, json));
  }

  /** Takes all deleted messages of a conversation or user out of what waits for the site, looking at one in each step. */
  deleteAll(deletion: Deletion): Iterable<void> {
    return this.#outbox.deleteAll((json) => isItemOf(deletion, json));
  }

  /** Its address or the domain's keys may have changed. */
  restart(): void {
    this.#outbox.restart(this.#how);
  }

  /** The service has no webhook any more. */
  discard(): void {
    this.#outbox.discard();
    this.#end();
  }

  /** Ends; what waits stays on disk, and is dropped where there is none. */
  close(): void {
    for (const item of this.#outbox.close()) this.#dropped('discarded', item);
    this.#end();
  }

  get #how(): string {
    const { domain, id } = this;
    return howPosted(domain.settings, domain.serviceConfig(id)?.webhook ?? '');
  }

  #end(): void {
    this.domain.webhooks.delete(this);
    this.domain.metrics.connections.webhook -= 1;
  }

  #rules(): OutboxRules {
    const { domain } = this;
    return {
      batch: 1,
      gatherMs: 0,
      longestPauseMs: LONGEST_PAUSE_MS,
      oldestMs: null,
      attempts: ATTEMPTS,
      words: null,
      isOver: (items, bytes) => {
        const { limits, metrics, memory } = domain;
        const limit = exceededBound(items, bytes, limits) ?? (memory.isOver ? 'bytesPerDomain' : null);
        if (limit) metrics.exceed(limit);
        return limit !== null || heap.isHigh;
      },
      hasRoom: (bytes) => domain.runtime.store?.hasRoom(bytes) ?? true,
      body: ([item = '']) => item,
    };
  }

  #port(): OutboxPort {
    const { domain, id } = this;
    const { metrics, memory, runtime } = domain;
    return {
      clock: runtime.clock,
      post: (body, done) => runtime.post(domain, domain.serviceConfig(id)?.webhook ?? '', body, done),
      left: (way, _count, item) => {
        if (way === 'acknowledged') this.#sent(item);
        else this.#dropped(way, item);
      },
      changed: (items, bytes, inMemory) => {
        metrics.queuedPackets += items;
        metrics.queuedBytes += bytes;
        memory.add(inMemory);
      },
      failed: (why, isTriedAgain) => {
        metrics.webhookFailures += 1;
        if (isTriedAgain) return;
        const what = { event: 'webhook failed', domain: domain.name, service: id, why };
        seldom.warn(`webhook failed ${domain.name}`, what, 'a message is dropped');
      },
    };
  }

  #sent(item: Waiting | null): void {
    const { metrics } = this.domain;
    metrics.sent.message += 1;
    const packet = item?.note;
    if (!(packet instanceof Packet)) return;
    metrics.delivery.observe(performance.now() - packet.acceptedAt);
    if (packet.trace !== null) packet.trace.hop('sent', packet, this.address, 'webhook');
  }

  #dropped(way: Exclude<OutboxWay, 'acknowledged'>, item: Waiting | null): void {
    const packet = item?.note;
    if (packet instanceof Packet) this.domain.drop(packet, DROPS[way], this.address);
    else this.domain.metrics.drop(DROPS[way], this.address);
  }
}
