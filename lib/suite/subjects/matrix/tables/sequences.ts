/** Which writes there are: how many before, of which register, and whether they say the same. */
import type { LapicWrite } from '../../../kit/guests.ts';
import { repMovsd } from '../joint.ts';
import { modes } from '../modes.ts';
import type { Axis, StateRow } from '../row.ts';

const HISTORY = 'vcpu->arch: the slot and its request, which the write before may have left behind';

type Sequence = (icr2: LapicWrite, icr: LapicWrite) => readonly LapicWrite[];

const sequence = (name: string, what: string, made: Sequence): StateRow => ({
  name,
  what: `the writes are ${what}`,
  source: HISTORY,
  apply(scene) {
    scene.sequence = made;
  },
});

/** The second within the same KVM_RUN, and at once. */
const joint = (name: string, what: string, made: Sequence): StateRow => ({
  ...sequence(name, what, made),
  alone: ['sequence', 'instruction', 'control', 'flags', 'host', 'events'],
  apply(scene) {
    if (scene.mode.small) scene.mode = modes.real16;
    scene.sequence = made;
    scene.joint = repMovsd;
    for (const register of repMovsd.changes) scene.unjudgedRegs.add(register);
    scene.unjudgedFlags |= 1n << 10n;
    // ICR goes to where ICR2 points by then.
    const [first] = made({ register: 'ICR2', value: 0 }, { register: 'ICR', value: 0 });
    if (first!.register === 'ICR') scene.send = { icr: 0x4700, destination: 0x5c, addressees: [], leaves: 'nothing' };
  },
});

const times = <T>(count: number, ...things: readonly T[]): T[] => Array.from({ length: count }, () => things).flat();
/** Another value of the bits that the register does not keep. */
const varied = (write: LapicWrite, n: number): LapicWrite => ({
  ...write,
  value: ((write.value & 0xff00_0000) | ((write.value + n * 0x1_0041) & 0xff_ffff)) >>> 0,
});

/** Another vector. */
export const variedIcr = (write: LapicWrite, n: number): LapicWrite => ({
  ...write,
  value: ((write.value & 0xffff_ff00) | (LEAST + (((write.value & 0xff) - LEAST + n + VECTORS) % VECTORS))) >>> 0,
});
/** Another destination: what the next ICR2 write says is what counts. */
const elsewhere = (write: LapicWrite, n: number): LapicWrite => ({
  ...write,
  value: (write.value ^ (((n * 0x3b) & 0xff) << 24)) >>> 0,
});
/** Vectors that a fixed IPI may have. */
const LEAST = 16;
const VECTORS = 240;

/** Of a vCPU in the largest bed alone, and of no other row. */
const ABSENT = 0x5c;

export const sequenceAxis: Axis = {
  name: 'sequence',
  title: 'writes came before',
  rows: [
    sequence('icr2', 'ICR2 alone', (icr2) => [icr2]),
    {
      ...sequence('icr', 'ICR alone, for nobody, to whom ICR2 pointed before', (_, icr) => [icr]),
      alone: ['previous', 'send', 'target'],
      apply(scene) {
        scene.sequence = (_, icr) => [icr];
        scene.prelude = 'none';
        const { bed } = scene;
        const addressees = bed.vcpus.flatMap((_, place) => (bed.apicId(place) === ABSENT ? [place] : []));
        scene.send = { icr: 0x4000, destination: ABSENT, addressees, leaves: 'irr' };
        scene.lapic({ ICR2: (ABSENT << 24) >>> 0 });
      },
    },
    sequence('icr2-twice', 'ICR2 twice, the same', (icr2) => [icr2, icr2]),
    sequence('icr2-thrice', 'ICR2 three times, the same', (icr2) => [icr2, icr2, icr2]),
    sequence('icr2-again', 'ICR2, ICR and ICR2 again', (icr2, icr) => [icr2, icr, icr2]),
    sequence('icr-twice', 'ICR2, and ICR twice, the same', (icr2, icr) => [icr2, icr, icr]),
    sequence('icr-thrice', 'ICR2, and ICR three times, the same', (icr2, icr) => [icr2, icr, icr, icr]),
    sequence('pair-twice', 'the same pair twice', (icr2, icr) => [icr2, icr, icr2, icr]),
    sequence('icr2-varied', 'ICR2 with other reserved bits, and ICR', (icr2, icr) => [varied(icr2, 1), icr2, icr]),
    sequence('icr2-back', 'ICR2 with other reserved bits and back, and ICR', (icr2, icr) => [
      icr2,
      varied(icr2, 1),
      icr2,
      icr,
    ]),
    ...[4, 7, 8, 15, 16, 31, 32, 33].map((count) =>
      sequence(`pairs-${count}`, `${count} pairs`, (icr2, icr) =>
        Array.from({ length: count }, (_, n) => [varied(icr2, n), variedIcr(icr, n)]).flat(),
      ),
    ),
    ...[16, 63, 64].map((count) =>
      sequence(`icr2-${count}`, `ICR2 ${count} times, and ICR`, (icr2, icr) => [
        ...Array.from({ length: count }, (_, n) => elsewhere(varied(icr2, n), count - 1 - n)),
        icr,
      ]),
    ),
    sequence('icr-64', 'ICR2, and ICR 64 times, the same', (icr2, icr) => [icr2, ...times(64, icr)]),
  ],
};

export const jointAxis: Axis = {
  name: 'joint',
  title: 'instruction writes both registers at once',
  rare: 5,
  rows: [
    joint('both-down', 'ICR2 and ICR of one instruction', (icr2, icr) => [icr2, icr]),
    joint('both-up', 'ICR and ICR2 of one instruction', (icr2, icr) => [icr, icr2]),
  ],
};
