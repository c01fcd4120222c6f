/**
 * One script as two shards, each in a lab machine of its own, joined by a real nats-server that is restarted meanwhile, while their clocks are
 * set apart: each counter is what was sent. Then one of them dies, and the other names it and lists what it has not acknowledged.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { NatsServer, noNatsServer } from '../support/nats-server.ts';
import { ShardProcess } from '../support/shard-process.ts';

const script = 'test/lab/scripts/nodes-counters.ts';
const IPIS = 60;
const own = [String(IPIS), '4', '2', '11', 'memory', 'storm'];

const shard = (vcpus: string, url: string) => new ShardProcess({ script, args: own, vcpus, of: 4, url });

interface Counted {
  readonly sent: number;
  readonly lowest: number;
  readonly taken: number;
  readonly resent: number;
}

test('two lab machines: each counter is what was sent, through restarts of the server and steps of the clock; and a death is named', {
  skip: labMissing() || noNatsServer,
  timeout: 300_000,
}, async () => {
  await using server = await NatsServer.start();
  await using first = shard('0,1', server.url);
  await using second = shard('2,3', server.url);
  for (const seq of [10, 40]) {
    await first.says(new RegExp(`"seq":${seq},`));
    await server.end();
    await server.begin();
  }
  const counted = async (one: ShardProcess) => JSON.parse(await one.says(/^\{"sent":.*\}(?=\n)/m, 'said')) as Counted;
  const both = await Promise.all([counted(first), counted(second)]);
  assert.ok(both[0]!.sent >= IPIS);
  assert.equal(both[0]!.taken + both[1]!.taken, both[0]!.lowest, 'each of lowest priority was taken once');
  await first.says(/"vector":64,/);
  second.kill();
  assert.equal(await first.end(), 1, first.text.slice(-3000));
  const { error } = jsonLines(first.text).at(-1) as { error: { code: string; message: string; report: string } };
  assert.equal(error.code, 'ERR_NODE_LOST', error.message);
  const said = /^Node 1 \(vCPUs 2 and 3\) was not heard of for 5000 ms; (\d+) interrupts? to it not acknowledged/;
  const [, count] = said.exec(error.message) ?? assert.fail(error.message);
  const listed = error.report.split('\n');
  assert.equal(listed.length, Number(count));
  assert.ok(listed.length > 0);
  for (const one of listed) assert.match(one, /^vCPU 0 #\d+: vector 0x40 to APIC id 3$/);
});

test('two nodes in x2APIC mode: what comes out by exit 46 comes to the other node, each once', {
  skip: labMissing(),
}, () => {
  const x2 = ['test/lab/scripts/nodes-x2apic.ts', '--cmdline', 'kvm.dsm_exit_x2_icr=1'];
  const { code, stdout, stderr } = kvmDsm(['run', ...x2, '--on', 'svm', '--quiet', '--timeout', '200', '--', '5'], 300);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stderr, /nodes-x2apic: 5 rounds/);
});

test('vmx has no line for a node', { skip: labMissing() }, () => {
  const { code, stderr } = kvmDsm([
    'node',
    script,
    '--vcpus',
    '0',
    '--of',
    '1',
    '--nats',
    'nats://127.0.0.1:1',
    '--on',
    'vmx',
  ]);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /the vmx lab .* has no line for a node/);
});
