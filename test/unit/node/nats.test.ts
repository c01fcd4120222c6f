/** Nodes that are joined by a real nats-server, which is restarted, stopped, and told things by strangers. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { natsTransport } from '../../../lib/node/transports/nats.ts';
import { freePort, NatsServer, noNatsServer } from '../../support/nats-server.ts';
import { certificates, noOpenssl } from '../../support/nats-tls.ts';
import { SlowLink } from '../../support/slow-link.ts';
import { testFolder } from '../../support/test-folder.ts';
import { homesOf, numbered, type Peer, type PeerOptions, peer, until, upTo } from './members.ts';

const prefix = 'kvm-dsm.test';
const fast = { resend: 20, longest: 100, deadline: 20_000 };

async function joined(url: string, nodes: number, options: PeerOptions = { limits: fast }): Promise<Peer[]> {
  const transports = await Promise.all(Array.from({ length: nodes }, () => natsTransport({ url, prefix })));
  return transports.map((transport, node) => peer(transport, node, nodes, options));
}

const closeAll = (peers: readonly Peer[]) => Promise.all(peers.map(({ carrier }) => carrier.close()));

/** So many of each source, with a pause for the event loop after each hundred. */
async function sendAll(peers: readonly Peer[], count: number, after: (number: number) => Promise<void>): Promise<void> {
  for (const number of upTo(count)) {
    for (const [source, home] of homesOf(peers.length).entries()) {
      const others = [...peers.keys()].filter((node) => node !== home);
      peers[home]!.carrier.offer(source, numbered(number), others);
    }
    if (number % 100 === 0) await after(number);
  }
}

