/** The formats that the configuration's schema names for texts. */

const utf8 = (value: string): number => Buffer.byteLength(value, 'utf8');

// C0, DEL and C1.
const control = /[\u0000-\u001f\u007f-\u009f]/;

const isName = (value: string, length: number): boolean => value.length <= length && /^[A-Za-z0-9_-]+$/.test(value);

/** What a text must be, in words and as a check: the formats that the schema names. */
export const formats: ReadonlyMap<string, { readonly message: string; readonly check: (value: string) => boolean }> =
  new Map([
    [
      'domain-name',
      {
        message: 'must be 1 to 256 bytes without / + # , space or control characters',
        check: (value) => value !== '' && utf8(value) <= 256 && !/[/+#,\s]/.test(value) && !control.test(value),
      },
    ],
    [
      'id',
      {
        message: 'must be 1 to 256 bytes without / + # , control characters or outer spaces',
        check: (value) =>
          value !== '' && value.trim() === value && utf8(value) <= 256 && !/[/+#,]/.test(value) && !control.test(value),
      },
    ],
    ['node-name', { message: 'must be 1 to 32 letters, digits, _ or -', check: (value) => isName(value, 32) }],
    ['subject', { message: 'must be 1 to 64 letters, digits, _ or -', check: (value) => isName(value, 64) }],
    [
      'api-key',
      {
        message: 'must not be empty; hashed, it is sha256: and 64 lower-case hex digits',
        check: (value) => value !== '' && (!value.startsWith('sha256:') || /^sha256:[0-9a-f]{64}$/.test(value)),
      },
    ],
    ['webhook-secret', { message: 'must not be empty', check: (value) => value !== '' }],
    ['token-secret', { message: 'must be at least 32 bytes', check: (value) => utf8(value) >= 32 }],
    [
      'room-pattern',
      {
        message: 'must be the id of a room, or how ids begin and *',
        check: (value) => value !== '' && utf8(value) <= 256 && !/[/+#,]|\*./.test(value) && !control.test(value),
      },
    ],
    [
      'origin',
      {
        message:
          'must be an origin such as https://example.com, https://*.example.com, capacitor://localhost or null, without a path',
        check: isOrigin,
      },
    ],
    [
      'web-url',
      {
        message: 'must be an http or https URL without query or fragment',
        check: (value) => urlOf(value, ['http:', 'https:']) !== undefined && !/[?#]/.test(value),
      },
    ],
    [
      'webhook-url',
      {
        message: 'must be an http or https URL without credentials or fragment',
        check: (value) => {
          const url = urlOf(value, ['http:', 'https:']);
          return url !== undefined && url.username === '' && url.password === '' && !value.includes('#');
        },
      },
    ],
    [
      'nats-url',
      {
        message: 'must be a nats or tls URL, such as nats://10.0.0.1:4222',
        check: (value) => urlOf(value, ['nats:', 'tls:']) !== undefined,
      },
    ],
  ]);

/** As browsers write it; of http and https also every host below one. */
function isOrigin(value: string): boolean {
  if (value === 'null') return true;
  // Sockets have no pages.
  if (!/^https?:/i.test(value)) return /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@*]*$/.test(value) && !/^wss?:/.test(value);
  const one = value.replace(/^(https?:\/\/)\*\./, '$1any.');
  return !one.includes('*') && urlOf(one, ['http:', 'https:'])?.origin === one;
}

function urlOf(value: string, protocols: readonly string[]): URL | undefined {
  if (!URL.canParse(value)) return undefined;
  const url = new URL(value);
  return protocols.includes(url.protocol) && url.hostname !== '' ? url : undefined;
}
