/** Who is how, as JSON: PROTOCOL.md section 3. */

/** `{"uid1":"available"}`; ids are the users' own, so the object is written, not built. */
export function presencesBody(list: readonly (readonly [string, string | number | object])[]): string {
  let body = '';
  for (const [id, shown] of new Map(list)) {
    body += `${body === '' ? '' : ','}${JSON.stringify(id)}:${JSON.stringify(shown)}`;
  }
  return `{${body}}`;
}
