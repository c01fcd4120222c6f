/** A replay does what the guest's own write does in every state of the table: all is compared, after every write. */
import { type Check, type Shortfall, table } from '../../../check.ts';
import { CheckError } from '../../../errors.ts';
import type { CheckContext } from '../../../kit/context.ts';
import { baseInjection, forwarding, ipiInjection, type Need, x2apic, x2apicInjection } from '../../../kit/needs.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import { BASE_ADDRESS } from '../base-address.ts';
import { PATCH } from '../replay.ts';
import { type MachineRow, machineRows } from './machines.ts';
import { describeWrite, Pair } from './pair.ts';
import { bases, ipis, x2Ipis } from './programs.ts';
import { type Scene, xapicScenes } from './states.ts';

interface Ioctl {
  word: string;
  what: string;
  source: string;
  needs: readonly Need[];
  x2apic: boolean;
  program(pair: Pair): TwinWrite[];
  shortfall?: Shortfall;
}

const ioctls: readonly Ioctl[] = [
  {
    word: 'ipi',
    what: 'Replayed ICR2 and ICR writes',
    source: `${PATCH}: KVM_DSM_IPI; SDM vol. 3 11.6.1`,
    needs: [ipiInjection, forwarding],
    x2apic: false,
    program: ipis,
  },
  {
    word: 'x2',
    what: 'Replayed x2APIC ICR writes',
    source: `${PATCH}: KVM_DSM_X2APIC; SDM vol. 3 11.12.9`,
    needs: [x2apicInjection, x2apic],
    x2apic: true,
    program: x2Ipis,
  },
  {
    word: 'base',
    what: 'Replayed writes of IA32_APIC_BASE',
    source: `${PATCH}: KVM_DSM_APIC_BASE; SDM vol. 3 11.4.4`,
    needs: [baseInjection, x2apic],
    x2apic: false,
    program: bases,
    shortfall: BASE_ADDRESS,
  },
];

const MOST_TOLD = 8;

/** x2APIC mode needs CPUID, and takes the APIC id from the vcpu_id. */
const scenesOf = ({ word, scenes }: MachineRow, { x2apic: x2 }: Ioctl): readonly Scene[] =>
  word === 'lapic' && !x2 ? [...xapicScenes, ...scenes] : scenes;

function run(ctx: CheckContext, machine: MachineRow, { x2apic: x2, program }: Ioctl): void {
  const pair = new Pair(ctx, machine.options);
  let writes = 0;
  for (const scene of scenesOf(machine, { x2apic: x2 } as Ioctl)) {
    const name = scene.map((state) => state.name).join(', ');
    pair.bring(scene, x2);
    for (const write of program(pair)) {
      pair.write(`${name}: ${describeWrite(write)}`, write);
      writes += 1;
    }
    pair.end(`${name}: at the end`);
  }
  ctx.effect('replayed writes', writes);
  const { wrong } = pair;
  if (wrong.length === 0) return;
  const more = wrong.length > MOST_TOLD ? [`and ${wrong.length - MOST_TOLD} more`] : [];
  throw new CheckError(
    [`after the replay, not as after the guest's write: ${wrong[0]}`, ...wrong.slice(1, MOST_TOLD), ...more].join('\n'),
  );
}

const rows = ioctls.flatMap((ioctl) => machineRows.map((machine) => ({ ioctl, machine })));

export const stateChecks: Check[] = table(rows, ({ ioctl, machine }) => ({
  id: `injection.states.${ioctl.word}.${machine.word}`,
  claim: `${ioctl.what} leave all that KVM tells of every vCPU as a guest's own do, and are answered 0: ${machine.what}`,
  source: ioctl.source,
  needs: ioctl.needs,
  deadline: '60s' as const,
  ...(ioctl.shortfall && { shortfall: ioctl.shortfall }),
  async run(ctx: CheckContext) {
    run(ctx, machine, ioctl);
  },
}));
