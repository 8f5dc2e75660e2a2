/**
 * Signed tokens, PROTOCOL.md section 15: a site that can sign puts a JWT into its page, and the page comes online by
 * itself. HS256 with a secret of the domain's own; never an API key, which whoever has a token could guess at unseen.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { parseTarget } from '../actors/address.js';
import type { Domain } from '../actors/domain.js';
import { type DomainConfig, secretsOf } from '../config.js';
import { badRequest, type ReplyError, TOKEN_REFUSED } from '../errors.js';
import { Parameters, readJson } from './parameters.js';

const LONGEST_LIFE_S = 24 * 60 * 60;
const LEEWAY_S = 60;
/** Domains of one token whose secrets are tried; who names the domain beside the token has no such bound. */
const MOST_DOMAINS = 8;
/** Claims that ONLINE takes under their own names. */
const ONLINE_CLAIMS = ['buddies', 'rooms', 'show', 'status'] as const;
/** The parameters that a request may have besides its token. */
const BESIDE = ['show', 'status', 'client'] as const;

/** The keys made of a domain's secrets, by the settings that hold the secrets: after a reload there are other settings. */
const keys = new WeakMap<DomainConfig, readonly KeyObject[]>();

function keysOf(settings: DomainConfig): readonly KeyObject[] {
  let known = keys.get(settings);
  if (!known) {
    known = secretsOf(settings).map((secret) => createSecretKey(secret, 'utf8'));
    keys.set(settings, known);
  }
  return known;
}

/** The domains that a token may be of, as it says itself, genuine or not. A `domain` of the request is the only one. */
export function domainsOf(domains: ReadonlyMap<string, Domain>, token: string, named: unknown): readonly Domain[] {
  const found = new Set<Domain>();
  for (const name of named === undefined ? audienceOf(token) : [named]) {
    const domain = typeof name === 'string' ? domains.get(name) : undefined;
    if (domain && secretsOf(domain.settings).length > 0) found.add(domain);
    if (found.size === MOST_DOMAINS) break;
  }
  return [...found];
}

/** The text of a token's payload; empty where the token has not the three parts of a JWT. */
function payloadOf(token: string): string {
  const [, payload = '', signature, ...more] = token.split('.');
  return signature === undefined || more.length > 0 ? '' : Buffer.from(payload, 'base64url').toString('utf8');
}

function audienceOf(token: string): readonly unknown[] {
  try {
    const { aud } = JSON.parse(payloadOf(token)) as { readonly aud?: unknown };
    return Array.isArray(aud) ? aud : [aud];
  } catch {
    return [];
  }
}

/** A token's domain and its claims, once it is found genuine and its time has come and not passed; null: it is refused. */
export async function verifyToken(
  candidates: readonly Domain[],
  token: string,
): Promise<{ readonly domain: Domain; readonly claims: Parameters } | null> {
  for (const domain of candidates) {
    for (const key of keysOf(domain.settings)) {
      const verdict = await verify(domain, key, token);
      if (verdict === 'refused') return null;
      if (verdict === 'other key') continue;
      const claims = claimsOf(domain, token);
      return claims && !isSignedOut(domain, claims) ? { domain, claims } : null;
    }
  }
  return null;
}

type Verdict = 'genuine' | 'other key' | 'refused';

async function verify({ name, runtime }: Domain, key: KeyObject, token: string): Promise<Verdict> {
  // Loaded with the first token: many sites sign none.
  const { errors, jwtVerify } = await import('jose');
  try {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['HS256'],
      audience: name,
      requiredClaims: ['iat', 'exp'],
      clockTolerance: LEEWAY_S,
      maxTokenAge: LONGEST_LIFE_S,
      currentDate: new Date(runtime.clock.now()),
    });
    const lifeS = Number(payload.exp) - Number(payload.iat);
    return lifeS > 0 && lifeS <= LONGEST_LIFE_S ? 'genuine' : 'refused';
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    return error instanceof errors.JWSSignatureVerificationFailed ? 'other key' : 'refused';
  }
}

/** Whether its name has been signed out since it was issued. */
function isSignedOut(domain: Domain, claims: Parameters): boolean {
  const target = parseTarget(domain.name, String(claims.get('sub')));
  return target !== null && domain.signOuts.refuses(target.address, Number(claims.get('iat')) * 1000);
}

/** Read as parameters of a call are: the same bounds, numbers stand for their text, half surrogates are refused. */
function claimsOf({ limits }: Domain, token: string): Parameters | null {
  const claims = new Parameters();
  return readJson(payloadOf(token), claims, limits.parameters) === null ? claims : null;
}

/** The parameters of ONLINE that a token stands for, with what its request says beside it. */
export function onlineParameters(domain: Domain, claims: Parameters, request: Parameters): Parameters | ReplyError {
  const sub = claims.get('sub');
  const target = typeof sub === 'string' ? parseTarget(domain.name, sub) : null;
  if (!target || target.node === 'gid') return badRequest('sub is not the id of a user, visitor or service');
  const parameters = new Parameters([
    ['name', sub],
    ['nick', claims.get('nick') ?? ''],
  ]);
  for (const name of ONLINE_CLAIMS) if (claims.has(name)) parameters.set(name, claims.get(name));
  for (const name of BESIDE) if (request.get(name)) parameters.set(name, request.get(name));
  return parameters;
}

/** Refused for what it is or for where it comes from: nobody is told which of its claims is wrong. */
export function refusedToken(domains: readonly Domain[]): ReplyError {
  const [domain] = domains;
  return domain ? { ...TOKEN_REFUSED, domain: domain.name } : TOKEN_REFUSED;
}
