/** MQTT topics and topic filters: MQTT 5 sections 4.7.1 to 4.7.3. Pure. */

/** MQTT strings are at most 65,535 bytes of UTF-8, [MQTT-4.7.3-3]. */
const MAX_BYTES = 65_535;

function isText(text: string): boolean {
  return text.length > 0 && !text.includes('\u0000') && text.isWellFormed() && Buffer.byteLength(text) <= MAX_BYTES;
}

/** A topic name: no wildcards, [MQTT-4.7.1-1], not empty, [MQTT-4.7.3-1]. */
export function isTopic(text: string): boolean {
  return isText(text) && !/[+#]/.test(text);
}

/** A topic filter: `#` alone at the end, [MQTT-4.7.1-1], `+` alone in its level, [MQTT-4.7.1-2]. */
export function isFilter(text: string): boolean {
  if (!isText(text)) return false;
  const levels = text.split('/');
  return levels.every((level, i) => {
    if (level === '#') return i === levels.length - 1;
    return level === '+' || !/[+#]/.test(level);
  });
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

/** Whether a filter matches a topic; a leading wildcard matches no topic that begins with `$`, [MQTT-4.7.2-1]. */
export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && (filter.startsWith('+') || filter.startsWith('#'))) return false;
  const wanted = filter.split('/');
  const levels = topic.split('/');
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true;
    if (i >= levels.length) return false;
    if (wanted[i] !== '+' && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}
