/**
 * Very many interrupts of all kinds between nodes, with guests: each counter is what was sent. How many, and the seed, are in the environment:
 * KVM_DSM_NODES_IPIS (1,000,000 of two nodes and of three), KVM_DSM_NODES_LAB_IPIS (100,000 over two lab machines), KVM_DSM_NODES_SEED.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { NatsServer, noNatsServer } from '../support/nats-server.ts';
import { ShardProcess } from '../support/shard-process.ts';

const script = 'test/lab/scripts/nodes-counters.ts';
const given = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise);
const count = given('KVM_DSM_NODES_IPIS', 1_000_000);
const labCount = given('KVM_DSM_NODES_LAB_IPIS', 100_000);
const seed = given('KVM_DSM_NODES_SEED', 61);
/** Seconds: ten interrupts in one, and a boot. */
const limit = (ipis: number) => 300 + Math.ceil(ipis / 10);
const x2 = ['--cmdline', 'kvm.dsm_exit_x2_icr=1'];
/** @param each of one machine at most: a machine keeps what happened to it */
const words = (ipis: number, vcpus: number, nodes: number, each: number) => {
  const numbers = [ipis, vcpus, nodes, seed].map(String);
  return [...numbers, 'memory', 'x2apic', `each=${each}`];
};

interface Counted {
  readonly sent: number;
  readonly lowest: number;
  readonly taken: number;
  readonly resent: number;
}

for (const [nodes, vcpus] of [
  [2, 4],
  [3, 6],
] as const)
  test(`${count} interrupts over ${nodes} nodes in one process`, {
    skip: labMissing(),
    timeout: (limit(count) + 100) * 1000,
  }, () => {
    const args = ['run', script, ...x2, '--on', 'svm', '--quiet', '--timeout', String(limit(count))];
    const { code, stdout, stderr } = kvmDsm([...args, '--', ...words(count, vcpus, nodes, 10_000)], limit(count) + 60);
    assert.equal(code, 0, stdout.slice(-3000) + stderr.slice(-3000));
    process.stderr.write(stdout);
    const [last] = /^\{"sent":.*"kinds":.*\}$/m.exec(stdout) ?? assert.fail(stdout);
    const { sent, lowest, taken } = JSON.parse(last) as Counted;
    assert.ok(sent >= count);
    assert.equal(taken, lowest, 'each of lowest priority was taken once');
  });

test(`${labCount} interrupts over two lab machines, with five restarts of the server and a cut in the middle`, {
  skip: labMissing() || noNatsServer,
  timeout: (limit(labCount) + 100) * 1000,
}, async () => {
  await using server = await NatsServer.start();
  const shard = (vcpus: string) =>
    new ShardProcess({
      script,
      args: [...words(labCount, 4, 2, 4000), 'tell'],
      vcpus,
      of: 4,
      url: server.url,
      timeout: limit(labCount),
      more: ['--quiet', ...x2],
    });
  await using first = shard('0,1');
  await using second = shard('2,3');
  const sent = () =>
    Number(
      first.said
        .match(/^so far \d+$/gm)
        ?.at(-1)
        ?.slice('so far '.length) ?? 0,
    );
  for (let times = 1; times <= 6; times++) {
    await first.until(() => sent() >= (times * labCount) / 7 || undefined);
    await server.end();
    // The cut: the server is away, and what is sent meanwhile has nowhere to go.
    if (times === 3) await new Promise((resolve) => setTimeout(resolve, 2000));
    await server.begin();
  }
  const last = async (one: ShardProcess) =>
    JSON.parse(await one.says(/^\{"sent":.*"kinds":.*\}(?=\n)/m, 'said')) as Counted;
  const both = await Promise.all([last(first), last(second)]);
  process.stderr.write(`${both.map((one) => JSON.stringify(one)).join('\n')}\n`);
  assert.deepEqual([await first.end(), await second.end()], [0, 0], first.errors + second.errors);
  assert.ok(both[0]!.sent >= labCount);
  assert.equal(both[0]!.taken + both[1]!.taken, both[0]!.lowest, 'each of lowest priority was taken once');
});
