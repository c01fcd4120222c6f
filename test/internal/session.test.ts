/** Machines of several sessions in one process: each has its own observer, device, profile and time. */
import assert from 'node:assert/strict';
import { AsyncResource } from 'node:async_hooks';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { profileByName } from '../../lib/abi/dsm/profiles.ts';
import { RunBudget } from '../../lib/base/budget.ts';
import { asm, isExit, type Machine, machine, type TraceEvent } from '../../lib/index.ts';
import { type ObservedMachine, Session } from '../../lib/script/session.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: 30_000 };
const directory = mkdtempSync(join(tmpdir(), 'session-'));
after(() => rmSync(directory, { recursive: true }));

/** A session that keeps what its observer is told. */
function observed(rest: ConstructorParameters<typeof Session>[0] = {}) {
  const machines: ObservedMachine[] = [];
  const events: TraceEvent[] = [];
  const observer = {
    machine: (one: ObservedMachine) => machines.push(one),
    event: (one: TraceEvent) => events.push(one),
  };
  return { machines, events, session: new Session({ ...rest, observer }) };
}

/** A guest that writes to one port, so many times. */
async function writes(port: number, count: number): Promise<Machine> {
  const m = await machine();
  m.vcpu(0).program(asm.flat32`
      mov ecx, ${count}
    again: out ${port}, al
      dec ecx
      jnz again
      hlt`);
  return m;
}

const ports = (events: readonly TraceEvent[]) =>
  events.flatMap((event) => (isExit(event) && event.exit.name === 'KVM_EXIT_IO' ? [event.exit.port] : []));

test('two machines at work at once tell two observers, each on its device, with its profile', options, async () => {
  const link = join(directory, 'kvm');
  symlinkSync('/dev/kvm', link);
  const profile = { ...profileByName('rfc-v2'), name: 'other' };
  const a = observed();
  const b = observed({ device: link, profile });
  const [ma, mb] = await Promise.all([a.session.run(() => writes(0x91, 30)), b.session.run(() => writes(0x92, 40))]);
  try {
    // Run from here, which is neither's context: a machine stays in the session that it was made in.
    for (let i = 1; i <= 3; i++)
      await Promise.all([ma.run({ until: { exits: 10 } }), mb.run({ until: { exits: 10 } })]);
    await Promise.all([ma.run(), mb.run()]);
    assert.deepEqual([a.machines, b.machines], [[ma], [mb]]);
    assert.deepEqual(
      ports(a.events),
      Array.from({ length: 30 }, () => 0x91),
    );
    assert.deepEqual(
      ports(b.events),
      Array.from({ length: 40 }, () => 0x92),
    );
    assert.deepEqual([ma.kvm.device, mb.kvm.device], ['/dev/kvm', link]);
    assert.deepEqual([ma.profile.name, mb.vm.profile.name, mb.vcpu(0).vcpu.profile.name], ['rfc-v2', 'other', 'other']);
  } finally {
    ma.close();
    mb.close();
  }
});

test('the time of one session is over, and that of the other is not', options, async () => {
  const spent = observed({ budget: new RunBudget(0) });
  const fresh = observed();
  using late = await spent.session.run(() => writes(0x93, 1));
  using inTime = await fresh.session.run(() => writes(0x94, 1));
  await assert.rejects(late.run(), { code: 'ERR_DEADLINE', message: /the time that --timeout allows/ });
  await inTime.run();
  // Past the machine as well.
  assert.throws(() => late.vcpu(0).vcpu.run(), { code: 'ERR_DEADLINE' });
  assert.deepEqual([ports(spent.events), ports(fresh.events)], [[], [0x94]]);
});

test(
  'a machine that a listener makes, called from outside, is of the default session of the process',
  options,
  async () => {
    const outside = AsyncResource.bind((work: () => Promise<void>) => work());
    const before = Session.current;
    const script = observed({ budget: new RunBudget(60_000) });
    script.session.makeDefault();
    try {
      await outside(async () => {
        using m = await writes(0x95, 2);
        await m.run();
      });
    } finally {
      before.makeDefault();
    }
    assert.deepEqual([script.machines.length, ports(script.events)], [1, [0x95, 0x95]]);
  },
);
