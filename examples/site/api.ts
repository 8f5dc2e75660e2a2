/**
 * What the page asks of its own site. The page never talks to the REST API of the message server: the site does, as every
 * WebIM plugin does, because only the site may know the API key.
 */

import type { Person, Place, SavedMessage, Session } from './community.js';
import { type Community, idOf, parsePlace, placeName, ROOM, SHOWS, tidyName } from './community.js';
import type { Webim } from './webim.js';
import { WebimError } from './webim.js';

export type Body = Record<string, unknown>;

/** A call the site refuses, with the HTTP status it answers. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Site {
  webim: Webim;
  community: Community;
}

type Call = (site: Site, session: Session, body: Body) => Promise<unknown> | unknown;

const LAST_MESSAGES = 100;
/** The site's own voice, a service. */
const NOTICES = 'sid:harbour';

const calls = new Map<string, Call>([
  ['online', online],
  ['offline', offline],
  ['signout', signOut],
  ['messages', send],
  ['typing', typing],
  ['show', setShow],
  ['join', join],
  ['leave', leave],
  ['history', history],
  ['read', read],
]);

/** Answers one call of the page: what is returned becomes JSON, what is thrown is a Refused or a WebimError. */
export async function answer(site: Site, name: string, body: Body): Promise<unknown> {
  if (name === 'signin') return signIn(site, body);
  const call = calls.get(name);
  if (!call) throw new Refused(404, 'no such call');
  const session = site.community.session(body.session);
  if (!session) throw new Refused(401, 'please sign in');
  try {
    return await call(site, session, body);
  } catch (error) {
    if (error instanceof WebimError && error.ticketNotFound && typeof body.ticket === 'string') {
      session.tickets.delete(body.ticket);
    }
    throw error;
  }
}

function signIn({ community, webim }: Site, body: Body): unknown {
  const nick = tidyName(body.name);
  if (!nick) throw new Refused(400, 'A name has 1 to 40 characters.');
  // A status says only an id for whom it is: nobody may be called like the room.
  if (idOf(nick) === ROOM.id) throw new Refused(400, 'That name belongs to the room.');
  const entered = community.signIn(nick);
  if (!entered) throw new Refused(503, 'The site is full.');
  const { session, newcomer } = entered;
  if (newcomer && community.people.size > 1) {
    const notice = { from: NOTICES, nick: 'Harbour', type: 'broadcast', to: '*', body: `${nick} is new here.` };
    // Nobody's sign-in waits for the notice or fails with it.
    webim.message(notice).catch(() => undefined);
  }
  return { session: session.token, id: session.person.id, nick };
}

/** Brings this tab online and tells the page all it needs to draw itself and to open its long connection. */
async function online({ webim, community }: Site, session: Session): Promise<unknown> {
  const { person } = session;
  const others = [...community.people.values()].filter(({ id }) => id !== person.id);
  const client = await webim.online({
    name: person.id,
    nick: person.nick,
    show: person.show,
    status: person.status,
    buddies: others.map(({ id }) => id).join(','),
    rooms: person.inRoom ? ROOM.id : '',
  });
  community.addTicket(session, client.ticket);
  const members = person.inRoom ? await webim.members(ROOM.id, client.ticket) : new Map<string, string>();
  const places: Place[] = [{ kind: 'room', id: ROOM.id }, ...others.map(({ id }): Place => ({ kind: 'user', id }))];
  return {
    me: { id: person.id, nick: person.nick, show: person.show, status: person.status },
    now: Date.now(),
    domain: webim.domain,
    ticket: client.ticket,
    jsonp: client.jsonp,
    websocket: client.websocket,
    people: others.map(({ id, nick, status }) => ({
      id,
      nick,
      status,
      show: client.presences.get(id) ?? 'unavailable',
    })),
    room: { ...ROOM, joined: person.inRoom, members: Object.fromEntries(members) },
    conversations: places.map((place) => summary(community, person, place)).filter(({ last }) => last !== undefined),
  };
}

