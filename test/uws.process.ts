import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { headerBytes, loadUws, type Machine, pickBuild, thisMachine } from '../src/uws.js';

const linux: Machine = { platform: 'linux', arch: 'x64', modules: '115', glibc: '2.36' };
const modules = join(import.meta.dirname, '../node_modules');

const picked: readonly (readonly [machine: Partial<Machine>, file: string])[] = [
  [{}, 'uws-node20/binaries/uws_linux_x64_115.node'],
  [{ glibc: '2.27' }, 'uws-node20/binaries/uws_linux_x64_115.node'],
  [{ glibc: '2.37' }, 'uws-node20/binaries/uws_linux_x64_115.node'],
  [{ glibc: '2.38' }, 'uws-node22/uws_linux_x64_115.node'],
  [{ glibc: '2.100' }, 'uws-node22/uws_linux_x64_115.node'],
  [{ glibc: '3.0' }, 'uws-node22/uws_linux_x64_115.node'],
  [{ glibc: '2.41', modules: '127' }, 'uws-node22/uws_linux_x64_127.node'],
  [{ glibc: '2.41', modules: '137', arch: 'arm64' }, 'uws-node22/uws_linux_arm64_137.node'],
  [{ glibc: '2.41', modules: '141' }, 'uws-node22/uws_linux_x64_141.node'],
  [{ arch: 'arm64' }, 'uws-node20/binaries/uws_linux_arm64_115.node'],
  [{ arch: 'arm', glibc: '2.41' }, 'uws-node20/binaries/uws_linux_arm_115.node'],
  [{ platform: 'darwin', arch: 'arm64', glibc: undefined }, 'uws-node22/uws_darwin_arm64_115.node'],
  [{ platform: 'win32', glibc: undefined, modules: '127' }, 'uws-node22/uws_win32_x64_127.node'],
];

for (const [machine, file] of picked) {
  t.test(`picks ${file} for ${JSON.stringify(machine)}`, async (t) => {
    const build = pickBuild({ ...linux, ...machine });
    t.equal('message' in build ? build.message : `${build.package}/${build.file}`, file);
    t.ok(existsSync(join(modules, file)), 'which the package carries');
  });
}

const refused: readonly Partial<Machine>[] = [
  { glibc: '2.26' },
  { glibc: undefined },
  { glibc: '2.37', modules: '127' },
  { glibc: '2.41', modules: '108' },
  { glibc: '2.41', modules: '131' },
  { glibc: '2.27', arch: 'arm' },
  { arch: 'ia32' },
  { platform: 'freebsd', glibc: undefined },
  { platform: 'constructor', arch: 'x' },
];

for (const machine of refused) {
  t.test(`says what is supported for ${JSON.stringify(machine)}`, async (t) => {
    const build = pickBuild({ ...linux, ...machine });
    t.match('message' in build && build.message, /^no native build for this machine \(.*glibc 2\.38.*Node 20/s);
  });
}

t.test('on a machine without glibc the error says so', async (t) => {
  t.match(pickBuild({ ...linux, glibc: undefined }), { message: /glibc none \(musl is not supported\)/ });
});

t.test('every file of both packages is known, so that an update is noticed', async (t) => {
  const files = [
    ...readdirSync(join(modules, 'uws-node22')),
    ...readdirSync(join(modules, 'uws-node20/binaries')).filter((name) => name.endsWith('_115.node')),
  ].filter((name) => name.endsWith('.node'));
  for (const name of files) {
    const [, platform = '', arch = '', abi = ''] = /^uws_(\w+?)_(\w+)_(\d+)\.node$/.exec(name) ?? [];
    t.notOk('message' in pickBuild({ platform, arch, modules: abi, glibc: '2.41' }), name);
  }
});

t.test('the native library loads here, once, with room for long headers', async (t) => {
  const uws = loadUws();
  t.equal(loadUws(), uws);
  t.type(uws.App, 'function');
  t.type(uws.SSLApp, 'function');
  t.equal(process.env.UWS_HTTP_MAX_HEADERS_SIZE, String(headerBytes));
  t.notOk('message' in pickBuild(thisMachine()));
});

t.test('the loaded library listens', async (t) => {
  const uws = loadUws();
  const port = await new Promise<number>((resolve) => {
    uws.App().listen('127.0.0.1', 0, (socket) => {
      resolve(socket === false ? -1 : uws.us_socket_local_port(socket));
      if (socket !== false) uws.us_listen_socket_close(socket);
    });
  });
  t.ok(port > 0);
});
