/** What holds for every call: PROTOCOL.md sections 1 to 3 and 10, in short. */
export const INTRODUCTION = `A site's backend brings its users online over the REST API and sends for them; their pages hold
one long connection each, by WebSocket, long polling or MQTT, and receive packets over it. The two meet in the **ticket**:
ONLINE answers one to the backend, and the page connects with it.

**Authentication.** Every call of the backend proves to be the site's, in one of two ways: HTTP Basic, with the domain as
user and its API key as password; or the parameters \`domain\` and \`apikey\`. Where there is a \`domain\` parameter it must be
the authenticated domain. Pages have no API key: their ticket is their right.

**Parameters.** Of a GET in the query; of a POST in a form or a JSON object, where lists may be arrays and numbers stand for
their text. All text is UTF-8. Parameters that are not known are ignored.

**Ids.** A bare id is a user (\`jack\`); \`vid:7\` is a visitor, \`sid:help\` a service, \`gid:lobby\` a room, \`uid:jack\` a user
again. Where only a room can be meant, a bare id is a room. At most 256 bytes, without \`/ + # ,\` and control characters.
Nothing ever crosses from one domain to another.

**Paths.** \`/v4\` in place of \`/v5\` answers the same, and a slash at the end changes nothing.`;
