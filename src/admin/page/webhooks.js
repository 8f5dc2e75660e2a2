/** What waits for the webhooks of sites, and what these answered last. */
import { api, byId, clock, count, fill, h, table } from './dom.js';
import { missingNote, Repeat } from './lists.js';

function lastAnswer({ lastStatus, lastAt }) {
  if (lastAt === null) return h('td', { class: 'quiet' }, 'none yet');
  const isGood = lastStatus >= 200 && lastStatus < 300;
  const text = lastStatus === 0 ? 'no answer' : String(lastStatus);
  return h('td', {}, h('span', { class: isGood ? 'tag' : 'tag bad' }, text), ` ${clock(lastAt)}`);
}

async function sendTest(domain) {
  const said = byId('webhooks-said');
  try {
    await api(`api/domains/${encodeURIComponent(domain)}/events/test`, 'POST');
    said.textContent = `A test event is on its way to ${domain}.`;
  } catch (error) {
    said.textContent = `No test event was sent to ${domain}: ${error.message}.`;
  }
}

function testButton(domain) {
  const button = h('button', { type: 'button' }, 'Send a test event');
  button.addEventListener('click', () => void sendTest(domain));
  return button;
}

function webhookTable({ webhooks }) {
  if (webhooks.length === 0) return h('div', { class: 'empty' }, 'No domain has webhooks.');
  const rows = webhooks.map((row) =>
    h(
      'tr',
      {},
      h('td', { class: 'break' }, row.domain),
      h('td', {}, row.of),
      h('td', { class: 'number' }, count(row.waiting)),
      h('td', { class: 'time' }, row.oldest === null ? '' : clock(row.oldest)),
      lastAnswer(row),
      h('td', {}, row.of === 'events' ? testButton(row.domain) : ''),
    ),
  );
  const heads = [{ text: 'Domain' }, { text: 'Of' }, { text: 'Waiting', number: true }, { text: 'Oldest' }];
  return table([...heads, { text: 'Last answer' }, { text: '' }], rows);
}

export class WebhookList {
  #repeat = new Repeat(3000, async () => {
    const found = await api('api/webhooks');
    byId('webhooks-total').textContent = `${count(found.total)} in all`;
    fill(byId('webhooks'), found, webhookTable(found));
    fill(byId('webhooks-missing'), found.notCounted ?? [], missingNote(found.notCounted));
  });

  run(isWanted) {
    this.#repeat.run(isWanted);
  }
}
