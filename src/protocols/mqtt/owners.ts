/** The owners of a backend's MQTT connection, which are told of its packets, of malformed ones and of its end. */
import type { Domain } from '../../actors/domain.js';
import type { Ref } from '../../actors/system.js';
import type { FairShare } from '../fair-share.js';
import type { Connection, ConnectionOwner } from './connection.js';
import type { Incoming, Refused } from './packets.js';
import { REASON } from './reason.js';
import type { SessionMessage } from './session.js';

/** What a filter of a SUBSCRIBE or UNSUBSCRIBE takes besides its text, about. */
const FILTER_BYTES = 100;

/** The bytes that a packet holds while it waits, about. */
function bytesOf(packet: Incoming): number {
  switch (packet.cmd) {
    case 'publish':
      return packet.topic.length + packet.payload.length + packet.properties.length;
    case 'subscribe':
      return packet.wanted.reduce((bytes, { filter }) => bytes + FILTER_BYTES + filter.length, 0);
    case 'unsubscribe':
      return packet.filters.reduce((bytes, filter) => bytes + FILTER_BYTES + filter.length, 0);
    default:
      return 0;
  }
}

/** Passes a connection's packets to its owner in their order; while the domain uses more than its share, they wait for its turn. */
export class FairOwner implements ConnectionOwner {
  constructor(
    private readonly owner: ConnectionOwner,
    private readonly domain: Domain,
    private readonly connection: Connection,
    private readonly fair: FairShare,
  ) {}

  received(packet: Incoming): void {
    // What a client acknowledges mostly causes nothing else, and a turn that is requested for it would cost more than it does.
    const isSmall = packet.cmd === 'puback' && this.fair.isAlone(this.domain);
    if (isSmall || this.fair.isTurnOf(this.domain)) return this.owner.received(packet);
    if (this.fair.isFull(this.domain)) return this.#refuse();
    this.fair.wait(this.domain, () => this.owner.received(packet), bytesOf(packet));
  }

  refused(refused: Refused): void {
    this.#inOrder(() => this.owner.refused(refused));
  }

  lost(): void {
    this.#inOrder(() => this.owner.lost());
  }

  drained(): void {
    this.owner.drained();
  }

  /** The packet cannot wait with so many others: the connection ends. */
  #refuse(): void {
    this.domain.runtime.metrics.refused.unavailable += 1;
    this.connection.disconnect(REASON.quotaExceeded);
    this.owner.lost();
  }

  /** Does a task after the domain's waiting tasks, at once where none wait. */
  #inOrder(task: () => void): void {
    if (this.fair.waiting(this.domain) > 0) this.fair.pass(this.domain, task);
    else task();
  }
}

/** Tells a backend's session what comes on its connection. */
export class BackendConnection implements ConnectionOwner {
  constructor(
    private readonly session: Ref<SessionMessage>,
    private readonly connection: Connection,
  ) {}

  received(packet: Incoming): void {
    const message = { kind: 'received', connection: this.connection, packet } as const;
    if (packet.cmd === 'puback') this.session.tellAtOnce(message);
    else this.session.tell(message);
  }

  refused(refused: Refused): void {
    this.session.tell({ kind: 'refused', connection: this.connection, refused });
  }

  lost(): void {
    this.session.tell({ kind: 'lost', connection: this.connection });
  }

  drained(): void {
    this.session.tell({ kind: 'drained', connection: this.connection });
  }
}
