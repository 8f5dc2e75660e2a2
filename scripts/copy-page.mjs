// What the compiler does not put beside the compiled server: the page of the dashboard.
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

cpSync(join(root, 'src/admin/page'), join(root, 'dist/admin/page'), { recursive: true });
