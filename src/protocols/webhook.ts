/**
 * Webhooks: what the server POSTs to a domain's site, as JSON and signed. PROTOCOL.md sections 9 and 17. What is POSTed
 * when, and how often, is in actors/outbox.ts.
 */
import type { Domain } from '../actors/domain.js';
import type { Clock } from '../clock.js';
import { type PostResult, post } from './post.js';
import { signatureOf } from './signature.js';

/** POSTs once; `done` is called later, once, unless the answer of this function, which cancels, is called before. */
export function postToSite(
  clock: Clock,
  { settings, name }: Domain,
  url: string,
  body: string,
  done: (result: PostResult) => void,
): () => void {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'NexTalk',
    'x-nextalk-domain': encodeURIComponent(name),
    'x-nextalk-signature': signatureOf(settings, body),
  };
  return post({ domain: name, url, headers, body, mayLeadInside: settings.webhookPrivate, clock }, done);
}
