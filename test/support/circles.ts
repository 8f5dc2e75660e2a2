/** Circles of imports: files that import each other, directly or through others, so that none can be read by itself. */
import { importsOf, type Sources } from './architecture.js';

/** A statement that imports types only; what its clause names is in braces, or behind `type`. */
export const TYPES_ONLY =
  /(?:^|\n)(?:import|export)\s+(?:type\s[^';]*|\{(?:\s*type\s+[\w$]+(?:\s+as\s+[\w$]+)?\s*,?)+\s*\}\s*)from\s*'[^']+'/g;

/** Each circle as its files in order. `withTypes`: imports of types count as well. */
export function circlesIn(sources: Sources, withTypes: boolean): string[][] {
  const imports = new Map<string, readonly string[]>();
  for (const [path, text] of sources) {
    const counted = withTypes ? text : text.replace(TYPES_ONLY, '');
    const names = importsOf(path, counted);
    imports.set(
      path,
      names.filter((name) => sources.has(name)),
    );
  }
  return components(imports).map((circle) => circle.sort());
}

/** The strongly connected components of more than one node, by Tarjan's algorithm. */
function components(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const stack: string[] = [];
  /** Answers the earliest node of the stack that can be reached. */
  const visit = (node: string): number => {
    const own = order.size;
    order.set(node, own);
    const depth = stack.push(node) - 1;
    let earliest = own;
    for (const next of edges.get(node) ?? []) {
      if (!order.has(next)) earliest = Math.min(earliest, visit(next));
      else if (stack.includes(next)) earliest = Math.min(earliest, order.get(next) ?? own);
    }
    if (earliest === own) {
      const component = stack.splice(depth);
      if (component.length > 1) found.push(component);
    }
    return earliest;
  };
  for (const node of edges.keys()) if (!order.has(node)) visit(node);
  return found;
}
