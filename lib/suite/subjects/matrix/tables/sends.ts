/** What is sent, and to whom. */
import type { Axis, StateRow } from '../row.ts';
import type { Scene } from '../scene.ts';
import type { Send } from '../send.ts';

const ICR = 'SDM vol. 3 11.6.1 and 11.6.2; kvm_apic_send_ipi, __apic_accept_irq';

const FIXED = 0;
const LOWEST = 1 << 8;
const SMI = 2 << 8;
const NMI = 4 << 8;
const LOGICAL = 1 << 11;
const ASSERT = 1 << 14;
const LEVEL = 1 << 15;
const SELF = 1 << 18;
const ALL = 2 << 18;
const OTHERS = 3 << 18;
const BROADCAST = 0xff;
/** Of no vCPU of any bed. */
const ABSENT = 0x77;

const send = (name: string, what: string, made: (scene: Scene) => Send, alone: readonly string[] = []): StateRow => ({
  name,
  what: `the IPI is ${what}`,
  source: ICR,
  alone,
  apply(scene) {
    scene.send = made(scene);
  },
});

const everyone = ({ bed }: Scene) => bed.vcpus.map((_, place) => place);
const others = (scene: Scene) => everyone(scene).filter((place) => place !== scene.sender);
const plain = (scene: Scene): Send => ({ ...scene.sent });
/** What changes whom a logical destination names, and what makes a pending one pile up. */
const LOGICAL_IDS = ['logical', 'target'];
const COUNTED = ['sequence', 'joint', 'target', 'events'];
/** A vCPU that interrupts itself would leave its code, or has more in its own LAPIC than a row says. */
const ITSELF = ['flags', 'irr', 'isr', 'events'];

/** The logical id that only the target has, flat model. */
function logically(scene: Scene): number {
  const target = scene.target === scene.sender ? [] : [scene.target];
  for (const place of target) scene.lapic({ LDR: 0x4000_0000, DFR: 0xffff_ffff }, place);
  for (const place of everyone(scene))
    if (!target.includes(place)) scene.lapic({ LDR: 0x8000_0000, DFR: 0xffff_ffff }, place);
  return 0x40;
}

