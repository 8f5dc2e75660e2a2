/** The signatures of webhooks: PROTOCOL.md sections 9 and 17. */
import { createHmac } from 'node:crypto';
import type { DomainConfig } from '../config.js';

function keysOf({ webhookSecret, apikey }: DomainConfig): readonly string[] {
  if (typeof webhookSecret === 'string') return [webhookSecret];
  if (webhookSecret !== null) return webhookSecret;
  const first = (typeof apikey === 'string' ? apikey : apikey[0]) ?? '';
  // As it stands in the configuration: of one that is hashed, the digits.
  return [first.replace(/^sha256:/, '')];
}

/** `X-NexTalk-Signature`: `sha256=` and the hex HMAC-SHA256 of the body, for each of the domain's secrets, separated by commas. */
export function signatureOf(settings: DomainConfig, body: string): string {
  return keysOf(settings)
    .map((key) => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`)
    .join(',');
}
