/** States that the seed puts together: each register of each local APIC takes its values with those of the others. */
import type { LapicRegisterName } from '../../../../abi/apic/lapic.ts';
import { APIC_BASE_EXTD } from '../../../../abi/apic/msr.ts';
import { kvmVapicAddr, mpStates } from '../../../../abi/kvm/index.ts';
import { ioctls } from '../../../../abi/kvm/ioctl.ts';
import type { Vcpu } from '../../../../kvm/vcpu/vcpu.ts';
import type { Random } from '../../../../script/random.ts';
import type { SceneState } from './row.ts';
import { SPARE, type Stand, type StandOptions } from './stand.ts';
import { bit, CLUSTER, FAR, FLAT, type LapicValues, lapic, lastState, mp, type StandScene } from './states.ts';

/** Registers that go together, and what is put in them. */
type Choice = readonly LapicValues[];

const values = (name: LapicRegisterName, ...all: readonly number[]): Choice => all.map((value) => ({ [name]: value }));

/** Of a timer that runs the end is far. */
const timer = (LVT_TIMER: number): LapicValues => ({ LVT_TIMER, TMICT: FAR, TMCCT: FAR });

/** What any local APIC can have beside vectors; 0xff in SVR switches it off. */
const choices: readonly Choice[] = [
  values('SVR', 0x137f, 0x120, 0x3ff, 0x170, 0xff),
  values('TPR', 0x10, 0x20, 0x25, 0x40, 0x80, 0xc0, 0xf3),
  [timer(0x2_00d1), timer(0xd1), { LVT_TIMER: 0x4_005a }, { LVT_TIMER: 0x5_005a }, timer(0x3_00d1)],
  values('TDCR', 3, 0xa, 0xb),
  values('LVT_LINT0', 0x8700, 0x700, 0x5a, 0x1_005a),
  values('LVT_LINT1', 0x400, 0x1_0400, 0x5a),
  values('LVT_ERROR', 0xd1, 0x5a, 0x1_005a),
  values('LVT_PMC', 0xd1, 0x400),
  values('LVT_THERMAL', 0xd1, 0x5a),
  values('ESR', 0x20, 0x40, 0x60),
];

/** Now and then the edges of what a condition is about. */
const EDGES = [0x41, 0xfe, 0xc5, 0x80, 0x10];

/** No vCPU of a VM of this size is looked at one by one. */
const FEW = 8;

export class StateDraw {
  readonly #random: Random;
  readonly #x2: boolean;
  readonly #count: number;
  /** Their vCPUs can come into x2APIC mode at any time. */
  readonly #mixed: boolean;

  constructor(random: Random, x2: boolean, { ids, cpuid }: Pick<StandOptions, 'ids' | 'cpuid'>) {
    this.#random = random;
    this.#x2 = x2;
    this.#count = ids.length;
    this.#mixed = !x2 && cpuid !== 'none';
  }

  /** `last`: nothing comes after it on its pair. */
  scene(last: boolean): StandScene {
    const { base, frozen } = { base: this.#base(), frozen: this.#frozen(last) };
    return [...this.#logical(), ...this.#others(), this.#source(), ...base, ...this.#vapic(), ...frozen];
  }

  #chance(one: number): boolean {
    return this.#random.integer(1, one) === 1;
  }

  #vector(): number {
    return this.#chance(3) ? this.#random.pick(EDGES) : this.#random.integer(0x10, 0xff);
  }