export const sendAxis: Axis = {
  name: 'send',
  title: 'is sent and to whom',
  rows: [
    send('lowest', 'of lowest priority', (scene) => ({ ...plain(scene), icr: LOWEST | ASSERT })),
    send('deassert', 'fixed, without the level bit', (scene) => ({ ...plain(scene), icr: FIXED })),
    send('level', 'fixed and level-triggered', (scene) => {
      const one = plain(scene);
      return { ...one, icr: ASSERT | LEVEL, leaves: one.leaves === 'irr' ? 'irr-level' : 'nothing' };
    }),
    send('level-deassert', 'level-triggered and de-asserted', (scene) => ({
      ...plain(scene),
      icr: LEVEL,
      leaves: 'nothing',
    })),
    send('busy', 'fixed, with the delivery status bit', (scene) => ({ ...plain(scene), icr: ASSERT | (1 << 12) })),
    ...[13, 16, 17, 20, 21, 25, 30, 31].map((bit) =>
      send(`reserved-${bit}`, `fixed, with the reserved bit ${bit}`, (scene) => ({
        ...plain(scene),
        icr: (ASSERT | (1 << bit)) >>> 0,
      })),
    ),
    send('reserved-mode-3', 'of the reserved mode 3', (scene) => ({
      ...plain(scene),
      icr: ASSERT | (3 << 8),
      leaves: 'nothing',
    })),
    send('nmi', 'an NMI', (scene) => ({ ...plain(scene), icr: NMI | ASSERT, leaves: 'nmi' }), COUNTED),
    send(
      'nmi-others',
      'an NMI to all others',
      (scene) => ({
        icr: NMI | ASSERT | OTHERS,
        destination: 0,
        addressees: others(scene),
        leaves: 'nmi',
      }),
      COUNTED,
    ),
    send('smi', 'an SMI', (scene) => ({ ...plain(scene), icr: SMI | ASSERT, leaves: 'smi' }), COUNTED),
    send('init-absent', 'an INIT to nobody', () => ({
      icr: (5 << 8) | ASSERT,
      destination: ABSENT,
      addressees: [],
      leaves: 'nothing',
    })),
    send('init-deassert', 'an INIT level de-assert to all', () => ({
      icr: (5 << 8) | LEVEL | ALL,
      destination: 0,
      addressees: [],
      leaves: 'nothing',
    })),
    send(
      'sipi-running',
      'a SIPI to one that runs',
      (scene) => ({
        ...plain(scene),
        icr: (6 << 8) | ASSERT,
        leaves: 'nothing',
      }),
      ['target'],
    ),
    send('extint', 'of the reserved mode 7', (scene) => ({
      ...plain(scene),
      icr: (7 << 8) | ASSERT,
      leaves: 'nothing',
    })),
    send('absent', 'for an APIC id that nobody has', () => ({
      icr: ASSERT,
      destination: ABSENT,
      addressees: [],
      leaves: 'nothing',
    })),
    ...[0x10, 0x3f, 0x7f, 0x80, 0xbb, 0xf0, 0xfd].map((destination) =>
      send(
        `absent-${destination.toString(16)}`,
        `for the APIC id 0x${destination.toString(16)}, which nobody has`,
        ({ bed }) => ({
          icr: ASSERT,
          destination,
          addressees: bed.vcpus.flatMap((_, place) => (bed.apicId(place) === destination ? [place] : [])),
          leaves: 'irr',
        }),
      ),
    ),
    send(
      'itself',
      "for the sender's own APIC id",
      (scene) => ({
        icr: ASSERT,
        destination: scene.bed.apicId(scene.sender, scene.lapics.get(scene.sender)),
        addressees: [scene.sender],
        leaves: 'irr',
      }),
      ITSELF,
    ),
    send(
      'broadcast',
      'for everyone by its destination',
      (scene) => ({
        icr: ASSERT,
        destination: BROADCAST,
        addressees: everyone(scene),
        leaves: 'irr',
      }),
      ITSELF,
    ),
    send(
      'self',
      'for self by its shorthand',
      (scene) => ({
        icr: ASSERT | SELF,
        destination: 0xa7,
        addressees: [scene.sender],
        leaves: 'irr',
      }),
      ITSELF,
    ),
    send(
      'all',
      'for all by its shorthand',
      (scene) => ({
        icr: ASSERT | ALL,
        destination: 0x9b,
        addressees: everyone(scene),
        leaves: 'irr',
      }),
      ITSELF,
    ),
    send('others', 'for all others by its shorthand', (scene) => ({
      icr: ASSERT | OTHERS,
      destination: 0x8c,
      addressees: others(scene),
      leaves: 'irr',
    })),
    send('others-present', 'for all others, with the APIC id of one in ICR2', (scene) => ({
      ...plain(scene),
      icr: ASSERT | OTHERS,
      addressees: others(scene),
      leaves: 'irr',
    })),
    send(
      'logical',
      'for a logical id',
      (scene) => {
        const destination = logically(scene);
        return { ...plain(scene), icr: ASSERT | LOGICAL, destination };
      },
      LOGICAL_IDS,
    ),
    send(
      'logical-lowest',
      'for a logical id, of lowest priority',
      (scene) => {
        const destination = logically(scene);
        return { ...plain(scene), icr: LOWEST | ASSERT | LOGICAL, destination };
      },
      LOGICAL_IDS,
    ),
    send(
      'logical-absent',
      'for a logical id that nobody has',
      () => ({
        icr: ASSERT | LOGICAL,
        destination: 0x20,
        addressees: [],
        leaves: 'nothing',
      }),
      LOGICAL_IDS,
    ),
    send(
      'logical-nobody',
      'for the logical id 0',
      () => ({
        icr: ASSERT | LOGICAL,
        destination: 0,
        addressees: [],
        leaves: 'nothing',
      }),
      LOGICAL_IDS,
    ),
  ],
};

const vector = (value: number): StateRow => ({
  name: value.toString(16).padStart(2, '0'),
  what: `the vector is 0x${value.toString(16)}`,
  source: ICR,
  apply(scene) {
    scene.vector = value;
  },
});

/** Vectors below 16 are none that a fixed IPI may have: KVM delivers them all the same, and the suite says so elsewhere. */
export const vectorAxis: Axis = {
  name: 'vector',
  title: 'the vector is',
  rows: [0x10, 0x1f, 0x20, 0x21, 0x2f, 0x30, 0x3f, 0x40, 0x41, 0x51, 0x61, 0x71, 0x7f, 0x80, 0x81]
    .concat([0x91, 0xa1, 0xaa, 0xb1, 0xc1, 0xd1, 0xe1, 0xec, 0xef, 0xf0, 0xf1, 0xfb, 0xfd, 0xfe, 0xff])
    .map(vector),
};

const noise = (value: number): StateRow => ({
  name: value.toString(16).padStart(6, '0'),
  what: `the reserved bits 23:0 of ICR2 are 0x${value.toString(16)}`,
  source: 'SDM vol. 3 11.6.1; apic_mmio_write takes the value before the register does',
  apply(scene) {
    scene.noise = value;
  },
});

export const reservedAxis: Axis = {
  name: 'reserved',
  title: 'the reserved bits of ICR2 are',
  rows: [0, 0xff_ffff, 0xaa_aaaa, 0x55_5555, 0x300, 0x310, ...Array.from({ length: 24 }, (_, bit) => 1 << bit)].map(
    noise,
  ),
};
