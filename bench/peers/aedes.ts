/** aedes over node:net, with its embedded defaults. */
import { createServer } from 'node:net';
import { Aedes } from 'aedes';

const port = Number(process.argv[2]);
const broker = await Aedes.createBroker();
createServer(broker.handle).listen({ port, host: '127.0.0.1', backlog: 4096 });
