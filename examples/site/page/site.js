/** The page's calls to its own site. */

/** `status` is the HTTP status; 0 when the site could not be reached. */
export class SiteError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get ticketNotFound() {
    return this.status === 404 && this.message === 'ticket not found';
  }
}

export async function call(name, body) {
  let response;
  let answer;
  try {
    response = await fetch(`/api/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    answer = await response.json();
  } catch {
    throw new SiteError(0, 'The site cannot be reached.');
  }
  if (!response.ok) throw new SiteError(response.status, answer.error ?? `The site answered ${response.status}.`);
  return answer;
}

/** Told while the page is closing, when an ordinary request would be cancelled. */
export function sayGoodbye(session, ticket) {
  navigator.sendBeacon('/api/offline', JSON.stringify({ session, ticket }));
}
