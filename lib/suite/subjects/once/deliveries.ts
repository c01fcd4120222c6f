/** What local APICs do with a forwarded IPI: deliver it once, too. Counted in the guests' memory by their handlers. */
import { encodeIcr, encodeIcr2, type IcrFields } from '../../../abi/apic/icr.ts';
import { hlt, nop, out8, sti } from '../../../guest/bytes.ts';
import type { MachineVcpu } from '../../../script/machine/vcpu.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { atOnce, type Driver, isPort } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { sameRows } from '../../kit/rows.ts';
import { OTHER_PORT, primedMachine, range, writesIn } from '../../kit/writers.ts';
import { moveTo, upToMove } from './signals.ts';

const PATCH = 'patch 2/3: the local APIC acts on the write as well; SDM vol. 3 11.6.1';
const STORM = '20s';
const FIRST = 0x60;
const NMI = 2;
/** A guest leaves here now and then: interrupts that wait are taken when it goes on. */
const pause = [nop, out8(OTHER_PORT)];

const fixed = (n: number, fields: Partial<IcrFields> = {}) =>
  encodeIcr({ vector: FIRST + n, level: 'assert', ...fields });

const ipi = (destination: number, n: number): LapicWrite[] => [icr2(encodeIcr2({ destination })), icr(fixed(n))];

/** That each of these vectors was taken so often, from FIRST on. */
function checkTaken({ id, interrupts }: MachineVcpu, from: number, count: number): void {
  const vectors = range(count).map((n) => FIRST + from + n);
  sameRows(
    `how often vCPU ${id} took the vectors`,
    vectors.map((vector) => ({ vector, times: `${interrupts.get(vector) ?? 0} times` })),
    vectors.map((vector) => ({ vector, times: '1 times' })),
  );
}

/** IPIs that vCPU 1 takes while the exit of the write is with user space. */
const modes: readonly { word: string; what: string; fields: IcrFields; counted: number }[] = [
  { word: 'fixed', what: 'A fixed IPI', fields: { vector: FIRST, level: 'assert' }, counted: FIRST },
  {
    word: 'lowest-priority',
    what: 'A lowest-priority IPI',
    fields: { vector: FIRST, level: 'assert', deliveryMode: 'lowestPriority' },
    counted: FIRST,
  },
  {
    word: 'others',
    what: 'An IPI to all others',
    fields: { vector: FIRST, level: 'assert', shorthand: 'allExcludingSelf' },
    counted: FIRST,
  },
  { word: 'nmi', what: 'An NMI', fields: { vector: 0, level: 'assert', deliveryMode: 'nmi' }, counted: NMI },
];

export const deliveryChecks: Check[] = [
  {
    id: 'once.delivery.self',
    claim: '48 IPIs that a vCPU sends itself are taken once each',
    source: PATCH,
    needs: [forwarding],
    async run(ctx) {
      const code = [icr2(0), ...range(48).map((n) => icr(fixed(n)))].map(write);
      const { machine, drivers } = await primedMachine(ctx, [[...code, ...pause]]);
      drivers[0]!.untilDone();
      checkTaken(machine.vcpu(0), 0, 48);
    },
  },
  {
    id: 'once.delivery.other',
    claim: '48 IPIs to a vCPU that does not run meanwhile are taken once each when it does',
    source: PATCH,
    needs: [forwarding],
    async run(ctx) {
      const code = [icr2(encodeIcr2({ destination: 1 })), ...range(48).map((n) => icr(fixed(n)))].map(write);
      const { machine, drivers } = await primedMachine(ctx, [code, pause]);
      for (const driver of drivers) driver.untilDone();
      checkTaken(machine.vcpu(1), 0, 48);
    },
  },
  {
    id: 'once.delivery.halted',
    claim: 'An IPI ends the HLT of another vCPU, and is taken once',
    source: `${PATCH}; SDM vol. 2, HLT`,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const codes = [ipi(1, 0).map(write), [sti, hlt, ...pause]];
      const { machine } = await primedMachine(ctx, codes, { program: { interrupts: false } });
      await atOnce(ctx, machine, DONE_PORT);
      checkTaken(machine.vcpu(1), 0, 1);
    },
  },
  ...table(modes, ({ word, what, fields, counted }) => ({
    id: `once.delivery.at-exit.${word}`,
    claim: `${what} that its target takes before the writer goes on is not taken again after that`,
    source: PATCH,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const send = [icr2(encodeIcr2({ destination: 1 })), icr(encodeIcr(fields))].map(write);
      const { machine, drivers } = await primedMachine(ctx, [
        [...send, ...pause],
        [...pause, ...pause],
      ]);
      const [writer, target] = drivers as [Driver, Driver];
      for (let exit = writer.next(); !isPort(exit, OTHER_PORT); exit = writer.next())
        if (writesIn([exit])[0]?.register === 'ICR') break;
      target.until(OTHER_PORT);
      writer.untilDone();
      target.untilDone();
      ctx.equal('how often it was taken', machine.vcpu(1).interrupts.get(counted) ?? 0, 1);
    },
  })),
  {
    id: 'once.delivery.pending',
    claim: 'An IPI whose write is still to be told of is taken once, before and after the exit together',
    source: PATCH,
    needs: [forwarding],
    async run(ctx) {
      const codes = [
        [write(icr2(encodeIcr2({ destination: 1 }))), out8(OTHER_PORT), ...moveTo('ICR')],
        [...pause, ...pause],
      ];
      const { machine, drivers } = await primedMachine(ctx, codes);
      const [writer, target] = drivers as [Driver, Driver];
      writer.until(OTHER_PORT);
      upToMove(writer, fixed(0));
      writer.runImmediateExit();
      target.until(OTHER_PORT);
      writer.untilDone();
      target.untilDone();
      checkTaken(machine.vcpu(1), 0, 1);
    },
  },
  {
    id: 'once.delivery.kicked',
    claim: '48 IPIs that a vCPU sends itself while it is kicked are taken once each',
    source: PATCH,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const code = [icr2(0), ...range(48).map((n) => icr(fixed(n)))].map(write);
      const { machine } = await primedMachine(ctx, [[...code, ...pause]]);
      await atOnce(ctx, machine, DONE_PORT, { kicks: true });
      checkTaken(machine.vcpu(0), 0, 48);
    },
  },
  {
    id: 'once.delivery.storm',
    claim: 'Four vCPUs send each other 12 IPIs each at once, and each one is taken once',
    source: PATCH,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const [vcpus, each] = [4, 12];
      const codes = range(vcpus).map((id) => {
        const to = (id + 1) % vcpus;
        return [...range(each).flatMap((n) => ipi(to, id * each + n).map(write)), ...pause, ...pause];
      });
      const { machine, drivers } = await primedMachine(ctx, codes);
      // All have been sent when the last one is there.
      await atOnce(ctx, machine, OTHER_PORT);
      for (const driver of drivers) driver.untilDone();
      for (const id of range(vcpus)) checkTaken(machine.vcpu((id + 1) % vcpus), id * each, each);
    },
  },
];
