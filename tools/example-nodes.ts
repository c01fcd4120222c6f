/** `npm run example:nodes`: examples/nodes.ts in one lab machine, and then as two, joined by a nats-server of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { NatsServer, noNatsServer } from '../test/support/nats-server.ts';

const [on = 'svm'] = process.argv.slice(2);
const main = 'dist/cli/main.js';
const { status } = spawnSync(process.execPath, [main, 'run', 'examples/nodes.ts', '--on', on], { stdio: 'inherit' });
process.exitCode = status ?? 1;

if (noNatsServer) process.stdout.write(`no nodes on NATS: ${noNatsServer}\n`);
else {
  await using server = await NatsServer.start();
  const node = (vcpus: string): ChildProcess => {
    const args = [main, 'node', 'examples/nodes.ts', '--vcpus', vcpus, '--of', '4', '--nats', server.url, '--on', on];
    return spawn(process.execPath, args, { stdio: 'inherit' });
  };
  const ends = await Promise.all(['0,1', '2,3'].map((vcpus) => once(node(vcpus), 'close')));
  for (const [code] of ends) if (code !== 0) process.exitCode = 1;
}
