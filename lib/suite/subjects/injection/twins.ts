/** A replay does what the guest's own write does: everything of all vCPUs is compared, over tables of writes. */
import type { MachineOptions } from '../../../script/machine/machine.ts';
import { type Check, type Shortfall, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { baseInjection, forwarding, ipiInjection, type Need, x2apic, x2apicInjection } from '../../kit/needs.ts';
import { asPosted } from '../../kit/profiles.ts';
import { type TwinRow, Twins } from '../../kit/twins.ts';
import { BASE_ADDRESS } from './base-address.ts';
import { IPI, PATCH } from './replay.ts';
import * as rows from './twin-rows.ts';

interface Group {
  word: string;
  claim: string;
  source: string;
  needs: readonly Need[];
  apic: NonNullable<MachineOptions['apic']>;
  rows: readonly TwinRow[];
  /** Every row is tried, and not a part that the seed draws. */
  whole?: boolean;
  /** No guest can write that: the replay changes nothing. */
  refused?: boolean;
  shortfall?: Shortfall;
}

const X2APIC = `${PATCH}: KVM_DSM_X2APIC; SDM vol. 3 11.12.9`;
const BASE = `${PATCH}: KVM_DSM_APIC_BASE; SDM vol. 3 11.4.4`;
const OF_XAPIC = { source: `${IPI}; SDM vol. 3 11.6.1`, needs: [ipiInjection, forwarding], apic: 'xapic' } as const;
const OF_X2APIC = { source: X2APIC, needs: [x2apicInjection, x2apic], apic: 'x2apic' } as const;
const OF_BASE = { source: BASE, needs: [baseInjection, x2apic], apic: 'xapic' } as const;

/** So many rows of a table are tried in a run that is not thorough. */
const ROWS = 24;

/** In the order of the table: a state is set up once for all of its rows. */
function drawn(ctx: CheckContext, rows: readonly TwinRow[]): TwinRow[] {
  const some = new Set(ctx.random.shuffle(rows).slice(0, ROWS));
  return rows.filter((row) => some.has(row));
}

const as = (what: string) => `${what} leaves all that KVM tells of every vCPU as a guest's write does`;

const groups: Group[] = [
  {
    word: 'icr2',
    claim: as('A replayed ICR2 write, whatever bit it sets,'),
    rows: rows.icr2Bits,
    whole: true,
    ...OF_XAPIC,
  },
  {
    word: 'icr',
    claim: as('A replayed ICR write, whatever bit of it is another,'),
    rows: rows.icrBits,
    whole: true,
    ...OF_XAPIC,
  },
  {
    word: 'modes',
    claim: as('A replayed IPI of each delivery mode, level and trigger, to one and to all,'),
    rows: rows.deliveryModes,
    ...OF_XAPIC,
  },
  {
    word: 'shorthands',
    claim: as('A replayed IPI of each delivery mode with each shorthand'),
    rows: rows.shorthands,
    ...OF_XAPIC,
  },
  { word: 'physical', claim: as('A replayed IPI to each sort of APIC id'), rows: rows.physical, ...OF_XAPIC },
  {
    word: 'logical',
    claim: as('A replayed IPI to each sort of logical id, flat and in clusters,'),
    rows: rows.logical,
    ...OF_XAPIC,
  },
  { word: 'dest-id', claim: as('A replayed IPI, whatever dest_id says,'), rows: rows.destIds, ...OF_XAPIC },
  {
    word: 'target',
    claim: as('A replayed IPI, whatever state its target is in,'),
    rows: rows.targets,
    ...OF_XAPIC,
  },
  {
    word: 'source',
    claim: as('A replayed IPI, whatever state its source is in,'),
    rows: rows.sources,
    ...OF_XAPIC,
  },
  {
    word: 'source-off',
    claim: 'A replayed ICR write of a vCPU whose LAPIC is off changes nothing: its guest has no such register',
    rows: rows.sourceOff,
    refused: true,
    ...OF_XAPIC,
    shortfall: {
      profiles: asPosted,
      reason: 'KVM_DSM_IPI sends for a vCPU whose LAPIC is off, which itself cannot send',
      source: IPI,
      cause: /after the replay/,
    },
  },
  {
    word: 'x2.bits',
    claim: as('A replayed x2APIC ICR write, whatever bit of it is another,'),
    rows: rows.x2Bits,
    whole: true,
    ...OF_X2APIC,
  },
  {
    word: 'x2.modes',
    claim: as('A replayed x2APIC IPI of each delivery mode, level and trigger'),
    rows: rows.x2Modes,
    ...OF_X2APIC,
  },
  {
    word: 'x2.destinations',
    claim: as('A replayed x2APIC IPI to each sort of destination'),
    rows: rows.x2Destinations,
    ...OF_X2APIC,
  },
  {
    word: 'x2.everyone',
    claim: as('A replayed x2APIC IPI to everyone, or to all but self,'),
    rows: rows.x2Everyone,
    ...OF_X2APIC,
    shortfall: {
      profiles: asPosted,
      reason: 'KVM_DSM_X2APIC sends only what the map of LAPICs resolves at once: an IPI to everyone is lost',
      source: `${PATCH}: KVM_DSM_X2APIC`,
      cause: /after the replay/,
    },
  },
  {
    word: 'x2.refused',
    claim: 'A replayed x2APIC ICR write with a reserved bit, which a guest cannot make, changes nothing',
    rows: rows.x2Refused,
    refused: true,
    ...OF_X2APIC,
  },
  {
    word: 'base',
    claim: as('A replayed write of IA32_APIC_BASE, of the guest and of the host, whatever bit is another,'),
    rows: rows.baseBits,
    ...OF_BASE,
    shortfall: BASE_ADDRESS,
  },
  {
    word: 'base.from-x2apic',
    claim: as('A replayed write of IA32_APIC_BASE in x2APIC mode, of the guest and of the host,'),
    rows: rows.baseFromX2,
    ...OF_BASE,
    shortfall: BASE_ADDRESS,
    apic: 'x2apic',
  },
  {
    word: 'base.refused',
    claim: 'A replayed write of IA32_APIC_BASE that a guest cannot make changes nothing',
    rows: rows.baseRefused,
    refused: true,
    ...OF_BASE,
  },
];

export const twinChecks: Check[] = table(
  groups,
  ({ word, claim, source, needs, apic, rows, refused, whole, shortfall }) => ({
    id: `injection.twin.${word}`,
    claim,
    source,
    needs,
    deadline: '60s',
    ...(shortfall && { shortfall }),
    async run(ctx) {
      const twins = await Twins.make(ctx, { vcpus: 4, apic });
      const tried = whole || ctx.thorough ? rows : drawn(ctx, rows);
      if (refused) twins.unchanged(tried);
      else twins.compare(tried);
    },
  }),
);
