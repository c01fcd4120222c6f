/** One vCPU's writes while another one's are still to be told of, and all at once. */
import { encodeIcr, encodeIcr2 } from '../../../abi/apic/icr.ts';
import type { Exit } from '../../../exit/exit.ts';
import { type Instruction, out8 } from '../../../guest/bytes.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { atOnce, type Driver } from '../../kit/drive.ts';
import { DONE_PORT, icr, icr2, type LapicWrite, writeInstruction as write } from '../../kit/guests.ts';
import { forwarding } from '../../kit/needs.ts';
import { SLOT } from '../../kit/sources.ts';
import { answer, checkEachOnce, nth, nthSend, OTHER_PORT, primed, primedMachine, range } from '../../kit/writers.ts';
import { moveTo, upToMove } from './signals.ts';

const OWN_SLOT = `${SLOT}: the slot is the vCPU's`;
const STORM = '20s';
const VCPUS = 4;
const EACH = 24;

/** A vCPU that has written ICR2, and whose exit is still to come; or the exit, where it comes with the write itself. */
function pend(ctx: CheckContext, driver: Driver, value: number): Exit[] {
  upToMove(driver, value);
  const answered = driver.runImmediateExit();
  if (typeof answered !== 'string') return [answered];
  ctx.equal('what KVM_RUN with immediate_exit answers', answered, 'EINTR');
  return [];
}

/** What vCPU 1 does while the write of vCPU 0 is still to be told of. */
const meanwhile: readonly { word: string; what: string; writes: readonly LapicWrite[] }[] = [
  { word: 'icr2', what: 'writes ICR2', writes: [nth(1)] },
  { word: 'icr', what: 'writes ICR', writes: [nthSend(1)] },
  { word: 'same', what: 'writes the same value', writes: [nth(0)] },
  {
    word: 'interrupt',
    what: 'sends it a fixed IPI',
    writes: [icr2(encodeIcr2({ destination: 0 })), icr(encodeIcr({ vector: 0x51, level: 'assert' }))],
  },
  {
    word: 'nmi',
    what: 'sends it an NMI',
    writes: [icr2(encodeIcr2({ destination: 0 })), icr(encodeIcr({ vector: 0, deliveryMode: 'nmi', level: 'assert' }))],
  },
];

/** Writes of each vCPU, all different. */
const own = (vcpu: number, kind: (n: number) => LapicWrite, count = EACH) =>
  range(count).map((n) => kind(vcpu * EACH + n));

interface Storm {
  word: string;
  claim: string;
  /** Of a vCPU, with the number of its write. */
  write: (n: number) => LapicWrite;
  between?: Instruction;
  kicked?: boolean;
}

const storms: readonly Storm[] = [
  { word: 'icr2', claim: 'Four vCPUs write ICR2 at once, and each write comes out once, of its vCPU', write: nth },
  { word: 'icr', claim: 'Four vCPUs write ICR at once, and each write comes out once, of its vCPU', write: nthSend },
  {
    word: 'both',
    claim: 'Four vCPUs write either register at once, and each write comes out once, of its vCPU',
    write: (n) => (n % 2 === 0 ? nth(n) : nthSend(n)),
  },
  {
    word: 'ports',
    claim: 'Four vCPUs write ICR2 and use ports at once, and each write comes out once, of its vCPU',
    write: nth,
    between: out8(OTHER_PORT),
  },
  {
    word: 'kicked',
    claim: 'Four vCPUs write at once while each of them is kicked, and each write comes out once, of its vCPU',
    write: (n) => (n % 2 === 0 ? nth(n) : nthSend(n)),
    kicked: true,
  },
];

export const raceChecks: Check[] = [
  ...table(meanwhile, ({ word, what, writes }) => ({
    id: `once.race.${word}`,
    claim: `A vCPU's write that is still to be told of comes out once though another vCPU ${what} meanwhile`,
    source: OWN_SLOT,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const { drivers } = await primedMachine(ctx, [moveTo('ICR2'), writes.map(write)]);
      const [first, second] = drivers as [Driver, Driver];
      const early = pend(ctx, first, nth(0).value);
      // What comes out of these is the claim of others.
      second.untilDone();
      checkEachOnce([...early, ...first.untilDone()], [nth(0)], ' of the vCPU that waited');
    },
  })),
  {
    id: 'once.race.all-pending',
    claim: 'Where the writes of four vCPUs are still to be told of at once, each comes out once, of its vCPU',
    source: OWN_SLOT,
    needs: [forwarding],
    async run(ctx) {
      const { drivers } = await primedMachine(
        ctx,
        range(VCPUS).map(() => moveTo('ICR2')),
      );
      const early = drivers.map((driver, id) => pend(ctx, driver, nth(id).value));
      for (const id of ctx.random.shuffle(range(VCPUS)))
        checkEachOnce([...early[id]!, ...drivers[id]!.untilDone()], [nth(id)], ` of vCPU ${id}`);
    },
  },
  {
    id: 'once.race.other-vm',
    claim: "A vCPU's write that is still to be told of comes out once though a vCPU of another VM writes meanwhile",
    source: OWN_SLOT,
    needs: [forwarding],
    async run(ctx) {
      const waits = await primed(ctx, moveTo('ICR2'));
      const writes = await primed(ctx, [write(nth(1))]);
      const early = pend(ctx, waits, nth(0).value);
      writes.untilDone();
      checkEachOnce([...early, ...waits.untilDone()], [nth(0)], ' of the VM that waited');
    },
  },
  ...table(storms, ({ word, claim, write: kind, between, kicked = false }) => ({
    id: `once.storm.${word}`,
    claim,
    source: OWN_SLOT,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx: CheckContext) {
      const writes = range(VCPUS).map((id) => own(id, kind));
      const codes = writes.map((list) => list.flatMap((one) => [write(one), ...(between ? [between] : [])]));
      const { machine } = await primedMachine(ctx, codes);
      const exits = await atOnce(ctx, machine, DONE_PORT, { kicks: kicked });
      for (const [id, list] of writes.entries()) checkEachOnce(exits[id]!, list, ` of vCPU ${id}`);
    },
  })),
  {
    id: 'once.storm.finished',
    claim: 'Four vCPUs write at once by instructions that wait for user space, kicked, and each write comes out once',
    source: OWN_SLOT,
    deadline: STORM,
    needs: [forwarding],
    async run(ctx) {
      const count = 12;
      const writes = range(VCPUS).map((id) => own(id, nth, count));
      const { machine } = await primedMachine(
        ctx,
        writes.map((list) => list.flatMap(() => moveTo('ICR2'))),
      );
      const reads = writes.map((list) => list.values());
      const exits = await atOnce(ctx, machine, DONE_PORT, {
        look: (exit, vcpu) => {
          if (exit.name === 'KVM_EXIT_MMIO') answer({ vcpu }, reads[vcpu.vcpuId]!.next().value!.value);
        },
        kicks: true,
      });
      for (const [id, list] of writes.entries()) checkEachOnce(exits[id]!, list, ` of vCPU ${id}`);
    },
  },
];