async function expectAll(peers: readonly Peer[], count: number): Promise<void> {
  await until(() => peers.every(({ carrier }) => carrier.quiet), 'all is acknowledged');
  for (const [node, { got, failures }] of peers.entries()) {
    assert.deepEqual(failures, []);
    for (const [source, home] of homesOf(peers.length).entries())
      if (home !== node) assert.deepEqual(got.get(source), upTo(count), `vCPU ${source} at node ${node}`);
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('nodes on NATS', { skip: noNatsServer, timeout: 120_000 }, () => {
  test('three nodes: all of each source once and in order', async () => {
    await using server = await NatsServer.start();
    const peers = await joined(server.url, 3);
    await sendAll(peers, 1000, turn);
    await expectAll(peers, 1000);
    await closeAll(peers);
  });

  test('five restarts of the server and a cut in the midst of it lose, double and reorder nothing', async (t) => {
    await using server = await NatsServer.start();
    const peers = await joined(server.url, 2);
    await sendAll(peers, 1200, async (number) => {
      if (number % 200 !== 0) return turn();
      await server.end();
      await turn();
      if (number < 1200) return server.begin();
    });
    // The cut: it is away, and what is sent meanwhile has nowhere to go.
    await server.begin();
    await expectAll(peers, 1200);
    t.diagnostic(JSON.stringify(peers.map(({ carrier }) => carrier.counts)));
    await closeAll(peers);
  });

  test('a server that stands still for a while delays all and loses nothing', async () => {
    await using server = await NatsServer.start();
    const peers = await joined(server.url, 2);
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    server.signal('SIGSTOP');
    await sendAll(peers, 200, turn);
    await until(() => peers[0]!.carrier.counts.resent > 0, 'it was tried again');
    server.signal('SIGCONT');
    await expectAll(peers, 200);
    await closeAll(peers);
  });

  test('three windows full in one turn of the event loop, in which nobody reads, come all the same', async () => {
    await using server = await NatsServer.start();
    const peers = await joined(server.url, 2);
    await sendAll(peers, 3000, async () => {});
    await expectAll(peers, 3000);
    await closeAll(peers);
  });

  test('what strangers publish is refused and counted, and what was sent before is taken once', async () => {
    await using server = await NatsServer.start();
    const peers = await joined(server.url, 2);
    const stranger = await natsTransport({ url: server.url, prefix });
    const heard: Uint8Array[] = [];
    stranger.subscribe('node.1', (message) => void heard.push(message));
    await sendAll(peers, 50, turn);
    await expectAll(peers, 50);
    await until(() => heard.length > 50, 'the stranger has heard it');
    // All of it again, and in the opposite order.
    for (const message of heard.toReversed()) stranger.publish('node.1', message);
    stranger.publish('node.1', Buffer.from('{"v":1,"vm":"test"'));
    stranger.publish('node.1', Buffer.from('{"v":1,"vm":"another"}'));
    stranger.publish('all', Buffer.from('{"v":1,"vm":"test","kind":"data"}'));
    await until(() => (peers[1]!.carrier.counts.refused.malformed ?? 0) > 0, 'the last one has come');
    const { refused, doubled } = peers[1]!.carrier.counts;
    assert.deepEqual(
      { text: refused.text, foreign: refused.foreign, malformed: refused.malformed },
      { text: 1, foreign: 1, malformed: 1 },
    );
    assert.ok(doubled >= 50, `${doubled}`);
    await expectAll(peers, 50);
    await stranger.close();
    await closeAll(peers);
  });

  test('a node that is too slow is thrown out by the server, comes again, and has lost nothing', async () => {
    const monitor = await freePort();
    const config = join(testFolder(), 'nats.conf');
    writeFileSync(config, 'max_pending: 1MB\nwrite_deadline: "100ms"\n');
    await using server = await NatsServer.start('-c', config, '-m', String(monitor));
    const slowConsumers = async () => {
      const answer = await fetch(`http://127.0.0.1:${monitor}/varz`);
      return ((await answer.json()) as { slow_consumers: number }).slow_consumers;
    };
    await using link = await SlowLink.to(server.port);
    const transports = [
      await natsTransport({ url: server.url, prefix }),
      await natsTransport({ url: link.url, prefix }),
    ];
    const peers = transports.map((transport, node) => peer(transport, node, 2, { limits: fast }));
    await until(() => peers.every(({ carrier }) => carrier.acquainted), 'they know each other');
    link.stopReading();
    await sendAll(peers, 200, turn);
    const stranger = await natsTransport({ url: server.url, prefix });
    const much = Buffer.alloc(900_000, '{');
    while ((await slowConsumers()) === 0) stranger.publish('node.1', much);
    link.readAgain();
    await expectAll(peers, 200);
    assert.ok(peers[0]!.carrier.counts.resent > 0, 'nothing had to be sent again');
    await stranger.close();
    await closeAll(peers);
  });

  test("credentials are the client's own", async () => {
    await using server = await NatsServer.start('--user', 'vm', '--pass', 'word');
    const options = { url: server.url, prefix };
    await assert.rejects(natsTransport(options), { code: 'ERR_TRANSPORT', message: /does not take this client/ });
    const transport = await natsTransport({ ...options, client: { user: 'vm', pass: 'word' } });
    await transport.close();
  });

  test('by TLS, where both show who they are', { skip: noOpenssl }, async () => {
    const of = certificates(testFolder());
    const { certFile, keyFile, caFile } = of.server;
    const words = ['--tlscert', certFile, '--tlskey', keyFile, '--tlscacert', caFile];
    await using server = await NatsServer.start('--tlsverify', ...words);
    const options = { url: server.url, prefix };
    await assert.rejects(natsTransport({ ...options, client: { tls: { caFile } } }), { code: 'ERR_TRANSPORT' });
    const { caFile: _, ...stranger } = of.client;
    await assert.rejects(natsTransport({ ...options, client: { tls: stranger } }), { code: 'ERR_TRANSPORT' });
    const both = [0, 1].map(() => natsTransport({ ...options, client: { tls: of.client } }));
    const peers = (await Promise.all(both)).map((transport, node) => peer(transport, node, 2, { limits: fast }));
    await sendAll(peers, 100, turn);
    await expectAll(peers, 100);
    await closeAll(peers);
  });
});

test('no server is a TransportError with its address', async () => {
  const url = `nats://127.0.0.1:${await freePort()}`;
  await assert.rejects(natsTransport({ url, prefix }), {
    code: 'ERR_TRANSPORT',
    message: new RegExp(`no NATS server at ${url}`),
  });
});