  /** No vector, or one, or two. */
  #vectors(where: 'ISR' | 'IRR'): LapicValues {
    const found: Record<string, number> = {};
    for (let left = this.#random.integer(0, 2); left > 0; left--) {
      const vector = this.#vector();
      const name = `${where}${vector >> 5}`;
      found[name] = ((found[name] ?? 0) | bit(vector)) >>> 0;
    }
    return found;
  }

  #registers(): LapicValues {
    const some = choices.filter(() => this.#chance(2)).map((choice) => this.#random.pick(choice));
    return Object.assign({}, ...some, this.#vectors('ISR'), this.#vectors('IRR'));
  }

  #source(): SceneState {
    const registers = this.#registers();
    if (!this.#chance(4)) registers.ICR = this.#random.integer(0, 0xffff_ffff) & 0xc_cfff;
    if (!this.#chance(4))
      registers.ICR2 = (this.#random.pick([0, 1, 2, 0xff, this.#random.integer(0, 255)]) << 24) >>> 0;
    if (!this.#x2 && this.#chance(4)) registers.ID = (this.#random.pick([9, 0x5c]) << 24) >>> 0;
    const told = Object.entries(registers).map(([name, value]) => `${name} 0x${value.toString(16)}`);
    return lapic(told.length === 0 ? 'as after reset' : `with ${told.join(', ')}`, registers);
  }

  /** In x2APIC mode KVM makes them. */
  #logical(): SceneState[] {
    const kind = this.#random.pick(['none', 'flat', 'clusters', 'any'] as const);
    if (kind === 'none') return [];
    const ids = Array.from({ length: this.#count }, (_, place) => {
      if (kind === 'flat') return [FLAT, 1 << (place % 8)] as const;
      if (kind === 'clusters') return [CLUSTER, ((((place >> 1) + 1) << 4) | (1 << (place & 1))) & 0xff] as const;
      return [this.#chance(2) ? FLAT : CLUSTER, this.#random.integer(0, 255)] as const;
    });
    return [
      {
        name: `logical ids ${kind}`,
        set({ vcpus }) {
          for (const [place, vcpu] of vcpus.entries())
            vcpu.setLapicRegisters({ DFR: ids[place]![0], LDR: (ids[place]![1] << 24) >>> 0 });
        },
      },
    ];
  }

  /** Each of the others in a state of its own. */
  #others(): SceneState[] {
    if (this.#count === 1 || this.#chance(5)) return [];
    const one = () => {
      const registers = this.#registers();
      const nmi = this.#random.pick([null, null, { masked: 1, pending: 1 }, { masked: 0, pending: 1 }, { masked: 1 }]);
      const { KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_HALTED, KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED } =
        mpStates;
      const mpState = this.#random.pick([
        ...[KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_RUNNABLE],
        ...[KVM_MP_STATE_HALTED, KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED],
      ]);
      return { registers, nmi, mpState };
    };
    const states = Array.from({ length: Math.min(this.#count, FEW) }, one);
    // With a source that names no logical ids the map is of x2APIC mode.
    const mixed = this.#mixed && this.#chance(8);
    const set = (vcpu: Vcpu, place: number) => {
      const { registers, nmi, mpState } = states[place % states.length]!;
      vcpu.setLapicRegisters(registers);
      if (nmi) {
        const before = vcpu.getVcpuEvents().nmi;
        vcpu.setVcpuEvents({ nmi: { ...before, ...nmi } });
      }
      vcpu.setMpState(mpState);
    };
    return [
      {
        name: 'the others drawn',
        set({ vcpus, source }) {
          vcpus.forEach((vcpu, place) => {
            if (vcpu !== source) set(vcpu, place);
          });
        },
      },
      ...(mixed ? [othersInX2apic] : []),
    ];
  }

  #base(): SceneState[] {
    const bsp = this.#random.pick([null, 0n, 1n]);
    const moved = this.#chance(4);
    if (bsp === null && !moved) return [];
    return [
      {
        name: `${moved ? 'its page moved' : ''}${bsp === null ? '' : `, ${bsp === 0n ? 'no ' : 'the '}boot processor`}`,
        set({ source }) {
          const { apicBase, ...sregs } = source.getSregs();
          const page = moved ? (apicBase & 0xfffn) | 0xfed4_0000n : apicBase;
          source.setSregs({ ...sregs, apicBase: bsp === null ? page : (page & ~0x100n) | (bsp << 8n) });
        },
      },
    ];
  }

  #vapic(): SceneState[] {
    const vapicAddr = this.#chance(6) ? BigInt(SPARE) : 0n;
    return [
      {
        name: vapicAddr === 0n ? '' : 'a page for its TPR',
        ownTpr: vapicAddr !== 0n,
        set({ source }) {
          source.ioctlRaw(ioctls.KVM_SET_VAPIC_ADDR, kvmVapicAddr.encode({ vapicAddr }));
        },
      },
    ];
  }

  /** A state in which no guest writes: the replica's alone. */
  #frozen(last: boolean): SceneState[] {
    if (last) return this.#chance(2) ? [lastState] : [];
    if (!this.#chance(5)) return [];
    const { KVM_MP_STATE_HALTED, KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED } = mpStates;
    return [
      this.#random.pick([
        mp('halted', KVM_MP_STATE_HALTED),
        mp('uninitialized', KVM_MP_STATE_UNINITIALIZED),
        mp('waiting for SIPI', KVM_MP_STATE_INIT_RECEIVED),
      ]),
    ];
  }
}

const othersInX2apic: SceneState = {
  name: 'the others in x2APIC mode',
  set(stand: Stand) {
    stand.source.setLapicRegisters({ LDR: 0 });
    for (const vcpu of stand.vcpus) if (vcpu !== stand.source) stand.setBase(vcpu, (base) => base | APIC_BASE_EXTD);
  },
};
