/** Numbers that are the same in every run: a linear congruential generator. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Changes a good stream in one to four places: a bit, a byte, a piece that is missing, doubled or made up. */
export function damaged(stream: Buffer, random: (below: number) => number): Buffer {
  let bytes = Buffer.from(stream);
  for (let change = random(4); change >= 0; change--) {
    const at = random(bytes.length);
    const length = 1 + random(6);
    const kind = random(5);
    if (kind === 0) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random(8)), at);
    else if (kind === 1) bytes.writeUInt8(random(256), at);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([random(256), random(256)]), bytes.subarray(at)]);
    if (bytes.length === 0) return Buffer.from([0]);
  }
  return bytes;
}
