/** `npm run example:nodes`: examples/nodes.ts, and two nodes that reach each other through a nats-server of its own. */
import { spawnSync } from 'node:child_process';
import { natsTransport } from '../lib/node/transports/nats.ts';
import { NatsServer, noNatsServer } from '../test/support/nats-server.ts';
import { numbered, peer, until, upTo } from '../test/unit/node/members.ts';

const [on = 'svm'] = process.argv.slice(2);
const command = ['dist/cli/main.js', 'run', 'examples/nodes.ts', '--on', on];
const { status } = spawnSync(process.execPath, command, { stdio: 'inherit' });

if (noNatsServer) process.stdout.write(`no nodes on NATS: ${noNatsServer}\n`);
else {
  await using server = await NatsServer.start();
  const join = () => natsTransport({ url: server.url, prefix: 'kvm-dsm.example' });
  const peers = [peer(await join(), 0, 2), peer(await join(), 1, 2)] as const;
  for (const number of upTo(1000)) peers[0].carrier.offer(0, numbered(number), [1]);
  await until(() => peers[0].carrier.quiet, 'all is acknowledged');
  process.stdout.write(
    `${server.url}: 1000 interrupts sent, ${peers[1].got.get(0)?.length} came, each once and in order\n`,
  );
  for (const { carrier } of peers) await carrier.close();
}
process.exitCode = status ?? 1;
