/** The bounds of a queue of packets, whatever they wait for. */
export interface QueueLimits {
  /** Packets; 0 is no limit. */
  readonly queuePackets: number;
  /** Bytes; 0 is no limit. */
  readonly queueBytes: number;
}

/** The bound that a queue of so many packets and bytes exceeds; null: none. */
export function exceededBound(
  packets: number,
  bytes: number,
  { queuePackets, queueBytes }: QueueLimits,
): keyof QueueLimits | null {
  if (queuePackets > 0 && packets > queuePackets) return 'queuePackets';
  return queueBytes > 0 && bytes > queueBytes ? 'queueBytes' : null;
}