function summary(community: Community, person: Person, place: Place) {
  return {
    place: placeName(place),
    last: community.history(person, place).at(-1),
    unread: community.unread(person, place),
  };
}

/** The page says goodbye while it is being closed or reloaded: only its own client ends. */
async function offline({ webim }: Site, session: Session, body: Body): Promise<unknown> {
  const ticket = ticketOf(session, body);
  session.tickets.delete(ticket);
  await webim.offline(ticket);
  return {};
}

async function signOut({ webim, community }: Site, session: Session): Promise<unknown> {
  community.signOut(session);
  // A ticket may be long gone, or the message server away: signed out is signed out.
  await Promise.allSettled([...session.tickets].map((ticket) => webim.offline(ticket)));
  return {};
}

async function send({ webim, community }: Site, session: Session, body: Body): Promise<unknown> {
  const { person } = session;
  const ticket = ticketOf(session, body);
  const place = placeOf(body);
  const text = textOf(body, 'body').trim();
  if (!text) throw new Refused(400, 'The message is empty.');
  if (place.kind === 'room' && !person.inRoom) throw new Refused(403, 'Join the room to write in it.');
  const message: SavedMessage = { from: person.id, nick: person.nick, body: text, time: community.nextTime() };
  // Saved first: whoever comes online while the message is under way finds it in the history.
  community.save(person, place, message);
  try {
    await webim.message({
      ticket,
      to: place.id,
      type: place.kind === 'room' ? 'grpchat' : 'chat',
      nick: person.nick,
      body: text,
      style: '',
      timestamp: String(message.time),
    });
  } catch (error) {
    community.unsave(person, place, message);
    throw error;
  }
  return { message };
}

async function typing({ webim }: Site, session: Session, body: Body): Promise<unknown> {
  const place = placeOf(body);
  await webim.status({
    ticket: ticketOf(session, body),
    to: place.kind === 'room' ? `gid:${place.id}` : place.id,
    show: body.active === true ? 'typing' : 'clear',
    nick: session.person.nick,
  });
  return {};
}

async function setShow({ webim }: Site, session: Session, body: Body): Promise<unknown> {
  const { person } = session;
  const show = textOf(body, 'show');
  const status = [...textOf(body, 'status').trim()].slice(0, 80).join('');
  if (!SHOWS.has(show)) throw new Refused(400, 'That is no status.');
  await webim.show({ ticket: ticketOf(session, body), show, status, nick: person.nick });
  person.show = show;
  person.status = status;
  return { show, status };
}

async function join({ webim }: Site, session: Session, body: Body): Promise<unknown> {
  const ticket = ticketOf(session, body);
  await webim.join(ROOM.id, ticket, session.person.nick);
  session.person.inRoom = true;
  return { members: Object.fromEntries(await webim.members(ROOM.id, ticket)) };
}

async function leave({ webim }: Site, session: Session, body: Body): Promise<unknown> {
  await webim.leave(ROOM.id, ticketOf(session, body), session.person.nick);
  session.person.inRoom = false;
  return {};
}

function history({ community }: Site, session: Session, body: Body): unknown {
  const place = placeOf(body);
  return { messages: community.history(session.person, place).slice(-LAST_MESSAGES) };
}

function read({ community }: Site, session: Session, body: Body): unknown {
  community.markRead(session.person, placeOf(body));
  return {};
}

/** A page may use only the tickets its own session was given. */
function ticketOf(session: Session, body: Body): string {
  const { ticket } = body;
  if (typeof ticket === 'string' && session.tickets.has(ticket)) return ticket;
  throw new WebimError(404, 'ticket not found');
}

function placeOf(body: Body): Place {
  const place = parsePlace(body.place);
  if (!place) throw new Refused(400, 'That is no conversation.');
  return place;
}

function textOf(body: Body, field: string): string {
  const value = body[field];
  if (typeof value !== 'string') throw new Refused(400, `${field} is missing`);
  return value.toWellFormed();
}
