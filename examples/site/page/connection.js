/**
 * The long connection of one ticket, straight to the message server: WebSocket, or long polling through script tags.
 *
 * `onFrame(frame)`   a frame arrived
 * `onState(state)`   `connecting`, `connected` or `waiting` (before another attempt)
 * `onLost()`         the server does not know the ticket (any more): come online again
 * `onStopped()`      the site has taken this client offline
 *
 * `retire()` lets another connection of the same ticket take over: the server ends the older one, and whatever was under way
 * still comes through. `close()` ends it at once.
 */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
const BETWEEN_POLLS_MS = 200;
const HELD_POLL_MS = 500;
const HEARTBEAT_MS = 30_000;
const RETIRED_MS = 5_000;

/** Waits longer after each failure, and never quite the same for everybody. */
export function backoff() {
  let failures = 0;
  return {
    next: () => Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures++) * (0.7 + Math.random() * 0.6),
    reset: () => {
      failures = 0;
    },
  };
}

export function connect(kind, options) {
  return kind === 'polling' ? pollWithScripts(options) : openSocket(options);
}

function isFrame(frame) {
  return Array.isArray(frame?.messages);
}

function openSocket({ websocket, domain, ticket, onFrame, onState, onLost, onStopped }) {
  const delays = backoff();
  let socket;
  let timer;
  let heartbeat;
  let done = false;

  function open() {
    onState('connecting');
    socket = new WebSocket(websocket);
    socket.onopen = () => {
      socket.send(`subscribe ${domain} ${ticket}`);
      heartbeat = setInterval(() => socket.send('heartbeat'), HEARTBEAT_MS);
    };
    socket.onmessage = ({ data }) => receive(JSON.parse(data));
    socket.onclose = ({ code }) => {
      clearInterval(heartbeat);
      if (done) return;
      // 4404: unknown ticket; 4409: somebody else connected with it, so it is not ours alone.
      if (code === 4404 || code === 4409) finish(onLost);
      else retry();
    };
  }

  function receive(frame) {
    if (isFrame(frame)) return onFrame(frame);
    if (done) return;
    if (frame.status === 'ok') {
      delays.reset();
      onState('connected');
    } else if (frame.status === 'stopped') finish(onStopped);
    else finish(onLost);
  }

  function retry() {
    onState('waiting');
    timer = setTimeout(open, delays.next());
  }

  function finish(tell) {
    done = true;
    tell();
  }

  function hurry() {
    if (done || socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(timer);
    open();
  }

  function stop() {
    done = true;
    clearTimeout(timer);
  }

  open();
  return {
    hurry,
    retire() {
      stop();
      setTimeout(() => socket.close(), RETIRED_MS);
    },
    close() {
      stop();
      socket.close();
    },
  };
}

let polls = 0;

/** One poll: a script tag whose script calls us with the frame. Resolves with nothing when the poll fails. */
function pollOnce(address) {
  return new Promise((resolve) => {
    const name = `jsonp${1407 + polls++}`;
    const script = document.createElement('script');
    let frame;
    window[name] = (answer) => {
      frame = answer;
    };
    const end = () => {
      script.remove();
      delete window[name];
      resolve(frame);
    };
    script.onload = end;
    script.onerror = end;
    script.src = address(name);
    document.head.append(script);
  });
}

function pollWithScripts({ jsonp, domain, ticket, onFrame, onState, onLost, onStopped }) {
  const delays = backoff();
  let timer;
  let done = false;

  function address(callback) {
    const query = new URLSearchParams({ domain, ticket, ...(callback && { callback }), _: Date.now() });
    return `${jsonp}?${query}`;
  }

  async function poll() {
    // A poll that has not failed by now is being held by the server, which is as connected as polling gets.
    const heldTimer = setTimeout(held, HELD_POLL_MS);
    const frame = await pollOnce(address);
    clearTimeout(heldTimer);
    if (frame) receive(frame);
    else if (!done) diagnose();
  }

  function held() {
    if (!done) onState('connected');
  }

  function receive(frame) {
    if (isFrame(frame)) onFrame(frame);
    if (done) return;
    if (frame.status === 'stopped') return finish(onStopped);
    if (frame.status !== 'ok') return finish(onLost);
    delays.reset();
    held();
    timer = setTimeout(poll, BETWEEN_POLLS_MS);
  }

  /** A script tag does not say why it failed. The same poll by fetch does, and a frame it brings is as good as any. */
  async function diagnose() {
    onState('waiting');
    const response = await fetch(address()).catch(() => undefined);
    const answer = await response?.json().catch(() => undefined);
    if (response?.ok && answer) receive(answer);
    else if (done) return;
    else if (response?.status === 404) finish(onLost);
    else timer = setTimeout(poll, delays.next());
  }

  function finish(tell) {
    done = true;
    tell();
  }

  function stop() {
    done = true;
    clearTimeout(timer);
  }

  onState('connecting');
  poll();
  // An open script cannot be aborted: it ends when the server answers it, and its packets still count.
  return { hurry: () => undefined, retire: stop, close: stop };
}
