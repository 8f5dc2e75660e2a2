// `npm start`: compiles where the sources have changed and runs the server in this same process, so that signals reach it
// directly. SIGHUP meanwhile is remembered, as the server does while it starts.
let isHungUp = false;
process.on('SIGHUP', () => {
  isHungUp = true;
});

const { build, find, isBuilt } = await import('./built.mjs');

const onlyAsks = process.argv.slice(2).some((word) => ['help', '-h', '--help', '-V', '--version'].includes(word));
if (isBuilt()) await import('../dist/main.js');
else if (onlyAsks) {
  // Read as it stands, sooner than it is compiled.
  find('tsx/package.json');
  const { register } = await import('tsx/esm/api');
  register();
  await import('../src/main.ts');
} else {
  build();
  await import('../dist/main.js');
}
if (isHungUp) process.emit('SIGHUP', 'SIGHUP');
