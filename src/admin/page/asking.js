/** Requests of the forms, and their mistakes by field. */
import { h } from './dom.js';

export async function ask(path, method = 'GET', body = undefined) {
  const options = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  if (response.status === 401) location.assign('login');
  return { ok: response.ok, status: response.status, body: await response.json() };
}

/** Shows each mistake at its field, and those of no field above them. */
export function showErrors(form, errors) {
  for (const old of form.querySelectorAll('.error')) old.remove();
  for (const error of errors) {
    const path = error.split(/[:.[]/)[0];
    const whole = error.split(':')[0];
    const field = form.querySelector(`[name="${CSS.escape(whole)}"], [name="${CSS.escape(path)}"]`);
    const note = h('p', { class: 'error problem', role: 'alert' }, error);
    if (field) field.closest('label').after(note);
    else form.prepend(note);
  }
}

export function errorsOf({ body }) {
  return body.errors ?? [[body.message, body.detail].filter(Boolean).join(': ')];
}

/** Keys and secrets that the server shows this once. */
export function secretsOf(made) {
  const shown = ['apikey', 'tokenSecret', 'webhookSecret'].filter((name) => made[name]);
  return h(
    'div',
    { class: 'card once', role: 'status' },
    h('p', {}, `${made.domain}: shown this once. Hand it to the site by a way that others do not read.`),
    ...shown.map((name) => h('p', {}, `${name} `, h('code', {}, made[name]))),
  );
}
