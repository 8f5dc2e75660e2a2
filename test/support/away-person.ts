/** A client of the endpoint that test/away-model.unit.ts compares with a model. */
import type { Client } from '../../src/actors/client.js';
import type { Packet } from '../../src/actors/packet.js';
import type { Counted } from './connections.js';

/** A message's body, by which the model knows it; empty where it is none. */
export function idOf({ fields }: Packet): string {
  return 'body' in fields ? fields.body : '';
}

/** One client, as the model has it. */
export class Person {
  line: Counted | null = null;
  isConnected = false;
  /** Since when it is connected, or is not. */
  since: number;
  connectedMs = 0;
  keeps = false;
  isAway = false;
  /** How far it has counted. */
  count = 0;
  era = '';
  /** Packets that it has had, by their numbers. */
  readonly had = new Map<number, Packet>();
  /** Bodies of messages that were written to it, whether or not it has read them. */
  readonly sent = new Set<string>();
  /** Of messages that were not in its queue when they were deleted. */
  readonly mayKnow = new Set<string>();
  missed = 0;
  lost = 0;

  constructor(
    readonly client: Client,
    readonly ticket: string,
    now: number,
    /** What others had confirmed before it came. */
    readonly confirmedBefore: ReadonlySet<string>,
  ) {
    this.since = now;
  }

  /** Notes what has been written to it. */
  noteSent(): void {
    for (const { packets } of this.line?.wire ?? []) for (const packet of packets) this.sent.add(idOf(packet));
    for (const packet of this.had.values()) this.sent.add(idOf(packet));
  }
}
