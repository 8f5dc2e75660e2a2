/** The site's pages, as HTML. What people write goes in by `text` alone. */
import type { Person, Post } from './community.js';

export interface View {
  /** Where browsers reach the message server. */
  readonly server: string;
  readonly me: Person;
  readonly people: Iterable<Person>;
  readonly posts: readonly Post[];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function text(value: string): string {
  return value.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? char);
}

function document(scripts: readonly string[], body: string): string {
  const tags = scripts.map((url) => `<script type="module" src="${text(url)}"></script>`).join('\n');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Harbour</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/harbour.css">
${tags}
${body}
</html>
`;
}

/** What stands around each page of somebody who is signed in, and the chat. */
function framed({ server, me }: View, here: '/' | '/lobby', main: string, chat: string): string {
  const link = (path: string, name: string): string =>
    `<a href="${path}"${path === here ? ' aria-current="page"' : ''}>${name}</a>`;
  return document(
    [`${server}/v5/widget.js`, '/harbour.js'],
    `<header class="top">
<a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28">Harbour</a>
<nav>${link('/', 'Board')}${link('/lobby', 'Lobby')}</nav>
<form method="post" action="/signout"><span>${text(me.nick)}</span><button>Sign out</button></form>
</header>
${main}
${chat}`,
  );
}

/** The chat's element: all that a site has to write for it. */
function chat({ server }: View, attributes: string): string {
  return `<nextalk-chat server="${text(server)}" token-url="/chat-token" rooms="lobby" ${attributes}></nextalk-chat>`;
}

function avatar({ nick, id }: Person): string {
  const [first = '?'] = nick;
  const tint = [...id].reduce((sum, char) => sum + (char.codePointAt(0) ?? 0), 0) % 6;
  return `<span class="avatar tint-${tint}" aria-hidden="true">${text(first.toUpperCase())}</span>`;
}

function messageButton(me: Person, { id, nick }: Person): string {
  if (id === me.id) return '';
  return `<button class="quiet" data-chat="${text(id)}" aria-label="Message ${text(nick)}">Message</button>`;
}

function article(me: Person, { author, body, time }: Post): string {
  const at = new Date(time);
  const when = at.toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });
  return `<article>${avatar(author)}
<div><header><b>${text(author.nick)}</b> <time datetime="${at.toISOString()}">${when}</time></header><p>${text(body)}</p></div>
${messageButton(me, author)}</article>`;
}

function neighbour(me: Person, person: Person): string {
  return `<li>${avatar(person)}<div><b>${text(person.nick)}</b><small>${text(person.about)}</small></div>${messageButton(me, person)}</li>`;
}

export function boardPage(view: View): string {
  const { me, posts, people } = view;
  const main = `<main class="columns">
<aside aria-labelledby="people"><h2 id="people">At the harbour</h2><ul>${[...people].map((person) => neighbour(me, person)).join('\n')}</ul></aside>
<section aria-labelledby="board"><h1 id="board">The board</h1>
<form class="pin" method="post" action="/post"><input name="body" aria-label="Your note" placeholder="What should the harbour know?" maxlength="500" required autocomplete="off"><button>Pin it</button></form>
${posts.map((post) => article(me, post)).join('\n')}</section>
</main>`;
  return framed(view, '/', main, chat(view, ''));
}

export function lobbyPage(view: View): string {
  const main = `<main><h1>The Lobby</h1><p>Where everybody who is signed in talks with everybody.</p>
<div class="room">${chat(view, 'mode="inline" open-with="gid:lobby"')}</div></main>`;
  return framed(view, '/lobby', main, '');
}

export function signInPage(problem: string | null): string {
  return document(
    [],
    `<main class="signin"><img src="/icon.svg" alt="" width="56" height="56"><h1>Harbour</h1><p>The board, and the talk, of a small harbour.</p>
<form method="post" action="/signin"><label for="name">Your name</label><input id="name" name="name" maxlength="40" required autofocus autocomplete="nickname"><button>Come in</button></form>
${problem === null ? '' : `<p role="alert">${text(problem)}</p>`}
</main>`,
  );
}
