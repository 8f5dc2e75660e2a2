/** A publication: what travels on MQTT topics. One value for all who receive it; its bytes belong to nobody else. */
import type { Ref } from './system.js';

export type Qos = 0 | 1 | 2;

/** Bytes of a publication besides its topic, payload and properties; queues count with it. */
const OVERHEAD_BYTES = 64;

/** A PUBLISH as its publisher has sent it; its payload is the publication's. */
export interface SentPublish {
  readonly bytes: Buffer;
  /** Whether it has the form of MQTT 5. */
  readonly isV5: boolean;
  /** Where its packet identifier stands, at QoS 1 and 2. */
  readonly idAt: number;
}

export interface PublicationFields {
  readonly topic: string;
  /** The bytes of `payload` and of `properties` never change. */
  readonly payload: Buffer;
  readonly qos: Qos;
  /** The retain flag as the publisher set it. */
  readonly retain: boolean;
  /** MQTT 5 properties that are passed on as they came, encoded; never expiry or alias. */
  readonly properties: Buffer;
  /** Milliseconds since the epoch after which nobody receives it; Infinity: never. */
  readonly expiresAt: number;
  /** The publishing session, for the "no local" option; null: the publisher is no session. */
  readonly publisher: Ref<never> | null;
  /** Given where a receiver may get the same bytes; `encodePublish` may write another packet identifier into them. */
  readonly sent?: SentPublish | null;
}

export class Publication {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: Buffer;
  readonly expiresAt: number;
  readonly publisher: Ref<never> | null;
  /** What the next receiver of the same form gets; null: it gets bytes of its own. */
  sent: SentPublish | null;
  /** Encoded forms, made by protocols/mqtt/encode.ts on first use and shared by all receivers. */
  encoded: (Buffer | undefined)[] | null = null;
  /** Counted by actors/memory.ts. */
  holders = 0;

  constructor(fields: PublicationFields) {
    this.topic = fields.topic;
    this.qos = fields.qos;
    this.retain = fields.retain;
    this.expiresAt = fields.expiresAt;
    this.publisher = fields.publisher;
    this.payload = fields.payload;
    this.properties = fields.properties;
    this.sent = fields.sent ?? null;
  }

  /** About how many bytes it takes on the wire. */
  get bytes(): number {
    return OVERHEAD_BYTES + this.topic.length + this.payload.length + this.properties.length;
  }
}
