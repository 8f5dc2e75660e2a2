/**
 * The widget as the welcome page shows it: two users of the development domain talk to each other, each in a frame. Only
 * that domain's secret, which everybody knows and which is served on loopback only, signs a token for whoever asks.
 */
import { builtIn, type DomainConfig, secretsOf } from '../config-domain.js';
import type { Metrics } from '../metrics.js';
import { whenSound } from '../protocols/headers.js';
import { type HttpResponse, KEEP_ALIVE, type TemplatedApp } from '../uws.js';
import { asset, hash, serveAsset } from './reference.js';

interface User {
  readonly id: string;
  readonly nick: string;
  readonly other: string;
}

const USERS: readonly User[] = [
  { id: 'anna', nick: 'Anna', other: 'jack' },
  { id: 'jack', nick: 'Jack', other: 'anna' },
];
const STYLE = 'html,body,nextalk-chat{height:100%;margin:0;color-scheme:light dark;background:transparent}';
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  `style-src 'sha256-${hash(STYLE)}'`,
  // Not every browser counts sockets of the same server as 'self'.
  "connect-src 'self' ws: wss:",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'self'",
].join('; ');

export function isDevelopment(domain: DomainConfig): boolean {
  return domain.domain === builtIn.domain && secretsOf(domain).includes(builtIn.tokenSecret);
}

/** The frames, for the welcome page. */
export const FRAMES = USERS.map(({ id, nick }) => `<iframe src="welcome/${id}" title="${nick}’s chat"></iframe>`).join(
  '\n',
);

function page({ id, nick, other }: User): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${nick}</title>
<style>${STYLE}</style>
<script type="module" src="../v5/widget.js"></script>
<nextalk-chat mode="inline" token-url="token/${id}" open-with="${other}"></nextalk-chat>
</html>
`;
}

async function token({ id, nick, other }: User): Promise<string> {
  const { SignJWT } = await import('jose');
  return new SignJWT({ nick, buddies: [other], rooms: ['lobby'] })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setAudience(builtIn.domain)
    .setSubject(id)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(Buffer.from(builtIn.tokenSecret));
}

async function answerToken(res: HttpResponse, user: User): Promise<void> {
  let isOpen = true;
  res.onAborted(() => {
    isOpen = false;
  });
  const text = await token(user);
  if (!isOpen) return;
  res.cork(() => {
    res
      .writeHeader('Content-Type', 'text/plain; charset=utf-8')
      .writeHeader('Cache-Control', 'no-store')
      .writeHeader(...KEEP_ALIVE)
      .end(text);
  });
}

export function addFrames(app: TemplatedApp, metrics: Metrics): void {
  for (const user of USERS) {
    const served = asset(page(user), 'text/html', [['Content-Security-Policy', POLICY]]);
    serveAsset(app, metrics, `/welcome/${user.id}`, () => served);
    app.get(
      `/welcome/token/${user.id}`,
      whenSound(metrics, (res) => void answerToken(res, user)),
    );
  }
}
