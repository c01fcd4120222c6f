/** IPIs that the seed draws: what the other programs do not put together, each field of the ICR takes here with the others. */
import type { Random } from '../../../../script/random.ts';
import type { TwinWrite } from '../../../kit/twin-writes.ts';
import type { Pair } from './pair.ts';
import type { ReplayProgram } from './programs.ts';

const LOGICAL = 1 << 11;
const BUSY = 1 << 12;
const ASSERT = 1 << 14;
const LEVEL = 1 << 15;
/** ICR 31:20, 17:16 and 13, which an xAPIC keeps. */
const RESERVED = 0xfff3_2000;
/**
 * Mode 3 (remote read) is in no program: KVM takes it for its own kick, which a halted vCPU keeps (pv_unhalted, so that its MP state is told
 * as runnable) and one that is in its guest, as the writer is, forgets.
 */
const [FIXED, LOWEST, SMI, NMI, INIT, STARTUP, EXTINT] = [0, 1, 2, 4, 5, 6, 7];
const [NONE, SELF, ALL, OTHERS] = [0, 1, 2, 3];

/** IPIs of a group, after which everything is looked at. */
const GROUP = 8;

/** Each element once, and then again in another order. */
export class Deck<T> {
  readonly #random: Random;
  readonly #all: readonly T[];
  #left: T[] = [];

  constructor(random: Random, all: readonly T[]) {
    this.#random = random;
    this.#all = all;
  }

  next(): T {
    if (this.#left.length === 0) this.#left = this.#random.shuffle(this.#all);
    return this.#left.pop()!;
  }
}

interface Drawn {
  destination: number;
  icr: number;
}

/** Draws for one check: a value that has come up comes again when all others have. */
export class ReplayDraw {
  readonly #random: Random;
  readonly #x2: boolean;
  readonly #vectors: Deck<number>;
  readonly #modes: Deck<number>;
  readonly #resets: Deck<number>;
  readonly #shorthands: Deck<number>;
  readonly #bits: Deck<number>;

  constructor(random: Random, x2: boolean) {
    this.#random = random;
    this.#x2 = x2;
    const count = (least: number) => Array.from({ length: 256 - least }, (_, n) => least + n);
    this.#vectors = new Deck(random, count(0));
    this.#modes = new Deck(random, [FIXED, FIXED, FIXED, FIXED, LOWEST, SMI, NMI, EXTINT]);
    this.#resets = new Deck(random, [INIT, INIT, STARTUP, STARTUP, FIXED]);
    this.#shorthands = new Deck(random, [NONE, NONE, NONE, NONE, SELF, ALL, OTHERS]);
    this.#bits = new Deck(random, count(0).slice(0, 16));
  }

  program(pair: Pair): ReplayProgram {
    const first = this.#group(pair, GROUP, this.#modes);
    return pair.options.ids.length === 1 ? [first] : [first, this.#group(pair, GROUP / 2, this.#resets)];
  }

  #group(pair: Pair, count: number, modes: Deck<number>): TwinWrite[] {
    let last: Drawn | null = null;
    return Array.from({ length: count }, () => {
      // Now and then what the registers hold already.
      const again = last !== null && this.#chance(6);
      const drawn: Drawn = again ? last! : this.#one(pair, modes.next());
      last = drawn;
      return this.#x2 ? [x2Write(drawn)] : this.#pair(drawn, again);
    }).flat();
  }

  #pair({ destination, icr }: Drawn, bare: boolean): TwinWrite[] {
    const noise = bare || this.#chance(3) ? 0 : this.#random.integer(0, 0xff_ffff);
    const destId = this.#random.pick([0, destination, this.#random.integer(1, 0xffff_ffff)]);
    return [
      { register: 'ICR2', value: ((destination << 24) | noise) >>> 0, destId },
      { register: 'ICR', value: icr, destId },
    ];
  }

  #one(pair: Pair, mode: number): Drawn {
    const { ids, source } = pair.options;
    const others = ids.map((_, place) => place).filter((place) => place !== source);
    const bits = this.#bits.next();
    const vector = this.#vectors.next();
    const more = ((bits & 1 ? BUSY : 0) | (bits & 2 ? 0 : ASSERT) | (bits & 4 ? LEVEL : 0)) >>> 0;
    const reserved = this.#x2 || !(bits & 8) ? 0 : this.#random.integer(0, 0xffff_ffff) & RESERVED;
    const form = (delivery: number, rest: number) => ((delivery << 8) | rest | more | reserved | vector) >>> 0;
    // Those that interrupt whoever runs, or wake him, are for another one: the source's guest would take them.
    const forAnother = mode !== FIXED && mode !== EXTINT;
    if (forAnother && others.length > 0) {
      const all = mode !== LOWEST && this.#chance(4);
      const destination = this.#idOf(pair, this.#random.pick(others));
      if (all) return { destination: this.#random.integer(0, 255), icr: form(mode, OTHERS << 18) };
      if (destination !== this.#idOf(pair, source)) return { destination, icr: form(mode, 0) };
    }
    const shorthand = this.#shorthands.next();
    const logical = this.#chance(3) ? LOGICAL : 0;
    const destination = this.#destination(pair, logical !== 0);
    return { destination, icr: form(forAnother ? FIXED : mode, logical | (shorthand << 18)) };
  }

  #destination(pair: Pair, logical: boolean): number {
    const place = this.#random.integer(0, pair.options.ids.length - 1);
    const ldr = pair.register(place, 'LDR');
    const named = logical ? (this.#x2 ? ldr : ldr >>> 24) : this.#idOf(pair, place);
    const wide = this.#random.integer(0, 0xffff_fffe);
    return this.#random.pick([
      named,
      named,
      this.#random.integer(0, 4),
      0xff,
      this.#random.integer(0, 255),
      this.#x2 ? this.#random.pick([wide, 0xffff_ffff]) : wide & 0xff,
    ]);
  }

  /** As the mode has it. */
  #idOf(pair: Pair, place: number): number {
    return this.#x2 ? pair.options.ids[place]! : pair.register(place, 'ID') >>> 24;
  }

  #chance(one: number): boolean {
    return this.#random.integer(1, one) === 1;
  }
}

const x2Write = ({ destination, icr }: Drawn): TwinWrite => ({
  register: 'x2',
  value: (BigInt(destination) << 32n) | BigInt(icr),
});
