/** In one line how the server is; where it is not well, what is the matter and where to look. */
import { fill, h, span } from './dom.js';

const WHERE = new Map([
  ['disk', 'Free space where --data is, or move it.'],
  ['heap', 'Memory below, and the largest domains: their limits, or more memory.'],
  ['cluster', 'The NATS server, and Nodes below.'],
  ['store', 'JetStream on the NATS servers, and their majority.'],
  ['reload', 'reload-refused or certificate-refused in the log.'],
  ['starting', 'A moment: it has just been started.'],
  ['draining', 'Somebody has asked the server to end.'],
]);

/** Of the last minute. */
const DROPS_A_SECOND = 1;
const LAG_MS = 100;

/** A finding: whether it keeps clients out, what it is, where to look, since when (milliseconds since the epoch, or null). */
function finding(isGrave, what, where, since = null) {
  return { isGrave, what, where, since };
}

function mean(values) {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + (value ?? 0), 0) / values.length;
}

/** `node` as the stream has it, `column` answers the values of a field in the last minute. */
export function findings({ conditions, workers, cluster }, column) {
  const found = conditions.map(({ name, detail, ready, since }) =>
    finding(!ready, detail, WHERE.get(name) ?? '', since),
  );
  for (const { name, state } of workers ?? []) {
    if (state !== 'ready' && state !== 'draining') {
      found.push(finding(true, `worker ${name} is ${state}`, 'Workers below, and worker-ended in the log.'));
    }
  }
  const lost = cluster?.nodes.filter(({ state }) => state === 'lost').map(({ name }) => name) ?? [];
  if (lost.length > 0) found.push(finding(false, `not heard of: ${lost.join(', ')}`, 'Nodes below.'));
  if (mean(column('droppedRate')) >= DROPS_A_SECOND) {
    found.push(finding(false, 'packets are dropped that somebody was there for', 'What went wrong lately, below.'));
  }
  if (mean(column('lagP99')) >= LAG_MS) {
    found.push(
      finding(false, 'one process has more to do than a core can', 'CPU and lag below: more --workers or nodes.'),
    );
  }
  return found.sort((a, b) => Number(b.isGrave) - Number(a.isGrave));
}

export function showVerdict(parent, node, column) {
  const found = findings(node, column);
  const isGrave = found.some((one) => one.isGrave);
  const state = isGrave ? 'bad' : found.length > 0 ? 'warn' : 'good';
  const words = isGrave ? 'Not ready' : found.length > 0 ? 'Needs attention' : 'Healthy';
  const items = found.map(({ what, where, since }) =>
    h(
      'li',
      {},
      h('span', {}, what),
      h(
        'span',
        { class: 'quiet' },
        `${since === null ? '' : ` for ${span(Date.now() - since)}`} ${where && `→ ${where}`}`,
      ),
    ),
  );
  const head = h('strong', { class: `tag ${state}` }, words);
  fill(
    parent,
    [words, found, found.some(({ since }) => since !== null) && Math.floor(Date.now() / 1000)],
    head,
    items.length > 0 ? h('ul', {}, ...items) : null,
  );
  parent.dataset.state = state;
}
