/** The worker processes of a server that has several, each with what it takes of the machine. */
import { bytes, count, duration, fill, h, percent, span, table } from './dom.js';

const STATES = {
  ready: ['tag good', 'ready'],
  draining: ['tag warn', 'draining'],
  starting: ['tag warn', 'starting'],
  silent: ['tag bad', 'not counted'],
};

function row({ name, state, restarts, process }) {
  const [look, text] = STATES[state];
  const number = (value, optional = false) =>
    h('td', { class: optional ? 'number optional' : 'number' }, process ? value(process) : '');
  return h(
    'tr',
    {},
    h('td', {}, name),
    h('td', {}, h('span', { class: look }, text)),
    number(({ connections }) => count(connections)),
    number(({ cpu }) => percent(cpu)),
    number(({ rssBytes }) => bytes(rssBytes)),
    number(({ lagP99 }) => duration(lagP99), true),
    number(({ startedAt }) => span(Date.now() - startedAt), true),
    h('td', { class: 'number optional' }, count(restarts)),
    number(({ pid }) => String(pid), true),
  );
}

/** Without `workers` the server is one process. */
export function showWorkers(section, workers) {
  section.hidden = !workers;
  if (!workers) return;
  const number = (text, optional = false) => ({ text, number: true, optional });
  const heads = [{ text: 'Worker' }, { text: 'State' }, number('Connected'), number('CPU'), number('Memory')];
  const more = ['Lag, 99%', 'Up', 'Replaced', 'PID'].map((text) => number(text, true));
  fill(section.querySelector('#worker-table'), workers, table([...heads, ...more], workers.map(row)));
}
