/** What topics and filters may be here, besides what the standard says of all of them: MQTT 5 sections 4.7 and 4.8.2. */

const SHARE = '$share/';
/** Separators that a topic or filter may have: every level is a step of a lookup, and a node of a tree. */
const MAX_SEPARATORS = 200;

/** Whether a topic or filter has more levels than this server takes: it is malformed. */
export function isTooDeep(topic: string): boolean {
  if (topic.length <= MAX_SEPARATORS) return false;
  let separators = 0;
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) separators += 1;
  return separators > MAX_SEPARATORS;
}

/** The topic on which backends have a domain's events of a kind. */
export function eventTopic(domain: string, kind: string): string {
  return `/domain/${domain}/events/${kind}`;
}

/** A shared subscription: the name that its members share, and the filter that they subscribe. */
export interface Share {
  readonly group: string;
  readonly filter: string;
}

/** Whether a filter is to be a shared subscription's. */
export function isShare(filter: string): boolean {
  return filter.startsWith(SHARE);
}

/**
 * Reads `$share/{name}/{filter}`; null where name or filter is missing or the name has a wildcard [MQTT-4.8.2-1]
 * [MQTT-4.8.2-2].
 */
export function parseShare(text: string): Share | null {
  const slash = text.indexOf('/', SHARE.length);
  if (slash < 0) return null;
  const group = text.slice(SHARE.length, slash);
  const filter = text.slice(slash + 1);
  return group === '' || filter === '' || /[+#]/.test(group) ? null : { group, filter };
}
