/** The fenced blocks of a documentation page, as a reader meets them. */

export interface Block {
  /** The first word after the fence: `sh`, `json`, `js`. */
  readonly language: string;
  /** Further words of the form `name=value`, which no reader sees. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly text: string;
  /** The line of the opening fence, counted from 1. */
  readonly line: number;
}

const FENCE = /^```(\S*) ?(.*)$/;

export function readBlocks(page: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; attributes: Map<string, string>; lines: string[]; line: number } | null = null;
  for (const [i, text] of page.split('\n').entries()) {
    const fence = FENCE.exec(text);
    if (!fence) open?.lines.push(text);
    else if (open) {
      blocks.push({ ...open, text: open.lines.join('\n') });
      open = null;
    } else {
      const pairs = (fence[2] ?? '').split(' ').filter((word) => word !== '');
      const attributes = new Map(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.split('=')[1] ?? '']));
      open = { language: fence[1] ?? '', attributes, lines: [], line: i + 1 };
    }
  }
  if (open) throw new Error(`the block of line ${open.line} is not closed`);
  return blocks;
}

/** Text that is set off by four spaces, each block with its lines as they stand. */
export function indentedBlocks(page: string): string[] {
  const prose = page.replace(/^```[\s\S]*?^```/gm, '```');
  return [...prose.matchAll(/(?<=^\n)(?: {4}.*\n?)+/gm)].map(([text]) => text.replace(/^ {4}/gm, '').trimEnd());
}

/** What is typed one after another: a line each, without remarks; `\` goes on with the next line, npm's `&&` with a next command. */
export function commandsIn(block: string): string[] {
  return block
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .flatMap((line) => (line.startsWith('npm ') ? line.split(' && ') : [line]))
    .map((line) => line.replace(/\s+# .*$/, '').trim())
    .filter((line) => line !== '');
}

/** The targets of links and pictures that stay within the project. */
export function linksOf(page: string): string[] {
  const prose = page.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^https?:/.test(target));
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): Set<string> {
  const headings = page.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\- _]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
